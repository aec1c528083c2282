"""The sending half of the transport: straight to the kernel, and what it does not take is kept in order."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import io
from asyncio import constants, transports
from asyncio.log import logger
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from veritls import _engine

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_HIGH_WATER = 512 * 1024
"""asyncio's own for TLS, in bytes; the low-water mark is a quarter of it."""
_TOGETHER = 64 * 1024
"""Small pieces that wait are sent together, up to so many bytes."""
_PIECES_A_TURN = 16
_FILE_PIECE = 256 * 1024


class Phase(IntEnum):
    """Where a connection is; it only goes forward."""

    HANDSHAKE = 0
    OPEN = 1
    FLUSHING = 2
    """`close` was called; what was written before goes out."""
    LINGERING = 3
    """Our close_notify went out; the peer's is awaited, so that our last bytes are not lost to a reset."""
    LOST = 4


class Outbound(transports._FlowControlMixin):
    """Keeps the plaintext that the engine has not taken; the engine keeps the records that wait."""

    _protocol: Any
    _loop: Any
    if TYPE_CHECKING:

        def _set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
        def _maybe_pause_protocol(self) -> None: ...
        def _maybe_resume_protocol(self) -> None: ...

    def __init__(
        self, loop: Any, link: _engine.EventLoopStream, fd: int, context: contextvars.Context | None
    ) -> None:
        super().__init__(None, loop)
        self._set_write_buffer_limits(high=_HIGH_WATER)
        self._link = link
        self._fd = fd
        self._context = context
        self._phase = Phase.HANDSHAKE
        self._direct = False
        """Nothing stands between a `write` and the kernel."""
        self._closing = False
        self._sealed = False
        self._sealing = False
        self._writing = False
        self._backlog: deque[bytes | memoryview] = deque()
        self._backlog_size = 0
        self._dropped = 0
        self._file_waiter: asyncio.Future[None] | None = None
        self._sending_file = False

    def _in_context(self, callback: Callable[[], None]) -> Callable[[], None]:
        """`callback` for a loop's `_add_reader` and `_add_writer`, which before 3.15 take no context."""
        return callback if self._context is None else functools.partial(self._context.run, callback)

    def _fatal_error(self, error: BaseException, message: str) -> None:
        raise NotImplementedError

    def _say_goodbye(self) -> None:
        raise NotImplementedError

    def _goodbye_said(self) -> None:
        raise NotImplementedError

    def _waiting(self) -> bool:
        return bool(self._backlog) or self._link.unsent_size() > 0

    def get_write_buffer_size(self) -> int:
        """Bytes that were written and that the kernel has not taken, as plaintext or as records."""
        if self._direct or self._phase is Phase.LOST:
            return 0
        return self._backlog_size + self._link.unsent_size()

    def write(self, data: ReadableBuffer) -> None:
        """Sends `data`, a bytes-like object, or keeps what the kernel does not take now.

        Raises TypeError for anything else, RuntimeError after `write_eof` and during `sendfile`. After
        `close` or a lost connection nothing is sent or raised, as with asyncio.
        """
        if not self._direct:
            self._write_later(data)
            return
        try:
            left = self._link.write(data)
        except OSError as error:
            self._fatal_error(error, "Fatal write error on TLS transport")
            return
        if left is not None:
            self._direct = False
            if left:
                self._keep(data, left)
            self._watch_writable()
            self._maybe_pause_protocol()

    def _keep(self, data: ReadableBuffer, left: int) -> None:
        view = memoryview(data).cast("B")
        rest = view[len(view) - left :]
        # What cannot change can be kept without a copy.
        self._backlog.append(rest if isinstance(data, bytes) else bytes(rest))
        self._backlog_size += left

    def _write_later(self, data: ReadableBuffer) -> None:
        size = memoryview(data).nbytes
        if self._sealed:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._sending_file:
            raise RuntimeError("unable to write; sendfile is in progress")
        if self._closing:
            if self._dropped >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("TLS connection is closed: write() to it sends nothing")
            self._dropped += 1
            return
        if size:
            self._keep(data, size)
            self._maybe_pause_protocol()

    def _watch_writable(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop._add_writer(self._fd, self._in_context(self._write_ready))

    def _unwatch_writable(self) -> None:
        if self._writing:
            self._writing = False
            self._loop._remove_writer(self._fd)

    def _next_piece(self) -> bytes | memoryview:
        piece = self._backlog.popleft()
        if not self._backlog or len(piece) >= _TOGETHER:
            return piece
        pieces, size = [piece], len(piece)
        while self._backlog and size + len(self._backlog[0]) <= _TOGETHER:
            pieces.append(self._backlog.popleft())
            size += len(pieces[-1])
        return b"".join(pieces)

    def _send_backlog(self) -> bool:
        """Whether nothing waits any more."""
        if self._phase is Phase.HANDSHAKE:
            return self._link.flush() and not self._backlog
        for _ in range(_PIECES_A_TURN):
            if not self._backlog:
                return self._link.flush()
            piece = self._next_piece()
            left = self._link.write(piece)
            self._backlog_size -= len(piece) - (left or 0)
            if left is not None:
                if left:
                    self._backlog.appendleft(memoryview(piece)[len(piece) - left :])
                return False
        return False

    def _write_ready(self) -> None:
        try:
            done = self._send_backlog()
        except OSError as error:
            self._fatal_error(error, "Fatal write error on TLS transport")
            return
        if done:
            self._unwatch_writable()
            self._drained()
        else:
            self._watch_writable()
            self._maybe_resume_protocol()

    def _drained(self) -> None:
        """All that was written is with the kernel."""
        if self._file_waiter is not None and not self._file_waiter.done():
            self._file_waiter.set_result(None)
        if self._phase is Phase.OPEN:
            if self._sealing:
                self._seal()
            self._direct = not (self._sealed or self._sending_file)
        self._maybe_resume_protocol()  # may write, close and abort
        if self._waiting():
            return
        if self._phase is Phase.FLUSHING:
            self._say_goodbye()
        elif self._phase is Phase.LINGERING:
            self._goodbye_said()

    def can_write_eof(self) -> bool:
        """True: TLS can end one direction and leave the other open (RFC 8446, section 6.1)."""
        return True

    def write_eof(self) -> None:
        """Sends close_notify after what was written. Reading goes on, and TCP stays open."""
        if self._closing or self._sealed:
            return
        self._sealed = True
        self._direct = False
        if self._phase is Phase.HANDSHAKE or self._waiting():
            self._sealing = True
        else:
            self._seal()

    def _seal(self) -> None:
        self._sealing = False
        try:
            if not self._link.send_close_notify():
                self._watch_writable()
        except OSError as error:
            self._fatal_error(error, "Fatal write error on TLS transport")

    def _drop_output(self) -> None:
        self._unwatch_writable()
        self._backlog.clear()
        self._backlog_size = 0
        if self._file_waiter is not None and not self._file_waiter.done():
            self._file_waiter.set_exception(ConnectionError("Connection is closed by peer"))

    async def _until_sent(self) -> None:
        if self._closing:
            raise ConnectionError("Connection is closed by peer")
        if self._waiting():
            self._file_waiter = self._loop.create_future()
            try:
                await self._file_waiter
            finally:
                self._file_waiter = None

    async def _send_file(self, file: Any, offset: int, count: int | None) -> int:
        """What `loop.sendfile` does: the engine reads the file, and no byte of it passes through Python."""
        try:
            source = _engine.File(file)
        except (AttributeError, TypeError, io.UnsupportedOperation, OSError):
            source = None
        if source is None or not source.regular:
            raise asyncio.SendfileNotAvailableError("not a regular file")
        if self._sealed:
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
                    taken = self._link.send_file(source, offset + sent, wanted)
                except OSError as error:
                    self._fatal_error(error, "Fatal write error on TLS transport")
                    raise
                if taken is None:
                    break
                sent += taken
                if self._link.unsent_size():
                    self._watch_writable()
                else:
                    await asyncio.sleep(0)
            await self._until_sent()
            return sent
        finally:
            self._sending_file = False
            self._direct = self._phase is Phase.OPEN and not self._sealed and not self._waiting()
            if sent:
                file.seek(offset + sent)
