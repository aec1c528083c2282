"""start_tls: the socket of a plain transport goes on under a TLS transport. No byte is lost or reordered.

Bytes that arrive before the handshake are not protected: anyone on the path may have written them. They are
never delivered as if they had come through TLS. A server's handshake begins with them: a client may send its
hello right behind the line that asks for TLS, and anything else fails the handshake. A client speaks first in
TLS, so it refuses bytes that its server sent before. Bytes in an asyncio.StreamReader and in the kernel are
found; bytes in a buffer of the protocol's own are not.
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

_QUOTED = 16
"""How many of the bytes that arrived too early an error quotes."""


def _too_early(data: bytes) -> ssl.SSLError:
    quoted = f"{data[:_QUOTED]!r}{' and more' if len(data) > _QUOTED else ''}"
    words = f"data before handshake: the peer sent {quoted} unprotected, before the TLS handshake"
    return ssl_error("DATA_BEFORE_HANDSHAKE", words)


def _stream_reader(protocol: Any) -> Any:
    """The StreamReader that `protocol` feeds, which asyncio keeps private; None where there is none."""
    feeds_a_reader = isinstance(protocol, asyncio.StreamReaderProtocol)
    return protocol._stream_reader if feeds_a_reader else None


def _take_unread(*protocols: Any) -> bytes:
    """Empties the StreamReaders of `protocols`; returns the bytes that the program had not read."""
    taken = bytearray()
    for protocol in protocols:
        reader = _stream_reader(protocol)
        if reader is not None:
            taken += reader._buffer
            reader._buffer.clear()
    return bytes(taken)


def refuse_unread(transport: Any, protocol: Any, context: Any) -> None:
    """For asyncio's own start_tls, which takes no early bytes: refuses a StreamReader that holds some.

    Raises ssl.SSLError and closes the connection.
    """
    if not isinstance(context, SSLContext) or not hasattr(transport, "get_protocol"):
        return
    unread = _take_unread(transport.get_protocol(), protocol)
    if unread:
        transport.abort()
        raise _too_early(unread)


class _Handover(asyncio.Protocol):
    """The plain transport's protocol while TLS takes over: waits until all that was written is sent."""

    def __init__(self, loop: Any) -> None:
        self._empty: asyncio.Future[None] = loop.create_future()
        self.paused = False
        self.upper: SSLTransport | None = None

    def data_received(self, data: bytes) -> None:
        # The program made the plain transport read again: these bytes were the handshake's.
        self.fail(_too_early(data))

    def fail(self, error: BaseException) -> None:
        if not self._empty.done():
            self._empty.set_exception(error)
            self._empty.exception()  # no warning where `sent` does not wait for it

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        if not self._empty.done():
            self._empty.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.fail(exc or ConnectionResetError("the connection was closed"))
        if self.upper is not None:
            self.upper._force_close(exc)

    async def sent(self, transport: transports.Transport, protocol: Any) -> None:
        """Returns once the kernel has all that was written to `transport`."""
        size = transport.get_write_buffer_size()
        transport.set_write_buffer_limits(high=0)
        if size:
            # A transport that pauses us now had not paused `protocol`; else it had, and must let it go on.
            paused_before = not self.paused
            await self._empty
            if paused_before:
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
    """TLS over the socket of `transport`, which first sends what was written to it, and reads no more.

    `duplicate`: the TLS transport gets a file descriptor of its own, and the plain transport ends: libuv lets
    only one of them watch a descriptor. Bytes that the plain protocol was given before belong to it. Raises
    what the handshake raises; the connection is then closed. Wrong arguments raise, and leave the connection
    as it was.
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
    except BaseException as error:
        upper._tell_end(error if isinstance(error, ssl.SSLError) else None)
        transport.abort()
        upper._force_close(None)
        raise
    return upper


def _redirect(transport: Any, protocol: Any, upper: SSLTransport) -> None:
    """Pausing and resuming the plain transport now pauses and resumes the TLS transport.

    asyncio's StreamReader goes on to call the plain one: it is never told of the new one.
    """
    reader = _stream_reader(protocol)
    if reader is not None:
        reader._transport = upper
    with contextlib.suppress(AttributeError):  # uvloop's has no such attributes to set; it is closed instead
        transport.pause_reading = upper.pause_reading
        transport.resume_reading = upper.resume_reading
