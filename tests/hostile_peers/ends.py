"""veritls's end of a connection, on each transport, and what it came to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import veritls
import veritls.aio
from tests.support.connections import SECONDS, in_thread, raw_pair

WELCOME = b"welcome"
"""What veritls's end says once it has read something."""


@dataclass
class End:
    """What veritls's end came to."""

    error: Exception | None = None
    received: bytes = b""
    done: bool = False
    """The handshake was done."""
    shown: list[Any] = field(default_factory=list)
    """What getpeercert(True) gave, after the handshake and after the end, where it gave any."""


def _show(tls: Any, end: End) -> None:
    with contextlib.suppress(ValueError, OSError):  # no handshake, no certificate
        found = tls.getpeercert(True)
        if found is not None:
            end.shown.append(found)
        elif tls.getpeercert() is not None:
            end.shown.append("a certificate without its bytes")


def _converse(tls: Any, end: End, run: Callable[[Callable[[], Any]], Any]) -> None:
    try:
        run(tls.do_handshake)
        end.done = True
        _show(tls, end)
        end.received = run(lambda: tls.read(1024))
        run(lambda: tls.write(WELCOME))
    except OSError as error:
        end.error = error
        _show(tls, end)


def blocking(context: veritls.SSLContext, raw: socket.socket, end: End, *, server: bool) -> None:
    name = None if server else "localhost"
    with context.wrap_socket(
        raw, server_side=server, server_hostname=name, do_handshake_on_connect=False
    ) as tls:
        _converse(tls, end, lambda operation: operation())


def bio(context: veritls.SSLContext, raw: socket.socket, end: End, *, server: bool) -> None:
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    name = None if server else "localhost"
    tls = context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=name)

    def run(operation: Callable[[], Any]) -> Any:
        while True:
            try:
                return operation()
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                data = raw.recv(65536)
                incoming.write(data) if data else incoming.write_eof()
            finally:
                with contextlib.suppress(ConnectionError):  # why it is gone is what there is to read
                    raw.sendall(outgoing.read())

    with raw:
        _converse(tls, end, run)


class _Protocol(asyncio.Protocol):
    def __init__(self, end: End) -> None:
        self._end = end
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._end.done = True
        _show(transport.get_extra_info("ssl_object"), self._end)

    def data_received(self, data: bytes) -> None:
        self._end.received += data
        self.transport.write(WELCOME)
        self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._end.error = error
        _show(self.transport.get_extra_info("ssl_object"), self._end)
        self.lost.set_result(None)


def loop(context: veritls.SSLContext, raw: socket.socket, end: End, *, server: bool) -> None:
    async def main() -> None:
        running = asyncio.get_running_loop()
        protocol = _Protocol(end)
        try:
            if server:
                await running.connect_accepted_socket(lambda: protocol, raw, ssl=context)
            else:
                await running.create_connection(
                    lambda: protocol, sock=raw, ssl=context, server_hostname="localhost"
                )
        except OSError as error:
            end.error = error
        else:
            await protocol.lost

    veritls.aio.run(asyncio.wait_for(main(), SECONDS), loop_factory=veritls.aio.EventLoop)


TRANSPORTS = {"blocking": blocking, "bio": bio, "loop": loop}


@contextlib.contextmanager
def meeting(context: Any, transport: str, *, server: bool) -> Iterator[tuple[End, socket.socket]]:
    """veritls's end at work in a thread, and the hostile peer's socket. It is over afterwards."""
    end = End()
    ends = raw_pair()
    own, hostile = ends if server else ends[::-1]

    def run() -> None:
        try:
            TRANSPORTS[transport](context, own, end, server=server)
        finally:
            # A close of the last descriptor with something unread is a reset, which overtakes the alert.
            with contextlib.suppress(OSError):  # the transport has shut it
                kept.shutdown(socket.SHUT_WR)

    with hostile, own.dup() as kept:
        working = in_thread(run)
        yield end, hostile
        hostile.shutdown(socket.SHUT_WR)
        working.result(SECONDS)
