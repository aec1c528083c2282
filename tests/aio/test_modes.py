"""Every cell of the mode table over the transport, on both loops and with `ssl` at the other end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import veritls
import veritls.aio
from tests import test_policy_table as table
from tests.aio.ends import LoopFactory, run
from tests.conftest import Files
from tests.ecosystem.parties import MODES
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context
from tests.test_policy_table import version as version

Talk = Callable[..., None]


async def open_streams(
    context: ssl.SSLContext, raw: socket.socket, *, server: bool, name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The streams of one end over a connected socket."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    if server:
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, raw, ssl=context)
    else:
        transport, _ = await loop.create_connection(
            lambda: protocol, sock=raw, ssl=context, server_hostname=name or ""
        )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def converse(
    context: ssl.SSLContext, raw: socket.socket, end: table.End, *, server: bool, name: str | None
) -> None:
    reader, writer = await open_streams(context, raw, server=server, name=name)
    tls = writer.get_extra_info("ssl_object")
    assert isinstance(tls, veritls.SSLObject) and isinstance(tls, ssl.SSLObject)
    assert isinstance(writer.transport, veritls.aio.SSLTransport)
    end.certificate, end.binary = tls.getpeercert(), tls.getpeercert(binary_form=True)
    end.state = {"version": tls.version(), "cipher": tls.cipher()}
    assert writer.get_extra_info("peercert") == end.certificate
    writer.write(b"from server" if server else b"from client")
    try:
        end.received = await reader.read(1024)
        if not end.received:
            raise ConnectionError("closed without a word")
    finally:
        writer.close()


@pytest.fixture
def transport(loop_factory: LoopFactory) -> Talk:
    def talk(
        context: ssl.SSLContext, raw: socket.socket, end: table.End, *, server: bool, name: str | None
    ) -> None:
        run(loop_factory, converse(context, raw, end, server=server, name=name))

    return talk


class TestServer(table.TestServer):
    pass


class TestClient(table.TestClient):
    pass


def blocking(context: ssl.SSLContext, raw: socket.socket, *, server: bool) -> bytes:
    """The other end: the standard module, in a thread of its own."""
    with context.wrap_socket(
        raw, server_side=server, server_hostname=None if server else "localhost"
    ) as connection:
        connection.sendall(b"from server" if server else b"from client")
        return connection.recv(1024)


def talk_to_ssl(
    factory: LoopFactory, own: ssl.SSLContext, other: ssl.SSLContext, *, server: bool
) -> tuple[table.End, Any]:
    """One connection between our transport and `ssl`: the outcome at ours, and the future of the other."""
    server_raw, client_raw = raw_pair()
    ours, theirs = (server_raw, client_raw) if server else (client_raw, server_raw)
    end = table.End()
    with ours, theirs:
        serving = in_thread(blocking, other, theirs, server=not server)
        try:
            run(factory, converse(own, ours, end, server=server, name="localhost"))
        except (OSError, TimeoutError) as error:
            end.error = error
        serving.exception(SECONDS)
    return end, serving


@pytest.mark.parametrize(
    ("mode", "client", "seen"),
    [
        ("none", "client", None),
        ("optional", None, None),
        ("optional", "client", "client@example.org"),
        ("required", "client", "client@example.org"),
    ],
)
def test_a_client_of_ssl_is_served_as_the_mode_says(
    files: Files, loop_factory: LoopFactory, mode: str, client: str | None, seen: str | None
) -> None:
    server, other = server_context(files.server), client_context(files.ca, ssl)
    server.load_verify_locations(files.ca)
    server.verify_mode = MODES[mode]
    if client:
        other.load_cert_chain(getattr(files, client))
    end, serving = talk_to_ssl(loop_factory, server, other, server=True)
    assert (end.error, end.received, serving.result(SECONDS)) == (None, b"from client", b"from server")
    assert dict((end.certificate or {}).get("subjectAltName", ())).get("email") == seen


@pytest.mark.parametrize(
    ("mode", "client"),
    [("optional", "stranger"), ("required", None), ("required", "stranger"), ("required", "expired")],
)
def test_a_client_of_ssl_is_refused_as_the_mode_says(
    files: Files, loop_factory: LoopFactory, mode: str, client: str | None
) -> None:
    server, other = server_context(files.server), client_context(files.ca, ssl)
    server.load_verify_locations(files.ca)
    server.verify_mode = MODES[mode]
    if client:
        other.load_cert_chain(getattr(files, client))
    end, serving = talk_to_ssl(loop_factory, server, other, server=True)
    assert isinstance(end.error, ssl.SSLError) and end.received == b""
    assert isinstance(serving.exception(SECONDS), ssl.SSLError)


def test_a_server_of_ssl_is_accepted_and_authenticated(files: Files, loop_factory: LoopFactory) -> None:
    own, other = client_context(files.ca), server_context(files.server, ssl)
    own.load_cert_chain(files.client)
    other.load_verify_locations(files.ca)
    other.verify_mode = ssl.CERT_REQUIRED
    end, serving = talk_to_ssl(loop_factory, own, other, server=False)
    assert (end.error, end.received, serving.result(SECONDS)) == (None, b"from server", b"from client")
    assert ("DNS", "localhost") in end.certificate["subjectAltName"]


@pytest.mark.parametrize("certificate", ["stranger", "expired_server"])
def test_a_server_of_ssl_is_refused_for_its_certificate(
    files: Files, loop_factory: LoopFactory, certificate: str
) -> None:
    other = server_context(getattr(files, certificate), ssl)
    end, serving = talk_to_ssl(loop_factory, client_context(files.ca), other, server=False)
    assert isinstance(end.error, ssl.SSLCertVerificationError)
    assert isinstance(serving.exception(SECONDS), ssl.SSLError)


def test_a_client_that_ssl_refuses_learns_the_alert(files: Files, loop_factory: LoopFactory) -> None:
    other = server_context(files.server, ssl)
    other.load_verify_locations(files.ca)
    other.verify_mode = ssl.CERT_REQUIRED
    end, _ = talk_to_ssl(loop_factory, client_context(files.ca), other, server=False)
    assert isinstance(end.error, ssl.SSLError)
    assert end.error.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
