"""Servers on the loops: every way to make one, many clients at once, and how they close."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import veritls.aio
from tests.aio.ends import LoopFactory, Recorder, both_contexts, connected, run
from tests.conftest import Files


class Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        assert isinstance(transport, veritls.aio.SSLTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def ask(address: Any, context: Any, text: bytes, **options: Any) -> bytes:
    if isinstance(address, str):
        opened = asyncio.open_unix_connection(address, ssl=context, server_hostname="localhost", **options)
    else:
        opened = asyncio.open_connection(*address[:2], ssl=context, server_hostname="localhost", **options)
    reader, writer = await opened
    assert isinstance(writer.transport, veritls.aio.SSLTransport)
    writer.write(text)
    answer = await reader.readexactly(len(text))
    writer.close()
    await writer.wait_closed()
    return answer


@asynccontextmanager
async def serving(context: Any, **options: Any) -> AsyncIterator[Any]:
    loop = asyncio.get_running_loop()
    if "sock" not in options:
        options.setdefault("host", "127.0.0.1")
        options.setdefault("port", 0)
    server = await loop.create_server(Echo, ssl=context, **options)
    async with server:
        yield server


@pytest.mark.parametrize(
    "options",
    [{}, {"host": ["127.0.0.1", "localhost"]}, {"reuse_port": True, "reuse_address": True, "backlog": 1}],
    ids=["one", "hosts", "reuse"],
)
def test_a_server_on_an_address_serves(files: Files, loop_factory: LoopFactory, options: Any) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        async with serving(own, **options) as server:
            for listener in server.sockets:
                assert await ask(listener.getsockname(), other, b"hello") == b"hello"
            assert server.is_serving()
        assert server.sockets == ()

    run(loop_factory, main())


def test_a_server_on_a_given_socket_starts_when_it_is_told_to(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            async with serving(own, sock=listener, start_serving=False) as server:
                with pytest.raises(ConnectionRefusedError):
                    await ask(listener.getsockname(), other, b"too early")
                await server.start_serving()
                assert await ask(listener.getsockname(), other, b"hello") == b"hello"

    run(loop_factory, main())


def test_a_unix_server_serves(files: Files, loop_factory: LoopFactory, tmp_path: Path) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        path = str(tmp_path / "socket")
        loop = asyncio.get_running_loop()
        async with await loop.create_unix_server(Echo, path, ssl=own):
            assert await ask(path, other, b"hello") == b"hello"
        if sys.version_info >= (3, 13):
            assert not (tmp_path / "socket").exists()

    run(loop_factory, main())


def test_many_clients_at_once_are_served_each_its_own(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        async with serving(own) as server:
            address = server.sockets[0].getsockname()
            texts = [f"{number:05}".encode() * (1 + number * 50) for number in range(200)]
            assert await asyncio.gather(*(ask(address, other, text) for text in texts)) == texts

    run(loop_factory, main())


def test_a_server_that_serves_for_ever_ends_when_it_is_cancelled(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        async with serving(own) as server:
            forever = asyncio.ensure_future(server.serve_forever())
            assert await ask(server.sockets[0].getsockname(), other, b"hello") == b"hello"
            forever.cancel()
            with pytest.raises(asyncio.CancelledError):
                await forever
            assert not server.is_serving()

    run(loop_factory, main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in Python 3.13")
@pytest.mark.parametrize("way", ["close_clients", "abort_clients"])
def test_a_server_ends_its_connections(files: Files, loop_factory: LoopFactory, way: str) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        loop = asyncio.get_running_loop()
        ended = Recorder()
        server: Any = await loop.create_server(lambda: ended, "127.0.0.1", 0, ssl=own)
        port = server.sockets[0].getsockname()[1]
        client = Recorder()
        await loop.create_connection(
            lambda: client, "127.0.0.1", port, ssl=other, server_hostname="localhost"
        )
        await ended.told("made")
        server.close()
        getattr(server, way)()
        await server.wait_closed()
        await client.told("lost")
        assert ended.events == ["made", "lost"]

    run(loop_factory, main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="before, it does not wait")
def test_wait_closed_waits_for_the_last_connection(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        loop = asyncio.get_running_loop()
        kept = Recorder()
        server: Any = await loop.create_server(lambda: kept, "127.0.0.1", 0, ssl=own)
        port = server.sockets[0].getsockname()[1]
        client = Recorder()
        await loop.create_connection(
            lambda: client, "127.0.0.1", port, ssl=other, server_hostname="localhost"
        )
        await kept.told("made")
        server.close()
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()
        client.transport.close()
        await waiting
        assert "lost" in kept.events

    run(loop_factory, main())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"host": None, "port": None}, ValueError),
        ({"sock": socket.socket(socket.AF_INET, socket.SOCK_DGRAM)}, ValueError),
    ],
)
def test_arguments_that_cannot_be_are_refused(
    files: Files, loop_factory: LoopFactory, options: Any, error: type[Exception]
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(error):
            await loop.create_server(Echo, ssl=both_contexts(files)[0], **options)

    run(loop_factory, main())


def test_the_loop_is_asyncio_s_own_for_everything_else(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        assert isinstance(loop, asyncio.AbstractEventLoop)
        server = await loop.create_server(lambda: Recorder(), "127.0.0.1", 0)
        client = Recorder()
        await loop.create_connection(lambda: client, *server.sockets[0].getsockname())
        client.transport.abort()
        server.close()
        assert await loop.run_in_executor(None, lambda: 5) == 5

    run(loop_factory, main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_socket_connects_to_an_address_and_to_a_name(loop_factory: LoopFactory, host: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as listener, socket.socket(family) as client:
            client.setblocking(False)
            listener.bind((host, 0))
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, listener.getsockname()[:2])
            listener.listen()
            with socket.socket(family) as second:
                second.setblocking(False)
                await loop.sock_connect(second, (host, listener.getsockname()[1]))
                assert second.getpeername() == listener.getsockname()

    run(loop_factory, main())


def test_the_socket_of_a_transport_cannot_be_watched_by_another_reader(files: Files) -> None:
    async def main() -> None:
        async with connected(files) as (_, client):
            number = client.transport.get_extra_info("socket").fileno()
            with pytest.raises(RuntimeError, match="is used by transport"):
                asyncio.get_running_loop().add_reader(number, print)

    run(veritls.aio.EventLoop, main())
