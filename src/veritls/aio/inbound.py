"""The receiving part of a transport: reads when the socket is readable, and feeds the protocol.

Owns whether reading is paused, whether the peer has ended, and what is called when the socket is readable.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Protocol

from veritls.aio.connection import Connection, Phase


class Owner(Protocol):
    """What the receiving part is given of its transport."""

    _protocol: Any
    """asyncio's name: its flow control calls the same attribute."""

    def _handshake_readable(self) -> None: ...
    def _fatal_error(self, error: BaseException, message: str) -> None: ...
    def _peer_ended(self) -> None: ...
    def _tell_failure(self, error: ssl.SSLError) -> None: ...
    def close(self) -> None: ...


def _ignore(_: object) -> None:
    """What is called for a socket that is about to be closed."""


class Inbound:
    """Everything that a transport receives."""

    __slots__ = (
        "_connection",
        "_on_readable",
        "_owner",
        "_read_scheduled",
        "_stream",
        "paused",
        "peer_ended",
    )

    def __init__(self, owner: Owner, connection: Connection) -> None:
        self._owner = owner
        self._connection = connection
        self._stream = connection.stream
        self._on_readable: Callable[[Inbound], None] = Inbound._handshake
        """What is called when the socket is readable. A function: a method of this were one object more."""
        self._read_scheduled = False
        self.paused = False
        self.peer_ended = False
        """The peer sends no more: close_notify, or the end of TCP."""

    def watch(self) -> None:
        """From now on the loop says when the socket is readable."""
        self._connection.add_reader(self._readable)

    def _readable(self) -> None:
        # One hop, so that the loop is told once whom to call, whatever comes to be called.
        self._on_readable(self)

    def _handshake(self) -> None:
        self._owner._handshake_readable()

    def deliver(self) -> None:
        """From now on reads for the protocol: into its own buffer where it is a BufferedProtocol."""
        if self._connection.phase is Phase.OPEN:
            buffered = isinstance(self._owner._protocol, asyncio.BufferedProtocol)
            self._on_readable = Inbound._read_into_buffer if buffered else Inbound._read

    def _read(self) -> None:
        if self.paused:
            # A caller that pauses often resumes before the next event: the selector hears of it only now.
            self._connection.remove_reader()
            return
        try:
            data = self._stream.read()
        except OSError as error:
            self._failed(error)
            return
        if data:
            try:
                self._owner._protocol.data_received(data)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._owner._fatal_error(error, "Fatal error: protocol.data_received() call failed.")
                return
        elif data is not None:
            self._ended()
            return
        if self._stream.unread():
            self.read_on()

    def _read_into_buffer(self) -> None:
        if self.paused:
            self._connection.remove_reader()
            return
        protocol = self._owner._protocol
        try:
            buffer = protocol.get_buffer(-1)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._owner._fatal_error(error, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            count = self._stream.read_into(buffer)
        except OSError as error:
            self._failed(error)
            return
        except (TypeError, BufferError) as error:
            self._owner._fatal_error(error, "Fatal error: protocol.get_buffer() gave no writable buffer.")
            return
        if count:
            try:
                self._owner._protocol.buffer_updated(count)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._owner._fatal_error(error, "Fatal error: protocol.buffer_updated() call failed.")
                return
        elif count is not None:
            self._ended()
            return
        if self._stream.unread():
            self.read_on()

    def read_at_once(self) -> None:
        """Gives the protocol what came with the end of the handshake."""
        if self._wants_more() and self._stream.unread():
            self._on_readable(self)

    def read_on(self) -> None:
        """Bytes that the engine holds cause no event: they are read in the next iteration of the loop."""
        if self._wants_more() and not self._read_scheduled and self._stream.unread():
            self._read_scheduled = True
            self._connection.call_soon(self._read_again)

    def _read_again(self) -> None:
        self._read_scheduled = False
        if self._wants_more():
            self._on_readable(self)

    def _wants_more(self) -> bool:
        phase = self._connection.phase
        if phase is Phase.HANDSHAKE or phase is Phase.LOST or self.peer_ended:
            return False
        return phase is not Phase.OPEN or not self.paused

    def _failed(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLEOFError):
            self._ended()
        else:
            self._owner._fatal_error(error, "Fatal read error on TLS transport")

    def _ended(self) -> None:
        self._end_reading()
        try:
            keep_open = self._owner._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._owner._fatal_error(error, "Fatal error: protocol.eof_received() call failed.")
            return
        if not (keep_open and self._stream.close_notify_received()):
            self._owner.close()

    def _end_reading(self) -> None:
        self.peer_ended = True
        self._connection.remove_reader()

    # Flow control.

    def pause(self) -> None:
        """Gives the protocol nothing until `resume`."""
        self.paused = True

    def resume(self) -> None:
        """Goes on after `pause`."""
        self.paused = False
        if self._connection.phase is Phase.OPEN and not self.peer_ended:
            self.watch()
            self.read_on()

    # The end.

    def discard(self) -> None:
        """`close` was called: reads on, and gives the protocol nothing.

        Bytes that stay unread would make the kernel send a reset, which can destroy our last ones.
        """
        self._on_readable = Inbound._read_to_discard
        if self.peer_ended:
            self._connection.remove_reader()
        else:
            self.watch()
            self.read_on()

    def _read_to_discard(self) -> None:
        try:
            data = self._stream.read()
        except OSError as error:
            if isinstance(error, ssl.SSLError):
                self._owner._tell_failure(error)
            if self._connection.phase is Phase.FLUSHING and not isinstance(error, ssl.SSLEOFError):
                self._owner._fatal_error(error, "Fatal read error on TLS transport")
                return
            data = b""
        if data == b"":
            self._end_reading()
            self._owner._peer_ended()
        else:
            self.read_on()

    def release(self) -> None:
        """Lets go of the transport, which is lost: no cycle is left to the garbage collector."""
        self._on_readable = _ignore
        del self._owner
