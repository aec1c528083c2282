"""The TLS transport: asyncio's contract, over an engine that the readiness of one socket drives.

Theory of operation
===================

**Who calls whom.** The loop watches the socket and calls `Inbound` when it is readable, `Outbound` when it is
writable. Each makes one call into the engine (`EventLoopStream`), which does the system call and the
cryptography together: a read is one `recv`, the decryption of everything in it, and one call of the protocol.
The protocol calls the transport back: `write` goes through `Outbound` and the engine to the kernel before it
returns.

**Parts.** `SSLTransport` is the face: what asyncio, the protocol and the program call. It owns the protocol,
the phase of the connection, the timer and the socket. `Outbound` owns what waits to be sent, `Inbound`
whether and how bytes are read, `Connection` what the loop is told of the socket. A part calls the transport
by the few methods of its `Owner`, and nothing of the other part.

**Threads.** Everything runs on the thread of the loop. The engine lets go of the GIL for work on more than 4
KiB, but the loop waits for it: no work is handed to another thread. That includes the handshake's signatures,
and whatever a verify callback or an `sni_callback` does: both run inside the handshake step that needs their
answer, inside `Inbound`'s callback. A callback that takes long holds the loop. It cannot use its own
connection, only close or abort it (docs/decisions/0041).

**What waits where.** A coroutine of `create_connection` or `start_tls` waits for `_waiter`, which is set when
the handshake ends. `loop.sendfile` waits for `Outbound` to be empty between two pieces of the file. Nothing
else waits: a `write` that the kernel does not take is kept, and goes out when the socket is writable.

**Flow control, out.** The kernel's buffer fills; the engine keeps at most one batch of records (260 KiB); the
rest stays plaintext in `Outbound`. Above the high-water mark the protocol's `pause_writing` is called, below
the low-water mark its `resume_writing`. Both marks are counted over plaintext and records together.

**Flow control, in.** `pause_reading` sets a flag. The next event then takes the socket off the selector; if
`resume_reading` comes first, no system call is made. The kernel's buffer fills and slows the peer down.
Plaintext that the engine holds by then (one read, 260 KiB at most) causes no event when reading resumes:
`read_on` schedules the next read itself.

**The end.** The phases and the ways between them are in `Phase`. `close` sends what waits, sends
close_notify, reads and discards until the peer's close_notify, and then closes the socket;
`ssl_shutdown_timeout` bounds all of it. `write_eof` sends close_notify alone. `abort` and every error go
straight to LOST: `_force_close` drops what waits and schedules `connection_lost`, after which the socket is
closed. On the way to close these names are used, each for one thing: `send_close_notify` queues the alert,
`refuse_writes` ends `write`, `discard` ends delivery, `drop` forgets what waits, `unwatch` takes the socket
off the loop, `_end_timeout` ends the timeout, `_close_socket` closes it, `release` breaks the references
between the transport and its parts.

**Why not the obvious way.** asyncio puts a protocol with an SSLObject and two MemoryBIOs on a plain
transport. That costs time: each byte passes two more buffers each way, and each event two protocols, two flow
controls and the calls between them. It also hides the socket. An alert that is still unread when the plain
transport meets a broken pipe is lost with it, and the error no longer says why the peer refused. And the
plain transport has one end of stream where TLS has two, so asyncio's offers no `write_eof`. Measured:
docs/bench.md; decided: docs/decisions/0015 to 0017.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import ssl
import sys
import warnings
import weakref
from asyncio import constants, transports
from asyncio.log import logger
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from veritls import _engine
from veritls._connection.sslobject import TransportSSLObject
from veritls.aio.connection import Connection, Phase, served
from veritls.aio.inbound import Inbound
from veritls.aio.outbound import HIGH_WATER, Outbound
from veritls.aio.timeouts import Timeouts

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from veritls._context.context import SSLContext

_ASKED: dict[str, Callable[[TransportSSLObject], Any]] = {
    "peercert": TransportSSLObject.getpeercert,
    "cipher": TransportSSLObject.cipher,
    "compression": TransportSSLObject.compression,
}
"""Name of an extra info -> the method that gives it. It is called once."""


def seconds(value: float | None, name: str, default: float) -> float:
    """A timeout argument as asyncio takes it: None for the default. Raises ValueError for 0 or less."""
    if value is None:
        return default
    if value <= 0:
        raise ValueError(f"{name} should be a positive number, got {value}")
    return value


def address(ask: Callable[[], Any]) -> Any:
    """What a socket says of its address; None where the kernel knows none."""
    try:
        return ask()
    except OSError:
        return None


class SSLTransport(transports._FlowControlMixin):
    """A TLS connection of an event loop; made by `create_connection`, `create_server` and their siblings.

    The contract is that of `asyncio.Transport`, with asyncio's own limits and timeouts: write-buffer limits
    of 512 and 128 KiB, 60 seconds for the handshake, 30 for the shutdown. A program gets one, it does not
    make one.

    `write_eof` sends close_notify and leaves the other direction open (RFC 8446, section 6.1); so does an
    `eof_received` that returns True after the peer's close_notify. An end without close_notify is an end to
    the protocol, as with `ssl` on asyncio, but never keeps the transport open;
    ``get_extra_info("close_notify")`` tells which it was.

    Errors reach the protocol's `connection_lost`, and the caller that waits for the handshake:
    ssl.SSLCertVerificationError where the peer's certificate is refused, ssl.SSLError for any other failure
    of TLS, ConnectionResetError where the peer ends within the handshake, ConnectionAbortedError where the
    handshake takes longer than its timeout, TimeoutError where the shutdown does, another OSError from the
    kernel.
    """

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE

    _protocol: Any
    _sock: socket.socket | None = None
    _handshaking = True
    """Nobody was told yet how the handshake ended."""
    if TYPE_CHECKING:
        _loop: Any

        def _set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
        def _maybe_pause_protocol(self) -> None: ...
        def _maybe_resume_protocol(self) -> None: ...

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
        handshake = seconds(ssl_handshake_timeout, "ssl_handshake_timeout", constants.SSL_HANDSHAKE_TIMEOUT)
        self._shutdown_timeout = seconds(
            ssl_shutdown_timeout, "ssl_shutdown_timeout", constants.SSL_SHUTDOWN_TIMEOUT
        )
        name = server_hostname if server_hostname and not server_side else None
        self._ssl_object = TransportSSLObject._of(sslcontext, server_side=server_side, server_hostname=name)
        super().__init__(None, loop)
        self._set_write_buffer_limits(high=HIGH_WATER)
        self._stream = _engine.EventLoopStream(self._ssl_object._stream, sock.fileno())
        self._connection = Connection(loop, self._stream, sock.fileno(), context)
        self._outbound = Outbound(self, self._connection)
        self._inbound = Inbound(self, self._connection)
        self._extra: dict[str, Any] | None = None
        """None until something is asked for: most protocols of idle connections have asked for nothing."""
        self._sslcontext = sslcontext
        # Now: a peer that resets is not known any more.
        self._peername = extra["peername"] if extra and "peername" in extra else address(sock.getpeername)
        self._waiter = waiter
        self._made = made
        self._lower = lower
        self._server = server
        self._sock = sock
        self.set_protocol(protocol)
        if server is not None:
            server._attach(*self._as_client)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timeouts: Timeouts | None = Timeouts.of(loop, handshake)
        self._timeouts.begin(self, self._timed_out, context)
        if not made:
            self._begin()

    @property
    def _as_client(self) -> tuple[Any, ...]:
        """The arguments with which asyncio's Server counts its connections."""
        return (self,) if sys.version_info >= (3, 13) else ()

    def __repr__(self) -> str:
        phase = self._connection.phase
        words = [type(self).__name__, phase.name.lower(), f"fd={self._connection.fd}"]
        if phase < Phase.LOST:
            words.append(f"bufsize={self.get_write_buffer_size()}")
        return f"<{' '.join(words)}>"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._sock is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._close_socket()

    # The handshake.

    def _begin(self, early: bytes = b"") -> None:
        """`early`: the first bytes of a client, read before this transport had its socket."""
        self._inbound.watch()
        if early:
            self._stream.feed(early)
        if early or not self._ssl_object.server_side:
            self._handshake(False)

    def _handshake_readable(self) -> None:
        self._handshake(True)

    def _handshake(self, readable: bool) -> None:
        try:
            if self._ssl_object._settings.fresh:
                self._ssl_object._refuse_stale()
            done = self._stream.handshake(readable)
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
                try:
                    if self._ssl_object._watched:
                        self._tell_end(None, completed=True)
                finally:
                    if self._connection.phase is Phase.HANDSHAKE:  # a listener may have closed it
                        self._handshake_done()
            elif self._stream.unsent_size():
                self._outbound.watch()

    def _tell_end(self, error: BaseException | None, *, completed: bool = False) -> None:
        """Tells, once, that the handshake has ended: that is so where it was not open before."""
        if self._handshaking:
            ended = self._ssl_object._ended(self._peername, error, completed=completed)
            self._handshaking = not ended  # where a callback runs, the step that called it will tell

    def _tell_failure(self, error: ssl.SSLError) -> None:
        """After the handshake: `error` may be the alert of a server that refused this client."""
        if not self._handshaking:
            self._ssl_object._failed(self._ssl_object._stream, error)

    def _timed_out(self) -> None:
        timeouts, self._timeouts = self._timeouts, None
        if timeouts is not None and self._connection.phase is Phase.HANDSHAKE:
            self._ssl_object._timed_out = True
            words = f"SSL handshake is taking longer than {timeouts.length} seconds: aborting the connection"
            self._fatal_error(ConnectionAbortedError(words), "TLS handshake failed")
        else:
            self._force_close(TimeoutError("SSL shutdown timed out"))

    def _handshake_done(self) -> None:
        self._handshaking = False
        self._end_timeout()
        self._connection.phase = Phase.OPEN
        self._inbound.deliver()
        self._outbound.drained()
        if not self._made:
            self._made = True
            token = served.set(weakref.ref(self) if self._ssl_object.server_side else None)
            try:
                self._protocol.connection_made(self)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._fatal_error(error, "Fatal error: protocol.connection_made() call failed.")
                return
            finally:
                served.reset(token)
        # Whoever waits for the handshake goes on before the protocol gets data.
        if self._waiter is None:
            self._inbound.read_at_once()
        self._wake(None)
        if self._connection.phase is Phase.OPEN:
            self._outbound.start()
            self._inbound.read_on()

    def _wake(self, error: BaseException | None) -> None:
        """Ends the wait of `create_connection` or `start_tls`."""
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    # Receiving.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on `protocol` is called; an `asyncio.BufferedProtocol` gets bytes into its own buffer."""

        self._protocol = protocol
        self._inbound.deliver()

    def get_protocol(self) -> Any:
        """The protocol; None once the connection is lost."""
        return self._protocol

    def is_reading(self) -> bool:
        """Whether the protocol is given bytes as they arrive."""
        return not (self.is_closing() or self._inbound.paused)

    def pause_reading(self) -> None:
        """Gives the protocol nothing until `resume_reading`; the kernel then slows the peer down."""
        if not self.is_closing():
            self._inbound.pause()

    def resume_reading(self) -> None:
        """Goes on after `pause_reading`. Does nothing where reading is not paused."""
        if self._inbound.paused and not self.is_closing():
            self._inbound.resume()

    # Sending.

    def write(self, data: ReadableBuffer) -> None:
        """Sends `data`, a bytes-like object, or keeps what the kernel does not take now.

        Raises TypeError for anything else, RuntimeError after `write_eof` and during `sendfile`. After
        `close` or a lost connection nothing is sent or raised, as with asyncio.
        """
        self._outbound.write(data)

    def writelines(self, list_of_data: Iterable[ReadableBuffer]) -> None:
        """Writes the concatenation of `list_of_data`. Raises as `write` does."""
        self._outbound.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        """Bytes that were written and that the kernel has not taken, as plaintext or as records."""
        return self._outbound.size()

    def can_write_eof(self) -> bool:
        """True: TLS can end one direction and leave the other open (RFC 8446, section 6.1)."""
        return True

    def write_eof(self) -> None:
        """Sends close_notify after what was written. Reading goes on, and TCP stays open.

        Does nothing when called again, or after `close`.
        """
        self._outbound.write_eof()

    async def _send_file(self, file: Any, offset: int, count: int | None) -> int:
        return await self._outbound.send_file(file, offset, count)

    # The end.

    def is_closing(self) -> bool:
        """Whether the transport is closed or about to be."""
        return self._connection.phase >= Phase.FLUSHING

    def close(self) -> None:
        """Sends what was written, then close_notify, and awaits the peer's within `ssl_shutdown_timeout`.

        The protocol gets nothing more but `connection_lost(None)`; TimeoutError where the peer never answers.
        Within the handshake the same as `abort`. Does nothing when called again.
        """
        if self.is_closing():
            return
        if self._connection.phase is Phase.HANDSHAKE:
            self._force_close(None)
            return
        self._connection.phase = Phase.FLUSHING
        self._outbound.refuse_writes()
        self._timeouts = Timeouts.of(self._loop, self._shutdown_timeout)
        self._timeouts.begin(self, self._timed_out, self._connection.context)
        self._inbound.discard()
        if self._outbound.waiting():
            self._outbound.watch()  # tickets that found no client wait without the loop
        else:
            self._outbound.drained()

    def _all_sent(self) -> None:
        """Called by `Outbound`: the kernel has everything."""
        if self._connection.phase is Phase.FLUSHING:
            self._connection.phase = Phase.LINGERING
            try:
                self._outbound.send_close_notify()
            except OSError:
                self._force_close(None)  # all that was written has been taken; the peer is gone
                return
        self._close_if_both_ended()

    def _peer_ended(self) -> None:
        """Called by `Inbound`, after `close`: the peer sends no more."""
        self._close_if_both_ended()

    def _close_if_both_ended(self) -> None:
        lingering = self._connection.phase is Phase.LINGERING
        if lingering and self._inbound.peer_ended and not self._outbound.waiting():
            self._force_close(None)

    def abort(self) -> None:
        """Closes the connection now; what was not sent is lost. The protocol gets `connection_lost(None)`."""
        self._force_close(None)

    def _end_timeout(self) -> None:
        if self._timeouts is not None:
            self._timeouts.end(self)
            self._timeouts = None

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on TLS transport") -> None:
        if isinstance(error, ssl.SSLError):
            self._tell_failure(error)
        if isinstance(error, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=error)
        else:
            context = {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
            self._loop.call_exception_handler(context)
        self._force_close(error)

    def _force_close(self, error: BaseException | None) -> None:
        """asyncio's name: its SSLProtocol calls it when TLS runs within TLS."""
        connection = self._connection
        if self._handshaking:
            self._tell_end(error)
        if connection.phase is Phase.LOST:
            return
        # A callback of the handshake may call this: nothing more is sent.
        self._ssl_object._stream.cancel_callback()
        connection.phase = Phase.LOST
        self._end_timeout()
        connection.unwatch()
        self._outbound.drop()
        self._wake(error or ConnectionAbortedError("the connection was closed during the TLS handshake"))
        connection.call_soon(self._call_connection_lost, error)

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
        self._stream.retire_descriptor()
        self._inbound.release()
        self._outbound.release()
        for name in ("socket", "sockname"):
            self.get_extra_info(name)  # which is answered afterwards, too
        sock, self._sock = self._sock, None
        # A loop that is closed can end nothing: the transport below closes its socket when it is collected.
        if self._lower is not None and not self._loop.is_closed():
            self._lower.abort()
        if isinstance(sock, socket.socket):
            sock.close()

    # What is known of the connection.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection under `name`, as `asyncio.BaseTransport.get_extra_info` documents.

        ssl_object: an `SSLObject` to ask, not to read or write. peercert: as of `SSLObject.getpeercert`,
        a dict or None. cipher: (name, protocol version, secret bits). compression: None. sslcontext: the
        `SSLContext`. socket: an `asyncio.trsock.TransportSocket`. sockname, peername: the addresses, None
        where the kernel knows none. close_notify: bool, True where the peer has sent its close_notify.


        `default`, None unless given: for any other name, and for the first four until the handshake is done.
        """
        if self._extra is not None and name in self._extra:
            return self._extra[name]
        value: Any
        match name:
            case "close_notify":
                return self._stream.close_notify_received()
            case "ssl_object":
                return self._ssl_object if self._connection.phase is not Phase.HANDSHAKE else default
            case "sslcontext":
                return self._sslcontext
            case "peername":
                return self._peername
            case "socket" if self._sock is not None:
                value = TransportSocket(self._sock)
            case "sockname" if self._sock is not None:
                value = address(self._sock.getsockname)
            case _ if name in _ASKED and self._ssl_object._agreed() is not None:
                value = _ASKED[name](self._ssl_object)
            case _:
                return default
        if self._extra is None:
            self._extra = {}
        self._extra[name] = value
        return value
