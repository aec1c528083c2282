"""Both ends of connections on veritls's event loops, and what they were told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import veritls.aio
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, server_context

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def run(factory: LoopFactory, main: Coroutine[Any, Any, T]) -> T:
    """Runs `main` on a loop of `factory`, for a bounded time."""
    return veritls.aio.run(asyncio.wait_for(main, SECONDS), loop_factory=factory)


class Recorder(asyncio.Protocol):
    """Keeps what it is told; `wait_for` returns once a condition holds."""

    def __init__(self, keep_open: bool = False) -> None:
        self.events: list[str] = []
        self.received = bytearray()
        self.error: BaseException | None = None
        self.transport: Any = None
        self.keep_open = keep_open
        self._changed = asyncio.Event()

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._changed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._note("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._changed.set()

    def eof_received(self) -> bool:
        self._note("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    def connection_lost(self, error: BaseException | None) -> None:
        self.error = error
        self._note("lost")

    async def wait_for(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def told(self, event: str) -> None:
        await self.wait_for(lambda: event in self.events)

    async def has(self, count: int) -> bytes:
        await self.wait_for(lambda: len(self.received) >= count)
        return bytes(self.received)


class BufferedRecorder(asyncio.BufferedProtocol):
    """The same for a protocol with a buffer of its own, of `size` bytes."""

    def __init__(self, size: int) -> None:
        self.inner = Recorder()
        self.buffer = bytearray(size)
        self.told, self.has, self.received = self.inner.told, self.inner.has, self.inner.received
        self.connection_made = self.inner.connection_made  # type: ignore[method-assign]
        self.connection_lost = self.inner.connection_lost  # type: ignore[method-assign,assignment]
        self.eof_received = self.inner.eof_received  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.inner.data_received(bytes(self.buffer[:nbytes]))


def both_contexts(files: Files, module: Any = veritls) -> tuple[Any, Any]:
    return server_context(files.server, module), client_context(files.ca, module)


@asynccontextmanager
async def connected(
    files: Files,
    server: Any = None,
    client: Any = None,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Any, Any]]:
    """(the server's protocol, the client's) of one connection; both transports are gone afterwards."""
    loop = asyncio.get_running_loop()
    server = server or Recorder()
    client = client or Recorder()
    own, other = contexts or both_contexts(files)
    listening = await loop.create_server(lambda: server, "127.0.0.1", 0, ssl=own, **options)
    try:
        port = listening.sockets[0].getsockname()[1]
        await loop.create_connection(
            lambda: client, "127.0.0.1", port, ssl=other, server_hostname="localhost", **options
        )
        await server.told("made")
        yield server, client
    finally:
        listening.close()
        for end in (server, client):
            transport = getattr(end, "transport", None) or end.inner.transport
            if transport is not None:
                transport.abort()
                await end.told("lost")
        await listening.wait_closed()
