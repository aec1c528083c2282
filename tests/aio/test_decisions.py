"""What a program demands of a peer beyond a good path, over the transport of veritls.aio."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import veritls
import veritls.aio
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, raw_pair, server_context
from veritls import _engine
from veritls._connection.sslobject import TransportSSLObject


def talk(server: Any, client: Any) -> str:
    async def main() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
            text = (await reader.read()).decode()
            writer.close()
            return text

    return veritls.aio.run(asyncio.wait_for(main(), SECONDS))


def test_a_callback_is_asked_and_refuses_with_its_reason(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    asked: list[Any] = []
    client.set_verify_callback(asked.append)
    assert talk(server, client) == "hello"
    assert [report.trusted for report in asked] == [True]

    def refuse(report: veritls.VerificationReport) -> None:
        raise LookupError("unknown to us")

    client.set_verify_callback(refuse)
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        talk(server, client)
    assert isinstance(refused.value.__cause__, LookupError)


def test_a_server_that_is_not_allowed_is_refused(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    client.allowed_peers = [veritls.DNSPattern("localhost")]
    assert talk(server, client) == "hello"
    client.allowed_peers = [veritls.DNSPattern("elsewhere")]
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        talk(server, client)
    assert refused.value.verify_code == 50


def test_a_callback_that_uses_its_own_connection_is_refused_there(files: Files) -> None:
    """No deadlock: within the handshake the connection has no state yet, and nothing can be done with it."""
    server, client = server_context(files.server), client_context(files.ca)
    server_raw, client_raw = raw_pair()
    outcomes: list[Any] = []

    def come_back(report: veritls.VerificationReport) -> None:
        work: list[Callable[[], Any]] = [link.unread, link.close_notify_received, link.read, link.flush]
        work += [link.send_close_notify, lambda: link.write(b"x"), lambda: link.handshake(True)]
        for each in work:
            try:
                outcomes.append(each())
            except ValueError as error:
                outcomes.append(type(error))

    client.set_verify_callback(come_back)
    ssl_object = TransportSSLObject._of(client, server_side=False, server_hostname="localhost")
    link = _engine.EventLoopStream(ssl_object._stream, client_raw.fileno())
    with server_raw, client_raw:
        serving = server.wrap_socket(server_raw, server_side=True, do_handshake_on_connect=False)
        serving.setblocking(False)
        done = [False, False]
        while not all(done):
            done[0] = done[0] or link.handshake(readable(client_raw))
            try:
                serving.do_handshake()
                done[1] = True
            except ssl.SSLWantReadError:
                pass
        serving.close()
    assert outcomes == [False, False, *[ValueError] * 5]


def test_an_sni_callback_that_uses_its_own_connection_is_refused_and_its_decision_holds(
    files: Files,
) -> None:
    server, strict = server_context(files.server), server_context(files.server)
    strict.load_verify_locations(files.ca)
    strict.verify_mode = ssl.CERT_REQUIRED
    server_raw, client_raw = raw_pair()
    outcomes: list[Any] = []

    def come_back(connection: Any, name: str | None, context: Any) -> None:
        connection.context = strict
        work: list[Callable[[], Any]] = [link.unread, link.close_notify_received, link.read, link.flush]
        work += [link.send_close_notify, lambda: link.write(b"x"), lambda: link.handshake(True)]
        work += [lambda: link.read_into(bytearray(1))]
        for each in work:
            try:
                outcomes.append(each())
            except ValueError as error:
                outcomes.append(type(error))

    server.sni_callback = come_back
    ssl_object = TransportSSLObject._of(server, server_side=True, server_hostname=None)
    link = _engine.EventLoopStream(ssl_object._stream, server_raw.fileno())
    client = client_context(files.ca)
    with server_raw, client_raw:
        connecting = client.wrap_socket(
            client_raw, server_hostname="localhost", do_handshake_on_connect=False
        )
        connecting.setblocking(False)
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            while not link.handshake(readable(server_raw)):
                with contextlib.suppress(ssl.SSLWantReadError):
                    connecting.do_handshake()
        connecting.close()
    assert outcomes == [False, False, *[ValueError] * 6]
    assert ssl_object.context is strict


@pytest.mark.parametrize("end", ["abort", "close"])
@pytest.mark.parametrize("callback", ["sni_callback", "verify callback"])
def test_a_transport_closed_within_a_callback_goes_no_further(files: Files, end: str, callback: str) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    told: list[str] = []
    transports: list[Any] = []

    class Recording(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            told.append("made")

        def connection_lost(self, error: BaseException | None) -> None:
            told.append("lost")

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        make = loop._make_ssl_transport

        def remember(*args: Any, **kwargs: Any) -> Any:
            transports.append(make(*args, **kwargs))
            return transports[-1]

        loop._make_ssl_transport = remember
        if callback == "sni_callback":
            server.sni_callback = lambda *_: getattr(transports[0], end)()
            listening = await loop.create_server(Recording, "127.0.0.1", 0, ssl=server)
            async with listening:
                raw = socket.create_connection(listening.sockets[0].getsockname(), timeout=SECONDS)
                with raw, pytest.raises(OSError):
                    await asyncio.to_thread(client.wrap_socket, raw, server_hostname="localhost")
        else:
            client.set_verify_callback(lambda _: getattr(transports[0], end)())
            server_raw, client_raw = raw_pair()
            client_raw.setblocking(False)
            with server_raw:
                serving = asyncio.create_task(
                    asyncio.to_thread(server.wrap_socket, server_raw, server_side=True)
                )
                with pytest.raises(OSError):
                    await loop.create_connection(
                        Recording, sock=client_raw, ssl=client, server_hostname="localhost"
                    )
                with pytest.raises(OSError):
                    await serving

    veritls.aio.run(asyncio.wait_for(main(), SECONDS))
    assert told == []


def readable(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
