"""start_tls: the socket of a plain transport goes on under ours; nothing is lost or comes out of order.

What the peer sent before the handshake was protected by nothing, whoever put it there, and is never handed
out as if it came through TLS. A server's handshake begins with it: a client may send its hello right behind
the line that asks for TLS, and anything else fails the handshake. A client speaks first in TLS, so what its
server sent before that is refused. Both are seen in an asyncio.StreamReader and in the kernel; what a
protocol keeps in a buffer of its own is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from asyncio import transports
from typing import Any

from veritls._context.context import SSLContext
from veritls._explaining.reasons import ssl_error
from veritls.aio.transport import SSLTransport

_SHOWN = 16
"""How many of the bytes that came too early an error quotes."""


def _too_early(data: bytes) -> ssl.SSLError:
    quoted = f"{data[:_SHOWN]!r}{' and more' if len(data) > _SHOWN else ''}"
    words = f"data before handshake: the peer sent {quoted} before the TLS handshake, which nothing protected"
    return ssl_error("DATA_BEFORE_HANDSHAKE", words)


def _take_unread(*protocols: Any) -> bytes:
    """What the StreamReaders of `protocols` hold and nobody has read: they hold nothing afterwards."""
    taken = bytearray()
    for protocol in protocols:
        if isinstance(protocol, asyncio.StreamReaderProtocol):
            reader: Any = protocol._stream_reader  # type: ignore[attr-defined]
            if reader is not None:
                taken += reader._buffer
                reader._buffer.clear()
    return bytes(taken)


def refuse_unread(transport: Any, protocol: Any, context: Any) -> None:
    """Before asyncio's own start_tls, which cannot be handed bytes: raises ssl.SSLError and closes the
    connection where a StreamReader holds some that are not of the new layer."""
    if not isinstance(context, SSLContext) or not hasattr(transport, "get_protocol"):
        return
    unread = _take_unread(transport.get_protocol(), protocol)
    if unread:
        transport.abort()
        raise _too_early(unread)


class _Handover(asyncio.Protocol):
    """The plain transport's protocol from the moment that TLS takes over: waits until all is sent."""

    def __init__(self, loop: Any) -> None:
        self._empty: asyncio.Future[None] = loop.create_future()
        self.paused = False
        self.upper: SSLTransport | None = None

    def data_received(self, data: bytes) -> None:
        # Whoever made the plain transport read again took what was the handshake's.
        self.failed(_too_early(data))

    def failed(self, error: BaseException) -> None:
        if not self._empty.done():
            self._empty.set_exception(error)
            self._empty.exception()  # nobody need wait for it

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        if not self._empty.done():
            self._empty.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.failed(exc or ConnectionResetError("the connection was closed"))
        if self.upper is not None:
            self.upper._force_close(exc)

    async def sent(self, transport: transports.Transport, protocol: Any) -> None:
        """Returns once the kernel has all that was written to `transport`."""
        size = transport.get_write_buffer_size()
        transport.set_write_buffer_limits(high=0)
        if size:
            # Told now, it was not told before: then it was the protocol before us that was.
            others_pause = not self.paused
            await self._empty
            if others_pause:
                protocol.resume_writing()


async def take_over(
    loop: Any,
    transport: transports.Transport,
    protocol: Any,
    context: SSLContext,
    *,
    duplicate: bool,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> SSLTransport:
    """TLS over the socket of `transport`, which first sends what it has, and reads no more.

    `duplicate`: ours gets a file descriptor of its own and the plain transport ends, where the loop lets only
    one party watch one. What the plain protocol was given before belongs to it. Raises what the handshake
    raises; the connection is then closed. Arguments that cannot be right leave the connection as it was.
    """
    if transport.is_closing():
        raise ConnectionResetError("start_tls on a transport that is closing")
    before: Any = transport.get_protocol()
    plain: Any = transport.get_extra_info("socket")
    sock = socket.socket(fileno=os.dup(plain.fileno())) if duplicate else plain
    transport.pause_reading()
    handover = _Handover(loop)
    transport.set_protocol(handover)
    waiter = loop.create_future()
    try:
        upper = SSLTransport(
            loop,
            sock,
            protocol,
            context,
            waiter,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
            lower=None if duplicate else transport,
            made=True,
            context=getattr(transport, "_context", None),
        )
    except BaseException:
        if duplicate:
            sock.close()
        transport.set_protocol(before)
        transport.resume_reading()
        raise
    handover.upper = upper
    try:
        unread = _take_unread(*dict.fromkeys((before, protocol)))
        if unread and not server_side:
            raise _too_early(unread)
        await handover.sent(transport, before)
        _redirect(transport, before, upper)
        if duplicate:
            handover.upper = None
            transport.abort()
        upper._begin(unread)
        await waiter
    except BaseException:
        transport.abort()
        upper._force_close(None)
        raise
    return upper


def _redirect(transport: Any, protocol: Any, upper: SSLTransport) -> None:
    """Whoever still holds the plain transport to pause and resume it means the connection.

    So does asyncio's StreamReader, which never hears of the new one.
    """
    if isinstance(protocol, asyncio.StreamReaderProtocol):
        reader: Any = protocol._stream_reader  # type: ignore[attr-defined]
        if reader is not None:
            reader._transport = upper
    with contextlib.suppress(AttributeError):  # uvloop's cannot be changed; they are closed instead
        transport.pause_reading, transport.resume_reading = upper.pause_reading, upper.resume_reading
