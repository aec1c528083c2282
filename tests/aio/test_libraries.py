"""aiohttp, websockets, uvicorn and hypercorn on the loops, unmodified."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import veritls
import veritls.aio
from tests.aio.ends import LoopFactory, run
from tests.conftest import Files
from tests.ecosystem.parties import MODES, library
from tests.ecosystem.test_async import over_aiohttp, over_websockets
from tests.support.connections import SECONDS, client_context, server_context

WAYS: dict[str, Any] = {"aiohttp": over_aiohttp, "websockets": over_websockets}
SERVED = [
    ("none", "client", "anonymous"),
    ("optional", None, "anonymous"),
    ("optional", "client", "client@example.org"),
    ("required", "client", "client@example.org"),
]
REFUSED = [("optional", "stranger"), ("required", None), ("required", "stranger")]


def contexts(files: Files, mode: str, client: str | None) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    own = client_context(files.ca)
    if client:
        own.load_cert_chain(getattr(files, client))
    return demanding(files, mode, files.server), own


@pytest.fixture(params=WAYS)
def name(request: pytest.FixtureRequest) -> str:
    library(request.param)
    return str(request.param)


@pytest.mark.parametrize(("mode", "client", "seen"), SERVED)
def test_a_client_is_served_as_the_mode_says(
    files: Files, loop_factory: LoopFactory, name: str, mode: str, client: str | None, seen: str
) -> None:
    assert run(loop_factory, WAYS[name](*contexts(files, mode, client))) == seen


@pytest.mark.parametrize(("mode", "client"), REFUSED)
def test_a_client_is_refused_as_the_mode_says(
    files: Files, loop_factory: LoopFactory, name: str, mode: str, client: str | None
) -> None:
    refused: tuple[type[Exception], ...] = (ssl.SSLError, ConnectionError)
    if name == "aiohttp":
        refused += (library("aiohttp").ClientError,)
    else:
        refused += (library("websockets").exceptions.WebSocketException,)
    with pytest.raises(refused):
        run(loop_factory, WAYS[name](*contexts(files, mode, client)))


def test_a_strangers_server_is_refused_for_its_certificate(
    files: Files, loop_factory: LoopFactory, name: str
) -> None:
    expected: type[Exception] = ssl.SSLCertVerificationError
    if name == "aiohttp":
        expected = library("aiohttp").ClientConnectorCertificateError
    with pytest.raises(expected):
        run(loop_factory, WAYS[name](server_context(files.stranger), client_context(files.ca)))


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"1000000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(1_000_000)})


def demanding(files: Files, mode: str, certificate: Path) -> ssl.SSLContext:
    context: ssl.SSLContext = server_context(certificate)
    context.load_verify_locations(files.ca)
    context.verify_mode = MODES[mode]
    return context


@contextmanager
def uvicorn_serving(context: ssl.SSLContext, factory: LoopFactory) -> Iterator[str]:
    uvicorn: Any = library("uvicorn")
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, loop=f"veritls.aio:{factory.__name__}"
    )
    config.load()
    config.ssl = context
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"https://localhost:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(SECONDS)


@contextmanager
def hypercorn_serving(context: ssl.SSLContext, factory: LoopFactory) -> Iterator[str]:
    hypercorn: Any = library("hypercorn.asyncio")
    config: Any = library("hypercorn.config").Config()
    context.set_alpn_protocols(["h2", "http/1.1"])
    config.certfile = config.keyfile = "given as a context"
    config.create_ssl_context = lambda: context
    config.errorlog = None
    over = threading.Event()

    async def end() -> None:
        await asyncio.get_running_loop().run_in_executor(None, over.wait, SECONDS)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config.bind = [f"fd://{listener.fileno()}"]
        thread = threading.Thread(
            target=veritls.aio.run,
            args=(hypercorn.serve(application, config, shutdown_trigger=end),),
            kwargs={"loop_factory": factory},
        )
        thread.start()
        try:
            yield f"https://localhost:{listener.getsockname()[1]}/"
        finally:
            over.set()
            thread.join(SECONDS)
            listener.detach()


SERVERS = {"uvicorn": uvicorn_serving, "hypercorn": hypercorn_serving}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Any:
    library(request.param)
    return SERVERS[request.param]


def get(url: str, files: Files, own: str | None) -> int:
    context = client_context(files.ca)
    if own:
        context.load_cert_chain(getattr(files, own))
    httpx: Any = library("httpx")
    with httpx.Client(verify=context, timeout=SECONDS, trust_env=False) as client:
        found = {len(client.post(url, content=bytes(size)).content) for size in (1, 300_000)}
    (length,) = found
    return int(length)


@pytest.mark.parametrize(
    ("mode", "client"),
    [("none", "client"), ("optional", None), ("optional", "client"), ("required", "client")],
)
def test_a_server_serves_a_client_as_the_mode_says(
    files: Files, loop_factory: LoopFactory, server: Any, mode: str, client: str | None
) -> None:
    with server(demanding(files, mode, files.server), loop_factory) as url:
        assert get(url, files, client) == 1_000_000


@pytest.mark.parametrize(
    ("mode", "client"), [("optional", "stranger"), ("required", None), ("required", "stranger")]
)
def test_a_server_refuses_a_client_as_the_mode_says(
    files: Files, loop_factory: LoopFactory, server: Any, mode: str, client: str | None
) -> None:
    httpx: Any = library("httpx")
    with (
        server(demanding(files, mode, files.server), loop_factory) as url,
        pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)),
    ):
        get(url, files, client)
