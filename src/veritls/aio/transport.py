"""The transport: asyncio's contract, over an engine that the readiness of one socket drives."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import ssl
import sys
import warnings
from asyncio import constants, transports
from asyncio.log import logger
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from veritls import _engine
from veritls.aio.facts import TransportObject
from veritls.aio.outbound import Outbound, Phase

if TYPE_CHECKING:
    from veritls._context.context import SSLContext


def seconds(value: float | None, name: str, default: float) -> float:
    """A timeout argument as asyncio takes it: None for the default. Raises ValueError for 0 or less."""
    if value is None:
        return default
    if value <= 0:
        raise ValueError(f"{name} should be a positive number, got {value}")
    return value


def _nothing() -> None:
    pass


class SSLTransport(Outbound):
    """A TLS connection of an event loop; made by `create_connection` and its siblings.

    The contract is that of `asyncio.Transport`, with asyncio's own limits and timeouts. `write_eof` sends
    close_notify and leaves the other direction open (RFC 8446, section 6.1); so does an `eof_received` that
    returns True after the peer's close_notify. An end without close_notify is an end to the protocol, as
    with `ssl` on asyncio, but never keeps the transport open; ``get_extra_info("close_notify")`` tells which
    it was.
    """

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: SSLContext,
        waiter: asyncio.Future[None] | None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        lower: transports.Transport | None = None,
        made: bool = False,
        context: contextvars.Context | None = None,
    ) -> None:
        """`context`: where the protocol is called, as asyncio says from Python 3.15 on; None: where asyncio
        would before. `made`: the protocol has a connection already, and `_begin` is called when that is over.

        `lower`: the plain transport whose socket it is, and that has to be closed with it.
        """
        self._sock: socket.socket | None = None
        handshake = seconds(ssl_handshake_timeout, "ssl_handshake_timeout", constants.SSL_HANDSHAKE_TIMEOUT)
        self._shutdown_timeout = seconds(
            ssl_shutdown_timeout, "ssl_shutdown_timeout", constants.SSL_SHUTDOWN_TIMEOUT
        )
        name = server_hostname if server_hostname and not server_side else None
        facts = TransportObject._of(sslcontext, server_side=server_side, server_hostname=name)
        super().__init__(loop, _engine.EventLoopStream(facts._stream, sock.fileno()), sock.fileno(), context)
        self._facts = facts
        self._extra: dict[str, Any] = {
            "sslcontext": sslcontext,
            "socket": TransportSocket(sock),
            **(extra or {}),
        }
        for key, ask in (("sockname", sock.getsockname), ("peername", sock.getpeername)):
            if key not in self._extra:
                try:
                    self._extra[key] = ask()
                except OSError:
                    self._extra[key] = None
        self._waiter = waiter
        self._made = made
        self._lower = lower
        self._server = server
        self._paused = False
        self._reading = False
        self._peer_done = False
        self._again: asyncio.Handle | None = None
        self._sock = sock
        self._on_readable: Callable[[], None] = self._handshake_ready
        self.set_protocol(protocol)
        if server is not None:
            server._attach(*self._as_client)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timer: asyncio.TimerHandle | None = loop.call_later(
            handshake, self._handshake_timed_out, handshake, context=self._context
        )
        if not made:
            self._begin()

    @property
    def _as_client(self) -> tuple[Any, ...]:
        """What asyncio's Server wants to know of who comes and goes."""
        return (self,) if sys.version_info >= (3, 13) else ()

    def __repr__(self) -> str:
        words = [type(self).__name__, self._phase.name.lower(), f"fd={self._fd}"]
        if self._phase < Phase.LOST:
            words.append(f"bufsize={self.get_write_buffer_size()}")
        return f"<{' '.join(words)}>"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._sock is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._close_socket()

    # The handshake.

    def _begin(self, early: bytes = b"") -> None:
        """`early`: the first bytes of a client's, which came before this transport had its socket."""
        self._watch_readable()
        if early:
            self._link.feed(early)
        if early or not self._facts.server_side:
            self._handshake(False)

    def _handshake_ready(self) -> None:
        self._handshake(True)

    def _handshake(self, readable: bool) -> None:
        try:
            done = self._link.handshake(readable)
        except (SystemExit, KeyboardInterrupt):
            raise
        except ssl.SSLEOFError as error:
            gone = ConnectionResetError("the peer closed the connection during the TLS handshake")
            gone.__cause__ = error
            self._fatal_error(gone, "TLS handshake failed")
        except BaseException as error:
            self._fatal_error(error, "TLS handshake failed")
        else:
            if done:
                self._handshake_done()
            elif self._link.unsent_size():
                self._watch_writable()

    def _handshake_timed_out(self, limit: float) -> None:
        words = f"SSL handshake is taking longer than {limit} seconds: aborting the connection"
        self._fatal_error(ConnectionAbortedError(words), "TLS handshake failed")

    def _handshake_done(self) -> None:
        self._cancel_timer()
        self._phase = Phase.OPEN
        self._on_readable = self._deliver
        self._drained()
        if not self._made:
            self._made = True
            try:
                self._protocol.connection_made(self)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._fatal_error(error, "Fatal error: protocol.connection_made() call failed.")
                return
        self._wake(None)
        if self._phase is Phase.OPEN:
            if self._direct:
                self._send_tickets()
            if self._backlog:
                self._write_ready()
            self._read_on()

    def _send_tickets(self) -> None:
        """A server's, where `connection_made` wrote nothing that they went with.

        They carry the acknowledgement of the client's last flight, without which Nagle's algorithm holds the
        first request of a client that has not set TCP_NODELAY for 40 ms.
        """
        try:
            sent = self._link.flush()
        except OSError:
            return  # the client is gone, and what it sent before is still to be read
        if not sent:
            self._direct = False
            self._watch_writable()

    def _wake(self, error: BaseException | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    # What comes.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on `protocol` is called; a BufferedProtocol gets its bytes into its own buffer."""
        self._protocol: Any = protocol
        buffered = isinstance(protocol, asyncio.BufferedProtocol)
        self._deliver: Callable[[], None] = self._read_into_buffer if buffered else self._read
        if self._phase is Phase.OPEN:
            self._on_readable = self._deliver

    def get_protocol(self) -> Any:
        """The protocol; None once the connection is lost."""
        return self._protocol

    def _watch_readable(self) -> None:
        # Once, whatever comes to be called: to tell the loop again costs as much as the first time.
        if not self._reading:
            self._reading = True
            self._loop._add_reader(self._fd, self._in_context(self._readable))

    def _readable(self) -> None:
        self._on_readable()

    def _unwatch_readable(self) -> None:
        if self._reading:
            self._reading = False
            self._loop._remove_reader(self._fd)

    def _read(self) -> None:
        if self._paused:
            # Whoever pauses often resumes before the next event: the selector hears of it only now.
            self._unwatch_readable()
            return
        try:
            data = self._link.read()
        except OSError as error:
            self._read_failed(error)
            return
        if data:
            try:
                self._protocol.data_received(data)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._fatal_error(error, "Fatal error: protocol.data_received() call failed.")
                return
        elif data is not None:
            self._ended()
            return
        if self._link.unread():
            self._read_on()

    def _read_into_buffer(self) -> None:
        if self._paused:
            self._unwatch_readable()
            return
        try:
            buffer = self._protocol.get_buffer(-1)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            count = self._link.read_into(buffer)
        except OSError as error:
            self._read_failed(error)
            return
        except (TypeError, BufferError) as error:
            self._fatal_error(error, "Fatal error: protocol.get_buffer() gave no writable buffer.")
            return
        if count:
            try:
                self._protocol.buffer_updated(count)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._fatal_error(error, "Fatal error: protocol.buffer_updated() call failed.")
                return
        elif count is not None:
            self._ended()
            return
        if self._link.unread():
            self._read_on()

    def _read_on(self) -> None:
        """What is here already causes no event: it is read in the next turn of the loop."""
        if self._wants_more() and self._again is None and self._link.unread():
            self._again = self._loop.call_soon(self._read_again, context=self._context)

    def _read_again(self) -> None:
        self._again = None
        if self._wants_more():
            self._readable()

    def _wants_more(self) -> bool:
        if self._phase is Phase.HANDSHAKE or self._phase is Phase.LOST or self._peer_done:
            return False
        return self._closing or not self._paused

    def _read_failed(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLEOFError):
            self._ended()
        else:
            self._fatal_error(error, "Fatal read error on TLS transport")

    def _ended(self) -> None:
        """The peer sends no more."""
        self._peer_done = True
        self._unwatch_readable()
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, "Fatal error: protocol.eof_received() call failed.")
            return
        if not (keep_open and self._link.close_notify_received()):
            self.close()

    def is_reading(self) -> bool:
        """Whether the protocol is given what comes."""
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        """Gives the protocol nothing until `resume_reading`; the kernel then slows the peer down."""
        if not self._closing:
            self._paused = True

    def resume_reading(self) -> None:
        """Goes on after `pause_reading`."""
        if self._closing or not self._paused:
            return
        self._paused = False
        if self._phase is Phase.OPEN and not self._peer_done:
            self._watch_readable()
            self._read_on()

    # The end.

    def is_closing(self) -> bool:
        """Whether the transport is closed or about to be."""
        return self._closing

    def close(self) -> None:
        """Sends what was written, then close_notify, and awaits the peer's within `ssl_shutdown_timeout`.

        The protocol gets nothing more but `connection_lost(None)`; TimeoutError where the peer never answers.
        """
        if self._closing:
            return
        if self._phase is Phase.HANDSHAKE:
            self._force_close(None)
            return
        self._closing = True
        self._direct = False
        self._phase = Phase.FLUSHING
        self._timer = self._loop.call_later(
            self._shutdown_timeout, self._shutdown_timed_out, context=self._context
        )
        self._on_readable = self._read_to_discard
        if self._peer_done:
            self._unwatch_readable()
        else:
            self._watch_readable()
            self._read_on()
        if not self._waiting():
            self._drained()

    def _say_goodbye(self) -> None:
        self._phase = Phase.LINGERING
        try:
            if not self._link.send_close_notify():
                self._watch_writable()
            elif self._peer_done:
                self._force_close(None)
        except OSError:
            self._force_close(None)  # all that was written has been taken; the peer is gone

    def _goodbye_said(self) -> None:
        if self._peer_done:
            self._force_close(None)

    def _read_to_discard(self) -> None:
        """After `close`: what comes is of no interest, but unread it would make the kernel send a reset."""
        try:
            data = self._link.read()
        except OSError as error:
            if self._phase is Phase.FLUSHING and not isinstance(error, ssl.SSLEOFError):
                self._fatal_error(error, "Fatal read error on TLS transport")
                return
            data = b""
        if data == b"":
            self._peer_done = True
            self._unwatch_readable()
            if self._phase is Phase.LINGERING and not self._waiting():
                self._force_close(None)
        else:
            self._read_on()

    def _shutdown_timed_out(self) -> None:
        self._force_close(TimeoutError("SSL shutdown timed out"))

    def abort(self) -> None:
        """Closes the connection now; what was not sent is lost."""
        self._force_close(None)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on TLS transport") -> None:
        if isinstance(error, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=error)
        else:
            context = {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
            self._loop.call_exception_handler(context)
        self._force_close(error)

    def _force_close(self, error: BaseException | None) -> None:
        if self._phase is Phase.LOST:
            return
        self._facts._stream.cancel_callback()  # where a callback of the handshake does this, nothing is sent
        self._phase = Phase.LOST
        self._closing = True
        self._direct = False
        self._reading = False
        self._cancel_timer()
        self._loop._remove_reader(self._fd)
        self._drop_output()
        self._wake(error or ConnectionAbortedError("the connection was closed during the TLS handshake"))
        self._loop.call_soon(self._call_connection_lost, error, context=self._context)

    def _call_connection_lost(self, error: BaseException | None) -> None:
        try:
            if self._made:
                self._protocol.connection_lost(error)
        finally:
            self._protocol = None
            self._close_socket()
            server, self._server = self._server, None
            if server is not None:
                server._detach(*self._as_client)

    def _close_socket(self) -> None:
        self._link.retire_descriptor()
        self._on_readable = self._deliver = _nothing  # no cycle is left to the garbage collector
        sock, self._sock = self._sock, None
        if self._lower is not None:
            self._lower.abort()
        if isinstance(sock, socket.socket):
            sock.close()

    # What is known.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """ssl_object, peercert, cipher, compression, sslcontext, socket, sockname, peername; close_notify:
        whether the peer has said that it sends no more. `default` for what is not known."""
        if name in self._extra:
            return self._extra[name]
        match name:
            case "ssl_object":
                return self._facts if self._phase is not Phase.HANDSHAKE else default
            case "peercert" | "cipher" | "compression":
                if self._facts._agreed() is None:
                    return default
                ask = {"peercert": "getpeercert"}.get(name, name)
                value = self._extra[name] = getattr(self._facts, ask)()
                return value
            case "close_notify":
                return self._link.close_notify_received()
        return default

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Writes the concatenation."""
        self.write(b"".join(list_of_data))
