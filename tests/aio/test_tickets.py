"""A TLS 1.3 server's tickets go at the end of its handshake, alone or with what `connection_made` writes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import veritls.aio
from tests.aio.ends import LoopFactory, Recorder, run
from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.support.connections import SECONDS, in_thread, server_context
from tests.test_first_request import Client


async def working(work: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.wrap_future(in_thread(work, *args))


async def accepting(
    server: Any, accepted: socket.socket, files: Files, made_by: str = "connect_accepted_socket"
) -> asyncio.Task[Any]:
    """What ends with the transport of a TLS server over `accepted`, its handshake done."""
    loop, context = asyncio.get_running_loop(), server_context(files.server)
    if made_by == "connect_accepted_socket":

        async def accept() -> Any:
            return (await loop.connect_accepted_socket(lambda: server, accepted, ssl=context))[0]

        return asyncio.create_task(accept())
    plain, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
    upgrading = asyncio.create_task(loop.start_tls(plain, server, context, server_side=True))
    await asyncio.sleep(0)  # from here on the plain transport reads nothing
    return upgrading


@pytest.mark.parametrize("made_by", ["connect_accepted_socket", "start_tls"])
def test_a_servers_tickets_go_before_it_writes_anything(
    files: Files, loop_factory: LoopFactory, made_by: str
) -> None:
    async def main() -> None:
        server = Recorder()
        accepted, raw = socket.socketpair()
        raw.settimeout(SECONDS)
        client = Client(files, raw)
        making = await accepting(server, accepted, files, made_by)
        await working(client.handshake)
        transport = await making
        assert not client.has_ticket()
        assert await working(client.data) == b""
        assert client.has_ticket()
        transport.abort()
        await server.told("lost")
        raw.close()

    run(loop_factory, main())


def test_tickets_go_with_what_connection_made_writes(files: Files, loop_factory: LoopFactory) -> None:
    class Greeting(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(b"hello")

    async def main() -> None:
        server = Greeting()
        accepted, raw = socket.socketpair()
        raw.settimeout(SECONDS)
        client = Client(files, raw)
        making = await accepting(server, accepted, files)
        await working(client.handshake)
        assert await working(client.data) == b"hello"
        assert client.has_ticket()
        (await making).abort()
        await server.told("lost")
        raw.close()

    run(loop_factory, main())


def test_a_server_reads_what_a_client_sent_that_is_gone_before_it_gets_its_tickets(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        server = Recorder()
        accepted, raw = socket.socketpair()
        raw.settimeout(SECONDS)
        client = Client(files, raw)
        making = await accepting(server, accepted, files)
        assert not client.step()
        client.send()
        await working(client.receive)
        assert client.step()
        client.tls.write(b"request")
        client.send()
        raw.close()
        transport = await making
        assert await server.has(7) == b"request"
        transport.abort()
        await server.told("lost")

    run(loop_factory, main())


class ClosesTheClient(Recorder):
    """A server whose client is gone before the tickets go out. It sends `file`, where there is one."""

    def __init__(self, raw: socket.socket, file: Any = None) -> None:
        super().__init__()
        self._raw = raw
        self._file = file
        self.sending: asyncio.Task[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw.close()
        super().connection_made(transport)
        if self._file is not None:
            loop = asyncio.get_running_loop()
            self.sending = loop.create_task(loop.sendfile(self.transport, self._file))


async def without_its_client(files: Files, file: Any = None) -> ClosesTheClient:
    """A server whose tickets could not be sent."""
    accepted, raw = socket.socketpair()
    raw.settimeout(SECONDS)
    client = Client(files, raw)
    server = ClosesTheClient(raw, file)
    making = asyncio.create_task(
        asyncio.get_running_loop().connect_accepted_socket(
            lambda: server, accepted, ssl=server_context(files.server), ssl_shutdown_timeout=1
        )
    )
    await working(client.handshake)
    await making
    return server


def test_a_connection_whose_client_is_gone_before_its_tickets_does_not_wait_for_the_shutdown_timeout(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        server = await without_its_client(files)
        await server.told("lost")
        assert isinstance(server.error, BrokenPipeError | ConnectionResetError)

    run(loop_factory, main())


def test_a_file_for_a_client_that_is_gone_before_its_tickets_does_not_wait_for_the_shutdown_timeout(
    files: Files, loop_factory: LoopFactory, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100_000))

    async def main() -> None:
        with path.open("rb") as file:
            server = await without_its_client(files, file)
            assert server.sending is not None
            with pytest.raises(ConnectionError):
                await server.sending
            await server.told("lost")
        assert isinstance(server.error, BrokenPipeError | ConnectionResetError)

    run(loop_factory, main())


def test_a_request_that_came_with_the_end_of_the_handshake_is_given_in_the_same_turn_of_the_loop(
    files: Files,
) -> None:
    library("uvloop")

    class Noting(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            asyncio.get_running_loop().call_soon(self._note, "next turn")

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._note(data.decode())

    async def main() -> None:
        server = Noting()
        listening = await asyncio.get_running_loop().create_server(
            lambda: server, "127.0.0.1", 0, ssl=server_context(files.server)
        )
        async with listening:
            raw = await working(socket.create_connection, listening.sockets[0].getsockname(), SECONDS)
            with raw:
                client = Client(files, raw)
                assert not client.step()
                client.send()
                await working(client.receive)
                assert client.step()
                client.tls.write(b"request")
                client.send()
                await server.told("next turn")
                assert server.events == ["made", "request", "next turn"]
                assert await working(client.data) == b""
                assert client.has_ticket()
                server.transport.abort()
                await server.told("lost")

    run(veritls.aio.UvloopEventLoop, main())
