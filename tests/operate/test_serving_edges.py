"""The client of a connection is not another's: HTTP/2, servers within servers, plain text, processes."""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
import ssl
import threading
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.operate.callers import Callers
from tests.operate.server_processes import answer, asked_in_plain
from tests.operate.serving_ways import get, hypercorn, served, shown, telling, uvicorn
from tests.operate.ways import mutual
from tests.support.connections import SECONDS, tls_pair
from tests.test_start import loaded
from veritls.serving import Peer
from veritls.serving.transport import CurrentPeer, current_facts
from veritls.serving.uvicorn import ContextFactory, options


def make_context() -> veritls.SSLContext:
    return veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)


@pytest.mark.parametrize("make", [uvicorn("http2"), hypercorn], ids=["uvicorn", "hypercorn"])
def test_each_stream_of_http_2_has_the_peer_of_its_connection(tmp_path: Any, files: Files, make: Any) -> None:
    httpx: Any = library("httpx")
    library("h2")
    callers = Callers(tmp_path)
    server = callers.server()
    server.set_alpn_protocols(["h2", "http/1.1"])
    with served(make, telling, server) as port:
        for own in (callers.web, None):
            context = callers.client(own)
            with httpx.Client(http2=True, http1=False, verify=context, timeout=SECONDS) as client:
                found = [client.get(f"https://localhost:{port}/{number}") for number in range(3)]
            assert {each.http_version for each in found} == {"HTTP/2"}
            assert {each.json()["peer"] is not None for each in found} == {own is not None}


def test_a_server_that_a_request_starts_does_not_inherit_its_peer(files: Files) -> None:
    """asyncio copies the context of who starts it: without the check, its clients were the request's."""
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for scheme in ("https", "http"):
                inner = {
                    "type": "http",
                    "scheme": scheme,
                    "client": writer.get_extra_info("peername"),
                    "server": writer.get_extra_info("sockname"),
                }
                found.append(current_facts(inner))
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        await reader.read()
        writer.close()
        server.close()
        assert current_facts(scope) is not None and current_facts({**scope, "scheme": "http"}) is None
        await telling(scope, receive, send)

    server, client = mutual(files)
    with served(hypercorn, app, server) as port:
        _, body = get(port, client)
    assert json.loads(body)["peer"] is not None
    assert found == [None, None]


def test_a_connection_that_a_request_opens_is_not_its_peer(files: Files) -> None:
    """What an application connects to as a client has a certificate, too."""
    found: list[Any] = []
    server, client = mutual(files)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["path"] == "/outer":
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
            found.append(Peer.of_connection(writer))
            found.append(current_facts(scope))
            writer.close()
        await telling(scope, receive, send)

    with served(hypercorn, app, server) as port:
        _, body = get(port, client, "/outer")
    assert json.loads(body)["peer"] is not None
    assert found[0] is None, "this side is the client: there is no client to tell of"
    assert found[1].peer is not None and "client@example.org" in str(found[1].peer.names)


def test_without_a_connection_of_ours_there_is_no_extension() -> None:
    scope = {"type": "http", "scheme": "https", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    asyncio.run(CurrentPeer(app)({**scope, "extensions": {"tls": {"client_cert_name": "CN=x"}}}, None, None))
    assert seen[0]["extensions"] == {} and shown(seen[0])["peer"] is None


@pytest.mark.parametrize("http", ["h11", "httptools", "zttp", "http2"])
def test_a_protocol_of_ours_answers_no_plain_text(http: str, caplog: pytest.LogCaptureFixture) -> None:
    """As where someone leaves out `ssl_context_factory`."""
    module: Any = library("uvicorn")
    if http in ("zttp", "http2"):
        library("zttp")
    given: Any = options(make_context, http)
    del given["ssl_context_factory"]
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    server = module.Server(module.Config(telling, lifespan="off", log_config=None, **given))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert answer(asked_in_plain(port)) == b""
    finally:
        server.should_exit = True
        thread.join(SECONDS)
    assert "it is not TLS of veritls" in caplog.text


def test_another_librarys_context_is_refused(files: Files) -> None:
    class Config: ...

    def foreign() -> ssl.SSLContext:
        return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    with pytest.raises(TypeError, match="must return a context of veritls, not SSLContext"):
        ContextFactory(foreign)(Config(), foreign)
    with pytest.raises(ValueError, match="http must be one of"):
        options(make_context, "http3")


def test_the_options_reach_another_process() -> None:
    """As uvicorn's `workers` and `reload` send them."""
    factory = pickle.loads(pickle.dumps(options(make_context)))["ssl_context_factory"]

    class Config:
        http_protocol_class = object

    assert isinstance(factory(Config(), make_context), veritls.SSLContext)


def test_the_peer_of_a_connection_itself(files: Files) -> None:
    server, client = mutual(files)
    with tls_pair(server, client) as (server_end, client_end):
        peer = Peer.of_connection(server_end)
        assert peer is not None and ("email", "client@example.org") in peer.names
        assert peer.certificate == server_end.getpeercert(True)
        assert list(peer.chain) == server_end.get_verified_chain()
        assert repr(peer) == f"<Peer {peer.subject!r}, 1 name>"
        assert Peer.of_connection(client_end) is None
    for thing in (None, 7, object(), server):
        assert Peer.of_connection(thing) is None


def test_serve_of_hypercorn_needs_its_config_and_a_loop_of_ours() -> None:
    library("hypercorn")
    from veritls.serving.hypercorn import Config, serve

    with pytest.raises(RuntimeError, match="needs a loop of veritls"):
        asyncio.run(serve(telling, Config(make_context)))
    with pytest.raises(TypeError, match="config must be"):
        veritls.aio.run(serve(telling, object()))  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="hypercorn has no setting 'certificate'"):
        Config(make_context, certificate="x")
    with pytest.raises(ValueError, match="needs make_context"):
        Config().create_ssl_context()


SERVERS = {"aiohttp", "asyncio", "fastapi", "gunicorn", "hypercorn", "starlette", "uvicorn"}


def test_the_import_of_serving_loads_no_server() -> None:
    found = {name.partition(".")[0] for name in loaded("import veritls.serving, veritls.serving.uvicorn")}
    assert not found & SERVERS
    assert "veritls.serving" not in loaded("import veritls")
