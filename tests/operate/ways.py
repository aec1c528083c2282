"""The ways in which a connection can be driven, on either side; the other side is the test's, on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import veritls.aio
from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.support.connections import SECONDS, client_context, in_thread, server_context
from veritls.events import Event, HandshakeEvent

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def _stock_uvloop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = library("uvloop").new_event_loop()
    return loop


def _our_uvloop() -> asyncio.AbstractEventLoop:
    library("uvloop")
    return veritls.aio.UvloopEventLoop()


LOOPS: dict[str, LoopFactory] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": _stock_uvloop,
    "veritls": veritls.aio.EventLoop,
    "veritls-uvloop": _our_uvloop,
}
WAYS = ["sockets", "implicit", "memory", *LOOPS]
"""implicit: the first read or write does the handshake. asyncio, uvloop: their own TLS, with our contexts."""

KNOW_ADDRESSES = ["sockets", "implicit", "veritls", "veritls-uvloop"]
SEND_ALERTS = ["sockets", "implicit", "memory", "veritls", "veritls-uvloop"]
"""asyncio's and uvloop's own TLS drops the alert of a handshake that fails."""


class Heard:
    """A listener that keeps what it hears of handshakes."""

    def __init__(self) -> None:
        self.events: list[HandshakeEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        assert isinstance(event, HandshakeEvent)
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, count: int = 1) -> list[HandshakeEvent]:
        """The events, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.events) >= count, SECONDS), self.events
            return list(self.events)

    def outcomes(self) -> list[str]:
        return [event.outcome for event in self.events]

    def one(self) -> HandshakeEvent:
        """The event, of which there is one."""
        (event,) = self.wait()
        return event


class Memory:
    """A socket with an SSLObject and two buffers on top."""

    def __init__(self, raw: socket.socket, context: Any, **options: Any) -> None:
        self.raw = raw
        self.incoming, self.outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **options)

    def _do(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._send()
                try:
                    data = self.raw.recv(65536)
                except ConnectionResetError:
                    data = b""
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            finally:
                self._send()

    def _send(self) -> None:
        if self.outgoing.pending:
            self.raw.sendall(self.outgoing.read())

    def do_handshake(self) -> None:
        self._do(self.tls.do_handshake)

    def recv(self, size: int) -> bytes:
        data: bytes = self._do(lambda: self.tls.read(size))
        return data

    def sendall(self, data: bytes) -> None:
        self._do(lambda: self.tls.write(data))


@contextmanager
def wrapped(way: str, raw: socket.socket, context: Any, **options: Any) -> Iterator[Any]:
    """TLS over `raw`, its handshake done, or left to the first read or write."""
    if way == "memory":
        memory = Memory(raw, context, **options)
        memory.do_handshake()
        yield memory
    else:
        with context.wrap_socket(raw, do_handshake_on_connect=way == "sockets", **options) as tls:
            yield tls


def _answer(way: str, raw: socket.socket, context: Any) -> None:
    raw.settimeout(SECONDS)
    with raw, contextlib.suppress(OSError), wrapped(way, raw, context, server_side=True) as tls:
        while data := tls.recv(100):
            tls.sendall(data)


def _accept(way: str, listener: socket.socket, context: Any) -> None:
    with contextlib.suppress(OSError):
        while True:
            raw, _ = listener.accept()
            _answer(way, raw, context)


async def _answer_on_loop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(100):
            writer.write(data)
    writer.close()


@contextmanager
def in_a_loop(way: str) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = LOOPS[way]()
    loop.set_exception_handler(lambda *_: None)
    running = in_thread(loop.run_forever)
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        running.result(SECONDS)
        loop.close()


@contextmanager
def serving(way: str, context: Any, **options: Any) -> Iterator[int]:
    """A server that sends back what it gets; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if way in LOOPS:
            with in_a_loop(way) as loop:
                made = asyncio.start_server(_answer_on_loop, sock=listener, ssl=context, **options)
                server = asyncio.run_coroutine_threadsafe(made, loop).result(SECONDS)
                yield port
                loop.call_soon_threadsafe(server.close)
        else:
            accepting = in_thread(_accept, way, listener, context)
            yield port
            listener.shutdown(socket.SHUT_RDWR)
            accepting.result(SECONDS)


async def _ask_on_loop(port: int, context: Any, name: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        writer.write(b"x")
        return await reader.read(1)
    finally:
        writer.close()


def ask(way: str, port: int, context: Any, name: str = "localhost") -> bytes:
    """A client that sends a byte, and gives what comes back."""
    if way in LOOPS:
        loop = LOOPS[way]()
        loop.set_exception_handler(lambda *_: None)
        try:
            return loop.run_until_complete(asyncio.wait_for(_ask_on_loop(port, context, name), SECONDS))
        finally:
            loop.close()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw,
        wrapped(way, raw, context, server_hostname=name) as tls,
    ):
        tls.sendall(b"x")
        data: bytes = tls.recv(1)
        return data


def mutual(files: Files, own: str | None = "client") -> tuple[Any, Any]:
    """(a server's context that requires a certificate, a client's with that of `own`)."""
    server, client = server_context(files.server), client_context(files.ca)
    server.load_verify_locations(files.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    if own:
        client.load_cert_chain(getattr(files, own))
    return server, client


ways = pytest.mark.parametrize("way", WAYS)
