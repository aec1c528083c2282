"""SSLObject: TLS without a socket, between two MemoryBIOs."""

from __future__ import annotations

import ssl

from veritls import _engine
from veritls._connection import state
from veritls._connection.state import NOT_YET, ConnectionState
from veritls._value import shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, overload

    from _typeshed import ReadableBuffer, WriteableBuffer

    from veritls._connection.session import SSLSession

MemoryBIO = _engine.MemoryBIO


@shown_in("veritls")
class SSLObject(ConnectionState, ssl.SSLObject):  # type: ignore[misc]
    """A TLS connection over two memory buffers, as `ssl.SSLObject`; made by `SSLContext.wrap_bio`.

    It never waits: a call that needs bytes from the peer that have not arrived raises ssl.SSLWantReadError.
    """

    _incoming: MemoryBIO
    _outgoing: MemoryBIO
    _foreign: tuple[ssl.MemoryBIO, ssl.MemoryBIO] | None
    _stream: _engine.Stream
    _server_side: bool
    _server_hostname: str | None

    @classmethod
    def _create(
        cls,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: SSLSession | None = None,
        context: Any | None = None,
    ) -> SSLObject:
        assert context is not None
        self = cls.__new__(cls)
        self._context, self._settings = context, context._settings
        self._foreign = None
        if isinstance(incoming, MemoryBIO) and isinstance(outgoing, MemoryBIO):
            self._incoming, self._outgoing = incoming, outgoing
        elif isinstance(incoming, ssl.MemoryBIO) and isinstance(outgoing, ssl.MemoryBIO):
            self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
            self._foreign = incoming, outgoing
        else:
            raise TypeError(
                "incoming and outgoing must be two MemoryBIO objects, both of veritls or both of ssl"
            )
        self._server_side = server_side
        self._server_hostname = self._settings.server_name(server_hostname, server_side=server_side)
        self._session = self._check_session(session)
        self._renew()
        return self

    def _take_in(self, source: ssl.MemoryBIO) -> None:
        if source.pending:
            _engine.pass_on(self._incoming, source.read, self._incoming.write)
        if source.eof and not self._incoming.eof:
            self._incoming.write_eof()

    def _give_out(self, sink: ssl.MemoryBIO) -> None:
        if self._outgoing.pending:
            _engine.pass_on(self._outgoing, self._outgoing.read, sink.write)

    def _is_server(self) -> bool:
        return self._server_side

    def _asked_name(self) -> str | None:
        return self._server_hostname

    def __del__(self) -> None:
        # It may run amid anything: see `veritls._connection.telling`.
        if self._watched and self._stream.cancel_callback():
            state._dropped.append(self)

    def _require_stream(self) -> _engine.Stream:
        return self._stream

    def _renew(self) -> None:
        self._stream = self._made(self._server_hostname, (self._incoming, self._outgoing))

    @property
    def server_side(self) -> bool:
        """Whether this is the server's side."""
        return self._server_side

    @property
    def server_hostname(self) -> str | None:
        """The `server_hostname` of `wrap_bio`, as an A-label or an address; None where there was none."""
        return self._server_hostname

    def do_handshake(self) -> None:
        """Continues the handshake.

        Raises ssl.SSLWantReadError until it is done; ssl.SSLCertVerificationError where the peer's
        certificate is refused; ssl.SSLError naming the alert where the peer refuses the handshake;
        ssl.SSLEOFError where `incoming` is at its end.
        """
        if self._settings.fresh:
            self._refuse_stale()
        foreign = self._foreign
        if foreign is not None:
            self._take_in(foreign[0])
        try:
            self._stream.do_handshake(0)
        except NOT_YET:
            raise
        except BaseException as error:
            self._failed(self._stream, error)
            raise
        finally:
            if foreign is not None:
                self._give_out(foreign[1])

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # typeshed has bytes for the number, too
        def read(self, len: int = 1024, buffer: None = None) -> bytes: ...
        @overload
        def read(self, len: int, buffer: WriteableBuffer) -> int: ...
        @overload
        def read(self, len: int = 1024, *, buffer: WriteableBuffer) -> int: ...

    def read(self, len: int = 1024, buffer: WriteableBuffer | None = None) -> Any:
        """Up to `len` bytes; or, with `buffer`, their number. Empty or 0 after the peer's close_notify.

        Raises ssl.SSLWantReadError where there is nothing to read, ssl.SSLEOFError at an end without
        close_notify, ValueError where `len` is negative, ssl.SSLError for a record that cannot be decrypted.
        """
        if self._settings.fresh:
            self._refuse_stale()
        foreign = self._foreign
        if foreign is not None:
            self._take_in(foreign[0])
        try:
            if buffer is not None:
                return self._stream.read_into(buffer, len, 0)
            if len < 0:
                raise ValueError("size should not be negative")
            return self._stream.read(len, 0)
        except NOT_YET:
            raise
        except OSError as error:
            self._failed(self._stream, error)
            raise
        finally:
            if foreign is not None:
                self._give_out(foreign[1])

    def write(self, data: ReadableBuffer) -> int:
        """Encrypts `data`; returns its length in bytes.

        Raises ssl.SSLWantReadError where the handshake is not done, ssl.SSLError where it fails.
        """
        if self._settings.fresh:
            self._refuse_stale()
        foreign = self._foreign
        if foreign is not None:
            self._take_in(foreign[0])
        try:
            return self._stream.write(data, True, 0)
        except NOT_YET:
            raise
        except OSError as error:
            self._failed(self._stream, error)
            raise
        finally:
            if foreign is not None:
                self._give_out(foreign[1])

    def pending(self) -> int:
        """An upper bound of the bytes that can be read now; 0 where there are none.

        Encrypted bytes that have arrived are included: uvloop reads only while this is not 0.
        """
        taken = self._incoming.pending if self._foreign is not None else 0
        return self._stream.at_hand() + taken

    def unwrap(self) -> None:
        """Ends TLS: sends close_notify and reads the peer's.

        Raises ssl.SSLWantReadError until the peer's has arrived, ssl.SSLError where the peer sends more data.
        """
        foreign = self._foreign
        if foreign is not None:
            self._take_in(foreign[0])
        try:
            self._stream.exchange_close_notify(0)
            if foreign is not None and self._incoming.pending:
                foreign[0].write(self._incoming.read())
        except NOT_YET:
            raise
        except OSError as error:
            self._failed(self._stream, error)
            raise
        finally:
            if foreign is not None:
                self._give_out(foreign[1])


class TransportSSLObject(SSLObject):
    """What ``transport.get_extra_info("ssl_object")`` gives: the state of a connection that a transport
    drives.

    To ask, not to read or write: bytes go through the transport. `do_handshake`, `read`, `write` and `unwrap`
    raise ValueError.
    """

    @classmethod
    def _of(cls, context: Any, *, server_side: bool, server_hostname: str | None) -> TransportSSLObject:
        self = cls.__new__(cls)
        self._context, self._settings = context, context._settings
        self._foreign = None
        self._server_side = server_side
        self._server_hostname = self._settings.server_name(server_hostname, server_side=server_side)
        self._session = None
        self._renew()
        return self

    def _renew(self) -> None:
        self._stream = self._made(self._server_hostname, None)

    def _watch(self, stream: _engine.Stream) -> None:
        self._watched = True  # the transport knows when the handshake is completed

    def _ended(self, address: Any, error: BaseException | None, *, completed: bool = False) -> bool:
        """Tells that the handshake has ended, once; whether that is so."""
        end = self._stream.end(True, True)
        if end is not None:
            self._peer_address = address
            self._tell(self._stream, "completed" if completed else end, error)
        return end is not None

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError("this connection is driven by its transport: use that to read, write and close")

    do_handshake = read = write = unwrap = _refuse

    def pending(self) -> int:
        """Bytes of plaintext that the transport holds because its protocol paused reading."""
        return self._stream.pending()
