"""SSLSocket: TLS over a TCP socket; the engine uses the file descriptor directly."""

from __future__ import annotations

import errno
import io
import os
import socket
import ssl
import sys

from veritls import _engine
from veritls._connection.state import ConnectionState
from veritls._value import shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, overload

    from _typeshed import ReadableBuffer, WriteableBuffer

    from veritls._connection.session import SSLSession


_RAGGED: tuple[type[OSError], ...] = (ssl.SSLEOFError,)
"""The errors that this interpreter's `ssl` treats as an end without close_notify."""
if sys.version_info < (3, 13):
    _RAGGED = (ssl.SSLEOFError, ConnectionResetError)


_RawSocket: Any = socket.SocketType
_family, _type = _RawSocket.family.__get__, _RawSocket.type.__get__
_detach_descriptor, _close_descriptor = _RawSocket.detach, _RawSocket.close


def _family_and_type(sock: socket.socket) -> tuple[int, int]:
    """Family and type. The enumerations of `socket` are asked only where there are no plain numbers."""
    try:
        return _family(sock), _type(sock)
    except TypeError:
        return sock.family, sock.type


def _named(error: TimeoutError, operation: str) -> TimeoutError:
    """The engine's timeout in the words of `ssl`; the kernel's (ETIMEDOUT) unchanged."""
    return error if error.errno is not None else TimeoutError(f"The {operation} operation timed out")


def _regular_file(file: Any) -> _engine.File | None:
    """A regular file whose bytes are sent as they are; None for a pipe, a decompressor and the like."""
    raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
    if type(raw) is not io.FileIO:
        return None
    file.flush()
    source = _engine.File(raw)
    return source if source.regular else None


@shown_in("veritls")
class SSLSocket(ConnectionState, ssl.SSLSocket):  # type: ignore[misc]
    """A TCP socket with TLS, as `ssl.SSLSocket`; made by `SSLContext.wrap_socket`.

    Blocking, with a timeout (TimeoutError), or non-blocking (ssl.SSLWantReadError, ssl.SSLWantWriteError), as
    the socket is. One thread may receive while another sends. No method sends or returns unencrypted bytes,
    before the connection or after its end, except after `unwrap`: then the socket is plain TCP.

    Any thread may call `close`: a call that waits in another thread raises OSError (EBADF). Every method that
    sends or receives raises OSError: ENOTCONN where there is no connection, EBADF where it is closed.

    `do_handshake_on_connect`, `suppress_ragged_eofs`: as they were given to `wrap_socket`.
    """

    _unwrapped: _engine.Stream | None = None
    """The connection that `unwrap` ended. Unencrypted bytes pass only where there is one."""

    _closing_stream: _engine.Stream | None = None
    """The connection whose descriptor is about to be closed: by several threads, or after an interruption."""

    _plain_rest: bytes
    _connected: bool
    do_handshake_on_connect: bool
    suppress_ragged_eofs: bool

    @classmethod
    def _create(
        cls,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        context: Any | None = None,
        session: SSLSession | None = None,
    ) -> SSLSocket:
        assert context is not None
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        if session is not None and server_side:
            raise ValueError("session can only be specified in client mode")
        if server_hostname and server_side:
            raise ValueError("server_hostname can only be specified in client mode")
        settings = context._settings
        name = settings.server_name(server_hostname, server_side=server_side)
        settings.frozen(server_side)  # raises errors before the descriptor is taken over
        timeout = sock.gettimeout()
        self = cls.__new__(cls)
        self._context, self._settings = context, settings
        self.server_side = server_side
        self._session = None if session is None else self._check_session(session)
        family, kind = _family_and_type(sock)
        # No signal handler runs in between: never do two objects close the descriptor.
        socket.socket.__init__(self, family, kind, sock.proto, sock.detach())
        self._stream = None
        self._plain_rest = b""
        self.server_hostname = name
        self.do_handshake_on_connect = do_handshake_on_connect
        self.suppress_ragged_eofs = suppress_ragged_eofs
        self._connected = False
        try:
            self.settimeout(timeout)
            try:
                self._connected = self._is_connected()
            except ConnectionError as error:
                if server_side:  # a client that was reset while it waited to be accepted is told of, too
                    self._failed(self._made(name, None, self.fileno()), error, broken=True)
                raise
            if self._connected:
                self._stream = self._made(name, None, self.fileno())
                if do_handshake_on_connect:
                    if timeout == 0.0:
                        raise ValueError(
                            "do_handshake_on_connect should not be specified for non-blocking sockets"
                        )
                    self.do_handshake()
        except BaseException:
            self.close()
            raise
        return self

    def _is_connected(self) -> bool:
        """Whether there is a peer. Bytes of a peer that is already gone are refused: they are not TLS."""
        try:
            self._peer_address = self.getpeername()
            return True
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EINVAL):
                raise
        timeout = self.gettimeout()
        self.setblocking(False)
        try:
            leftover = socket.socket.recv(self, 1)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOTCONN, errno.EINVAL):
                raise
            leftover = b""
        finally:
            self.settimeout(timeout)
        if leftover:
            words = "Closed before TLS handshake with data in recv buffer."
            refused = ssl.SSLError(errno.ENOTCONN, words)
            refused.reason, refused.library = words, None  # type: ignore[assignment]
            raise refused
        return False

    def _tls(self) -> _engine.Stream:
        if self._stream is None:
            self._refuse_closed()
            self.getpeername()  # raises ENOTCONN where that is the reason
            raise ValueError("TLS is not active on this socket")
        return self._stream

    def _refuse_closed(self) -> None:
        if self._closed or self.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _refuse_plain(self) -> None:
        """Raises OSError (EBADF, ENOTCONN) unless `unwrap` has ended TLS: nothing may pass unencrypted."""
        if self._unwrapped is None:
            self._refuse_closed()
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def _is_server(self) -> bool:
        return self.server_side

    def _address(self) -> Any:
        try:
            return self.getpeername()
        except OSError:
            return self._peer_address

    def _asked_name(self) -> str | None:
        return self.server_hostname

    def _require_stream(self) -> _engine.Stream:
        return self._tls()

    def _renew(self) -> None:
        before = self._stream
        if before is not None and not before.idle():
            raise ValueError("Cannot set session while another thread uses the connection.")
        stream = self._stream = self._made(self.server_hostname, None, self.fileno())
        if before is not None:
            before.retire_descriptor()
        if self._closed or self.fileno() < 0:
            stream.retire_descriptor()  # by another thread, which does not know of this one
            self._stream = None
            self._refuse_closed()

    def do_handshake(self, block: bool = False) -> None:
        """Does the handshake: agrees on keys and verifies the peer.

        `block`: wait even where the timeout is 0. Raises ssl.SSLCertVerificationError where the peer's
        certificate is refused; ssl.SSLError naming the alert where the peer refuses the handshake, or the
        reason where it fails otherwise; TimeoutError; ssl.SSLWantReadError or SSLWantWriteError where the
        socket is non-blocking; ValueError where TLS is not on; OSError.
        """
        stream = self._stream or self._tls()
        if self._settings.fresh:
            self._refuse_stale()
        timeout = self.gettimeout()
        if timeout == 0.0 and block:
            timeout = None
        try:
            stream.do_handshake(timeout)
        except TimeoutError as error:
            self._timed_out = error.errno is None
            if not self._timed_out:
                self._failed(stream, error, broken=True)
            raise _named(error, "handshake") from None
        except BaseException as error:
            broken = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
            self._failed(stream, error, broken=broken)
            raise
        if self.server_side:
            self._peer_address = None

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # typeshed has bytes for the number, too
        def read(self, len: int = 1024, buffer: None = None) -> bytes: ...
        @overload
        def read(self, len: int, buffer: WriteableBuffer) -> int: ...
        @overload
        def read(self, len: int = 1024, *, buffer: WriteableBuffer) -> int: ...

    def read(self, len: int = 1024, buffer: WriteableBuffer | None = None) -> Any:
        """Up to `len` bytes; or, with `buffer`, their number. Empty or 0 after the peer's close_notify.

        Also at an end without close_notify where `suppress_ragged_eofs` is True, else raises ssl.SSLEOFError.
        Raises ValueError where TLS is not on or `len` is negative, TimeoutError, ssl.SSLError and OSError.
        """
        stream = self._stream
        if stream is None:
            raise ValueError("Read on closed or unwrapped SSL socket.")
        try:
            if buffer is not None:
                return stream.read_into(buffer, len, self.gettimeout())
            if len < 0:
                raise ValueError("negative buffersize in recv")
            return stream.read(len, self.gettimeout())
        except OSError as error:
            self._explain_read(error, stream)
            return 0 if buffer is not None else b""

    def _explain_read(self, error: OSError, stream: _engine.Stream) -> None:
        """Raises the error of a failed read, or returns where that is the end of the data."""
        if isinstance(error, TimeoutError):
            raise _named(error, "read") from None
        if isinstance(error, ssl.SSLZeroReturnError):
            return  # both sides sent close_notify: this one by `shutdown`, after which reading goes on
        if not (isinstance(error, _RAGGED) and self.suppress_ragged_eofs and stream.established):
            self._failed(stream, error)
            raise error

    def write(self, data: ReadableBuffer) -> int:
        """Sends some of `data`; returns the number of bytes.

        Raises ValueError where TLS is not on, TimeoutError, ssl.SSLError and OSError.
        """
        stream = self._stream
        if stream is None:
            raise ValueError("Write on closed or unwrapped SSL socket.")
        try:
            return stream.write(data, False, self.gettimeout())
        except TimeoutError as error:
            raise _named(error, "write") from None
        except OSError as error:
            self._failed(stream, error)
            raise

    def _refuse_flags(self, method: str) -> None:
        raise ValueError(f"non-zero flags not allowed in calls to {method}() on {type(self)}")

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Up to `buflen` bytes; b"" at the end.

        Raises ValueError where `flags` is not 0 while TLS is on; else as `read`.
        """
        if self._stream is None:
            return self._plain_recv(buflen, flags)
        if flags:
            self._refuse_flags("recv")
        data: bytes = self.read(buflen)
        return data

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receives into `buffer`, up to `nbytes` bytes (None or 0: as many as fit); returns the number.

        0 at the end. Raises ValueError where `flags` is not 0 while TLS is on; else as `read`.
        """
        if self._stream is None:
            self._refuse_plain()
            if self._plain_rest:
                view = memoryview(buffer).cast("B")
                rest = self._plain_recv(min(nbytes or len(view), len(view)), flags)
                view[: len(rest)] = rest
                return len(rest)
            return socket.socket.recv_into(self, buffer, nbytes or 0, flags)
        if flags:
            self._refuse_flags("recv_into")
        count: int = self.read(nbytes or 0, buffer)
        return count

    def _plain_recv(self, buflen: int, flags: int) -> bytes:
        """Plain TCP: first the bytes that arrived after the peer's close_notify."""
        self._refuse_plain()
        if self._plain_rest:
            taken, self._plain_rest = self._plain_rest[:buflen], self._plain_rest[buflen:]
            return taken
        return socket.socket.recv(self, buflen, flags)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Sends some of `data`; returns the number of bytes.

        Raises ValueError where `flags` is not 0 while TLS is on; else as `write`.
        """
        if self._stream is None:
            self._refuse_plain()
            return socket.socket.send(self, data, flags)
        if flags:
            self._refuse_flags("send")
        return self.write(data)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Sends all of `data`. After an error, repeat the call with the same data or close the connection.

        The bytes that were accepted before a timeout or a signal are sent in any case. So other data then
        raises ssl.SSLError (BAD_WRITE_RETRY), from any thread. Raises ValueError where `flags` is not 0 while
        TLS is on; else as `write`.
        """
        stream = self._stream
        if stream is None:
            self._refuse_plain()
            return socket.socket.sendall(self, data, flags)
        if flags:
            self._refuse_flags("sendall")
        try:
            stream.write(data, True, self.gettimeout())
        except TimeoutError as error:
            raise _named(error, "write") from None
        except OSError as error:
            self._failed(stream, error)
            raise

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Sends a file, open in binary mode, from `offset` on (0: from its position), to its end.

        `count`: the maximum in bytes; None, the default, sends all.

        Returns the number of bytes sent; the file's position is then after the last of them, also after an
        error. The engine reads a regular file; anything else with a `read` is read here, in blocks. Raises
        ValueError for a text file and where the socket is non-blocking; else as `sendall`.
        """
        stream = self._stream
        if stream is None:
            self._refuse_plain()
            return socket.socket.sendfile(self, file, offset, count)
        source = _regular_file(file)
        if source is None or self.gettimeout() == 0:
            sent: int = self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]
            return sent
        self._check_sendfile_params(file, offset, count)  # type: ignore[attr-defined]
        begin: int = file.seek(offset) if offset else file.tell()
        limit = count if count is not None else sys.maxsize - begin
        try:
            return stream.write_file(file, source, begin, limit, self.gettimeout())
        except TimeoutError as error:
            raise _named(error, "write") from None
        except OSError as error:
            self._failed(stream, error)
            raise

    def sendto(self, data: ReadableBuffer, flags_or_addr: Any, addr: Any = None) -> int:
        """Raises ValueError while TLS is on, as `ssl` documents: a stream has one peer."""
        if self._stream is not None:
            raise ValueError(f"sendto not allowed on instances of {type(self)}")
        self._refuse_plain()
        if addr is None:
            return socket.socket.sendto(self, data, flags_or_addr)
        return socket.socket.sendto(self, data, flags_or_addr, addr)

    def recvfrom(self, buflen: int = 1024, flags: int = 0) -> tuple[bytes, Any]:
        """Raises ValueError while TLS is on."""
        if self._stream is not None:
            raise ValueError(f"recvfrom not allowed on instances of {type(self)}")
        self._refuse_plain()
        return socket.socket.recvfrom(self, buflen, flags)

    def recvfrom_into(
        self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0
    ) -> tuple[int, Any]:
        """Raises ValueError while TLS is on."""
        if self._stream is not None:
            raise ValueError(f"recvfrom_into not allowed on instances of {type(self)}")
        self._refuse_plain()
        return socket.socket.recvfrom_into(self, buffer, nbytes or 0, flags)

    def recvmsg(self, *args: Any, **kwargs: Any) -> Any:
        """Raises NotImplementedError, as `ssl` documents."""
        raise NotImplementedError(f"recvmsg not allowed on instances of {type(self)}")

    def recvmsg_into(self, *args: Any, **kwargs: Any) -> Any:
        """Raises NotImplementedError, as `ssl` documents."""
        raise NotImplementedError(f"recvmsg_into not allowed on instances of {type(self)}")

    def sendmsg(self, *args: Any, **kwargs: Any) -> Any:
        """Raises NotImplementedError, as `ssl` documents."""
        raise NotImplementedError(f"sendmsg not allowed on instances of {type(self)}")

    def dup(self) -> Any:
        """Raises NotImplementedError: two sockets cannot share one TLS connection."""
        raise NotImplementedError(f"Can't dup() {type(self).__name__} instances")

    def pending(self) -> int:
        """The number of decrypted bytes that can be read without waiting."""
        stream = self._stream
        return stream.pending() if stream is not None else len(self._plain_rest)

    def shutdown(self, how: int) -> None:
        """Shuts the TCP connection down; with SHUT_WR and SHUT_RDWR close_notify is sent before.

        Unlike with `ssl`, TLS stays on: nothing is sent or received unencrypted afterwards. Raises OSError.
        """
        stream = self._stream
        close_notify_sent = stream is not None and how != socket.SHUT_RD and stream.established
        if stream is not None and close_notify_sent:
            try:  # noqa: SIM105 (contextlib takes longer to import than this module)
                stream.send_close_notify(0)
            except OSError:
                pass
        try:
            socket.socket.shutdown(self, how)
        except OSError as error:
            # A peer that is gone already answers our close_notify with a reset.
            if not (close_notify_sent and error.errno == errno.ENOTCONN):
                raise

    def unwrap(self) -> socket.socket:
        """Ends TLS on both sides with close_notify; returns the socket, now plain TCP.

        Raises ssl.SSLError where the peer sends more data, ssl.SSLEOFError where it closes without
        close_notify, ValueError where TLS is not on, TimeoutError and OSError.
        """
        stream = self._stream
        if stream is None:
            raise ValueError(f"No SSL wrapper around {self}")
        try:
            self._plain_rest = stream.exchange_close_notify(self.gettimeout())
        except TimeoutError as error:
            raise _named(error, "shutdown") from None
        except OSError as error:
            self._failed(stream, error)
            raise
        stream.retire_descriptor()
        if self._stream is stream:  # else it was closed meanwhile
            self._unwrapped = stream
            self._stream = None
        return self

    def _abandon_stream(self) -> _engine.Stream | None:
        """Ends TLS without close_notify; the descriptor stays open. Nothing passes, encrypted or not."""
        stream = self._closing_stream = self._stream or self._unwrapped or self._closing_stream
        self._stream = self._unwrapped = None
        if stream is not None and stream.cancel_callback():
            self._left(stream)
        return stream

    def _real_close(self) -> None:
        """CPython's name: `socket.close` calls it."""
        stream = self._abandon_stream()
        if stream is None:
            socket.socket._real_close(self)  # type: ignore[attr-defined]
        else:
            stream.close_descriptor(_close_descriptor, _detach_descriptor, self)
        self._closing_stream = None

    def detach(self) -> int:
        """Closes this object, but not its descriptor, which it returns. TLS cannot continue.

        The number is a duplicate's where another thread is in a call with the descriptor.
        """
        stream = self._abandon_stream()
        if stream is None or self.fileno() < 0:
            self._closing_stream = None
            return socket.socket.detach(self)
        before, inheritable = self.fileno(), self.get_inheritable()
        number = stream.detach_descriptor(_detach_descriptor, self)
        self._closed, self._closing_stream = True, None
        if number not in (before, -1):
            os.set_inheritable(number, inheritable)
        return number

    def _real_connect(self, addr: Any, connect_ex: bool) -> int:
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._connected or self._stream is not None:
            raise ValueError("attempt to connect already-connected SSLSocket!")
        self._settings = self._context._settings
        self._renew()
        try:
            failed = socket.socket.connect_ex(self, addr) if connect_ex else None
            if failed is None:
                socket.socket.connect(self, addr)
        except BaseException:
            stream = self._abandon_stream()
            if stream is not None:
                stream.retire_descriptor()
            raise
        if failed:
            # The handshake follows once the connection is made, as with `ssl`.
            return failed
        self._connected = True
        self._peer_address = addr
        try:
            if self.do_handshake_on_connect:
                self.do_handshake()
        except BaseException:
            self.close()
            raise
        return 0

    def connect(self, addr: Any) -> None:
        """Connects, then does the handshake unless `do_handshake_on_connect` is False.

        Raises ValueError on a server's socket and on one that is connected, OSError; else as `do_handshake`.
        """
        self._real_connect(addr, False)

    def connect_ex(self, addr: Any) -> int:
        """As `connect`, but returns an errno where the TCP connection cannot be made, 0 otherwise."""
        return self._real_connect(addr, True)

    def accept(self) -> tuple[SSLSocket, Any]:
        """Accepts a connection: a new SSLSocket with the context's settings, and the address of its peer.

        Raises OSError; else as `do_handshake`, unless `do_handshake_on_connect` is False.
        """
        accepted, address = socket.socket.accept(self)
        wrapped = self._context.wrap_socket(
            accepted,
            server_side=True,
            do_handshake_on_connect=self.do_handshake_on_connect,
            suppress_ragged_eofs=self.suppress_ragged_eofs,
        )
        return wrapped, address
