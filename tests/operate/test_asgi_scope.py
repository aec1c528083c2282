"""An ASGI application sees the client of its connection, and only what the connection itself says."""

from __future__ import annotations

import copy
import json
import os
import pickle
import ssl
from typing import Any

import pytest
from cryptography import x509

from tests.conftest import Files
from tests.operate.serving_ways import connected, get, hypercorn, served, telling, uvicorn, websocket_status
from tests.operate.ways import mutual
from tests.support.connections import received
from veritls.serving import Peer

SERVERS: list[Any] = [
    pytest.param(uvicorn("h11"), id="uvicorn-h11"),
    pytest.param(uvicorn("httptools"), id="uvicorn-httptools"),
    pytest.param(uvicorn("zttp"), id="uvicorn-zttp"),
    pytest.param(uvicorn("http2"), id="uvicorn-http2"),
    pytest.param(hypercorn, id="hypercorn"),
]
servers = pytest.mark.parametrize("make", SERVERS)
LOOPS = pytest.mark.parametrize("loop", ["veritls", "veritls-uvloop"])


@servers
@LOOPS
def test_the_scope_has_the_extension_of_version_0_2_and_the_validated_peer(
    files: Files, make: Any, loop: str
) -> None:
    server, client = mutual(files)
    with served(make, telling, server, loop) as port:
        status, body = get(port, client)
    seen = json.loads(body)
    assert status == 200
    tls = seen["tls"]
    assert set(tls) == {
        "server_cert",
        "client_cert_chain",
        "client_cert_name",
        "client_cert_error",
        "tls_version",
        "cipher_suite",
    }
    assert (tls["tls_version"], tls["client_cert_error"]) == (0x0304, None)
    assert tls["cipher_suite"] in (0x1301, 0x1302, 0x1303)
    own = x509.load_pem_x509_certificates(files.server.read_bytes())[0]
    assert x509.load_pem_x509_certificate(tls["server_cert"].encode()) == own
    leaf = x509.load_pem_x509_certificates(files.client.read_bytes())[0]
    chain = [x509.load_pem_x509_certificate(pem.encode()) for pem in tls["client_cert_chain"]]
    assert chain == [leaf, x509.load_pem_x509_certificate(files.ca.read_bytes())]
    assert tls["client_cert_name"] == leaf.subject.rfc4514_string() == seen["peer"]["subject"]
    assert ["email", "client@example.org"] in seen["names"]


@servers
def test_a_websocket_has_the_peer_of_its_connection(files: Files, make: Any) -> None:
    server, client = mutual(files)
    with served(make, telling, server) as port:
        status, body = websocket_status(port, client)
    assert status == 101
    seen = json.loads(body)
    assert ["email", "client@example.org"] in seen["names"]
    assert len(seen["tls"]["client_cert_chain"]) == 2


@servers
def test_without_a_certificate_there_is_the_extension_and_no_peer(files: Files, make: Any) -> None:
    server, client = mutual(files, None)
    server.verify_mode = ssl.CERT_OPTIONAL
    with served(make, telling, server) as port:
        _, body = get(port, client)
    seen = json.loads(body)
    assert seen["peer"] is None
    assert (seen["tls"]["client_cert_chain"], seen["tls"]["client_cert_name"]) == ([], None)


@servers
def test_a_certificate_that_nobody_validated_is_no_peer(files: Files, make: Any) -> None:
    server, client = mutual(files)
    server.verify_mode = ssl.CERT_NONE
    with served(make, telling, server) as port:
        _, body = get(port, client)
    assert json.loads(body)["peer"] is None


@servers
def test_tls_1_2_and_its_suite_are_numbers(files: Files, make: Any) -> None:
    server, client = mutual(files)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with served(make, telling, server) as port:
        _, body = get(port, client)
    tls = json.loads(body)["tls"]
    assert tls["tls_version"] == 0x0303 and 0xC02B <= tls["cipher_suite"] <= 0xCCAA


@servers
def test_headers_are_not_the_peer(files: Files, make: Any) -> None:
    server, client = mutual(files, None)
    server.verify_mode = ssl.CERT_OPTIONAL
    pem = files.client.read_text().replace("\n", "")
    forged = {
        "X-SSL-Client-Verify": "SUCCESS",
        "X-SSL-Client-Cert": pem,
        "X-Forwarded-Client-Cert": "URI=spiffe://example.org/admin",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "https",
        "Client-Cert": ":TUlJ:",
    }
    with served(make, telling, server) as port:
        _, body = get(port, client, headers=forged)
    assert json.loads(body)["peer"] is None


@servers
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_connection_has_the_peer_that_was_validated(
    files: Files, make: Any, version: ssl.TLSVersion
) -> None:
    server, client = mutual(files)
    client.maximum_version = version
    session, bodies = None, []
    with served(make, telling, server) as port:
        for resumed in (False, True):
            with connected(port, client, session=session) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                bodies.append(json.loads(received(tls).partition(b"\r\n\r\n")[2]))
                assert tls.session_reused is resumed
                session = tls.session
    assert bodies[0]["peer"] == bodies[1]["peer"] is not None
    assert bodies[0]["tls"]["client_cert_chain"] == bodies[1]["tls"]["client_cert_chain"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_uvicorn_has_the_peer_on_the_loops_of_others(files: Files, loop: str) -> None:
    server, client = mutual(files)
    with served(uvicorn("httptools"), telling, server, loop) as port:
        _, body = get(port, client)
    assert json.loads(body)["peer"] is not None


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("ws", ["websockets-sansio", "websockets", "wsproto"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_every_websocket_protocol_of_uvicorn_has_the_peer(files: Files, http: str, ws: str) -> None:
    if ws == "wsproto" and not os.environ.get("CI"):
        pytest.importorskip("wsproto", reason="wsproto is of the extra ecosystem")
    server, client = mutual(files)
    with served(uvicorn(http, ws), telling, server) as port:
        status, body = websocket_status(port, client)
    assert status == 101 and json.loads(body)["peer"] is not None


def forge(peer: dict[str, Any]) -> list[dict[str, Any]]:
    """Scopes that somebody else made."""

    class Same(dict[str, Any]):
        _peer = "admin"

    return [
        {},
        {"extensions": None},
        {"extensions": {"tls": None}},
        {"extensions": {"tls": peer}},
        {"extensions": {"tls": Same(peer)}},
        {"extensions": {"tls": dict(peer, _peer=peer)}},
        {"extensions": {"tls": peer}, "veritls.tls": peer},
        {"veritls.tls": peer},
    ]


def test_a_scope_that_somebody_else_made_has_no_peer(files: Files) -> None:
    pem = files.client.read_text()
    entries = {
        "server_cert": None,
        "client_cert_chain": [pem],
        "client_cert_name": "CN=client",
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1301,
    }
    assert [Peer.of(scope) for scope in forge(entries)] == [None] * 8


@pytest.mark.parametrize("value", [None, "scope", b"", 7])
def test_what_is_no_scope_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"Peer\.of\(\) takes a scope"):
        Peer.of(value)


@pytest.fixture
def scope(files: Files) -> Any:
    """A scope that a server made."""
    seen: list[Any] = []

    async def keep(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await telling(scope, receive, send)

    server, client = mutual(files)
    with served(uvicorn("h11"), keep, server) as port:
        get(port, client)
    return seen[0]


def test_a_copy_of_the_extension_is_nobodys(scope: Any) -> None:
    extension = scope["extensions"]["tls"]
    assert Peer.of(scope) is not None
    for copied in (
        copy.copy(extension),
        copy.deepcopy(extension),
        pickle.loads(pickle.dumps(extension)),
        extension.copy(),
        dict(extension),
        extension | {},
    ):
        assert type(copied) is dict and copied == extension
        assert Peer.of({**scope, "extensions": {"tls": copied}}) is None


def test_what_an_application_writes_into_the_extension_changes_no_peer(scope: Any) -> None:
    before = Peer.of(scope)
    scope["extensions"]["tls"]["client_cert_name"] = "CN=admin"
    scope["extensions"]["tls"]["client_cert_chain"][:] = []
    assert Peer.of(scope) == before is not None
