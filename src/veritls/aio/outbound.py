"""The sending part of a transport: straight to the kernel, and what it does not take is kept in order.

Owns the plaintext that the engine has not taken; the engine owns the records that the kernel has not taken.
"""

from __future__ import annotations

import asyncio
import io
from asyncio import constants
from asyncio.log import logger
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from veritls import _engine
from veritls.aio.connection import Connection, Phase

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HIGH_WATER = 512 * 1024
"""asyncio's own for TLS, in bytes; the low-water mark is a quarter of it."""
_JOINED = 64 * 1024
"""Small pieces that wait are joined and sent together, up to so many bytes."""
_PIECES_AT_ONCE = 16
"""Pieces of the backlog that one call from the loop sends: no connection holds the loop."""
_FILE_PIECE = 256 * 1024


class Owner(Protocol):
    """What the sending part is given of its transport."""

    def _fatal_error(self, error: BaseException, message: str) -> None: ...
    def _maybe_pause_protocol(self) -> None: ...
    def _maybe_resume_protocol(self) -> None: ...
    def _all_sent(self) -> None: ...


class Outbound:
    """Everything that a transport sends, and how much of it waits."""

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_close_notify_waits",
        "_connection",
        "_direct",
        "_dropped",
        "_eof_written",
        "_file_waiter",
        "_owner",
        "_sending_file",
        "_stream",
    )

    def __init__(self, owner: Owner, connection: Connection) -> None:
        self._owner = owner
        self._connection = connection
        self._stream = connection.stream
        self._direct = False
        """Nothing stands between a `write` and the kernel."""
        self._backlog: deque[bytes | memoryview] | None = None
        """None where nothing waits: an empty deque takes 600 bytes, and most connections are idle."""
        self._backlog_size = 0
        self._eof_written = False
        self._close_notify_waits = False
        """`write_eof` was called while something else had to go out first."""
        self._dropped = 0
        self._file_waiter: asyncio.Future[None] | None = None
        self._sending_file = False

    def waiting(self) -> bool:
        """Whether anything was written that the kernel has not taken."""
        return bool(self._backlog) or self._stream.unsent_size() > 0

    def size(self) -> int:
        """Bytes that were written and that the kernel has not taken, as plaintext or as records."""
        if self._direct or self._connection.phase is Phase.LOST:
            return 0
        return self._backlog_size + self._stream.unsent_size()

    def write(self, data: ReadableBuffer) -> None:
        """Sends `data`, or keeps what the kernel does not take now."""
        if not self._direct:
            self._write_later(data)
            return
        try:
            left = self._stream.write(data)
        except OSError as error:
            self._owner._fatal_error(error, "Fatal write error on TLS transport")
            return
        if left is not None:
            self._direct = False
            if left:
                self._keep(data, left)
            self.watch()
            self._owner._maybe_pause_protocol()

    def _write_later(self, data: ReadableBuffer) -> None:
        size = memoryview(data).nbytes
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._sending_file:
            raise RuntimeError("unable to write; sendfile is in progress")
        if self._connection.phase >= Phase.FLUSHING:
            if self._dropped >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("TLS connection is closed: write() to it sends nothing")
            self._dropped += 1
            return
        if size:
            self._keep(data, size)
            self._owner._maybe_pause_protocol()

    def _keep(self, data: ReadableBuffer, left: int) -> None:
        view = memoryview(data).cast("B")
        rest = view[len(view) - left :]
        if self._backlog is None:
            self._backlog = deque()
        # What cannot change can be kept without a copy.
        self._backlog.append(rest if isinstance(data, bytes) else bytes(rest))
        self._backlog_size += left

    # What waits goes out.

    def watch(self) -> None:
        """Goes on sending as soon as the kernel takes more."""
        self._connection.add_writer(self._on_writable)

    def _on_writable(self) -> None:
        try:
            done = self._flush()
        except OSError as error:
            self._owner._fatal_error(error, "Fatal write error on TLS transport")
            return
        if done:
            self._connection.remove_writer()
            self.drained()
        else:
            self.watch()
            self._owner._maybe_resume_protocol()

    def _flush(self) -> bool:
        """Sends what waits, within a bound; whether nothing waits any more."""
        if self._connection.phase is Phase.HANDSHAKE:
            return self._stream.flush() and not self._backlog
        for _ in range(_PIECES_AT_ONCE):
            if not self._backlog:
                self._backlog = None
                return self._stream.flush()
            piece = _next_piece(self._backlog)
            left = self._stream.write(piece)
            self._backlog_size -= len(piece) - (left or 0)
            if left is not None:
                if left:
                    self._backlog.appendleft(memoryview(piece)[len(piece) - left :])
                return False
        return False

    def drained(self) -> None:
        """The kernel has all that was written, or what the handshake had to send."""
        if self._file_waiter is not None and not self._file_waiter.done():
            self._file_waiter.set_result(None)
        if self._connection.phase is Phase.OPEN:
            if self._close_notify_waits:
                self._send_waiting_close_notify()
            self._direct = not (self._eof_written or self._sending_file)
        self._owner._maybe_resume_protocol()  # may write, close and abort
        if not self.waiting():
            self._owner._all_sent()

    def start(self) -> None:
        """After the handshake: sends a server's tickets and what was written while it went on."""
        if self._direct:
            self._send_tickets()
        if self._backlog:
            self._on_writable()

    def _send_tickets(self) -> None:
        """A server's, where `connection_made` wrote nothing that they went with.

        They carry the acknowledgement of the client's last flight, without which Nagle's algorithm holds the
        first request of a client that has not set TCP_NODELAY for 40 ms.
        """
        try:
            sent = self._stream.flush()
        except OSError:
            return  # the client is gone, and what it sent before is still to be read
        if not sent:
            self._direct = False
            self.watch()

    # The end of what is sent.

    def write_eof(self) -> None:
        """Sends close_notify after what was written."""
        if self._connection.phase >= Phase.FLUSHING or self._eof_written:
            return
        self._eof_written = True
        self._direct = False
        if self._connection.phase is Phase.HANDSHAKE or self.waiting():
            self._close_notify_waits = True
        else:
            self._send_waiting_close_notify()

    def _send_waiting_close_notify(self) -> None:
        self._close_notify_waits = False
        try:
            self.send_close_notify()
        except OSError as error:
            self._owner._fatal_error(error, "Fatal write error on TLS transport")

    def send_close_notify(self) -> None:
        """Sends close_notify now, or as soon as the kernel takes it. Raises OSError."""
        if not self._stream.send_close_notify():
            self.watch()

    def refuse_writes(self) -> None:
        """`close` was called: what waits goes out, a later `write` sends nothing."""
        self._direct = False

    def drop(self) -> None:
        """The connection is lost: forgets what waits."""
        self._direct = False
        self._backlog = None
        self._backlog_size = 0
        if self._file_waiter is not None and not self._file_waiter.done():
            self._file_waiter.set_exception(ConnectionError("Connection is closed by peer"))

    def release(self) -> None:
        """Lets go of the transport, which is lost: no cycle is left to the garbage collector."""
        del self._owner

    # Files.

    async def send_file(self, file: Any, offset: int, count: int | None) -> int:
        """What `loop.sendfile` does: the engine reads the file, and no byte of it passes through Python."""
        try:
            source = _engine.File(file)
        except (AttributeError, TypeError, io.UnsupportedOperation, OSError):
            source = None
        if source is None or not source.regular:
            raise asyncio.SendfileNotAvailableError("not a regular file")
        if self._eof_written:
            raise RuntimeError("Cannot call sendfile() after write_eof()")
        if self._sending_file:
            raise RuntimeError("sendfile is in progress")
        self._sending_file, self._direct = True, False
        sent = 0
        try:
            while count is None or sent < count:
                await self._until_sent()
                wanted = _FILE_PIECE if count is None else min(count - sent, _FILE_PIECE)
                try:
                    taken = self._stream.send_file(source, offset + sent, wanted)
                except OSError as error:
                    self._owner._fatal_error(error, "Fatal write error on TLS transport")
                    raise
                if taken is None:
                    break
                sent += taken
                if self._stream.unsent_size():
                    self.watch()
                else:
                    await asyncio.sleep(0)
            await self._until_sent()
            return sent
        finally:
            self._sending_file = False
            self._direct = (
                self._connection.phase is Phase.OPEN and not self._eof_written and not self.waiting()
            )
            if sent:
                file.seek(offset + sent)

    async def _until_sent(self) -> None:
        if self._connection.phase >= Phase.FLUSHING:
            raise ConnectionError("Connection is closed by peer")
        if self.waiting():
            self.watch()  # tickets that found no client wait without the loop
            self._file_waiter = self._connection.loop.create_future()
            try:
                await self._file_waiter
            finally:
                self._file_waiter = None


def _next_piece(backlog: deque[bytes | memoryview]) -> bytes | memoryview:
    """The first piece of `backlog`, with the small ones behind it; takes them out."""
    piece = backlog.popleft()
    if not backlog or len(piece) >= _JOINED:
        return piece
    pieces, size = [piece], len(piece)
    while backlog and size + len(backlog[0]) <= _JOINED:
        pieces.append(backlog.popleft())
        size += len(pieces[-1])
    return b"".join(pieces)
