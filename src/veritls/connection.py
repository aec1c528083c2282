"""SSLObject: TLS without a socket, between two MemoryBIOs; and what it shares with SSLSocket."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Literal, overload

from veritls import _engine
from veritls.certificate import decoded
from veritls.ciphers import VERSIONS, describe

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from veritls.context import SSLContext

MemoryBIO = _engine.MemoryBIO


def peer_certificate(stream: _engine.Stream, binary_form: bool) -> dict[str, Any] | bytes | None:
    """`getpeercert` of an established connection, as `ssl` documents it."""
    if not stream.established:
        raise ValueError("handshake not done yet")
    chain = stream.peer_chain
    if chain is None:
        return None
    if binary_form:
        return chain[0]
    return decoded(chain[0]) if stream.validated else {}


def protocol_name(stream: _engine.Stream | None) -> str | None:
    """ "TLSv1.3" or "TLSv1.2"; None before the handshake."""
    agreed = stream.negotiated if stream is not None else None
    return VERSIONS.get(agreed[0]) if agreed else None


def cipher_of(stream: _engine.Stream | None) -> tuple[str, str, int] | None:
    """(OpenSSL's name, protocol, secret bits); None before the handshake."""
    agreed = stream.negotiated if stream is not None else None
    return describe(agreed[1]) if agreed else None


def alpn_of(stream: _engine.Stream | None) -> str | None:
    """The protocol agreed on by ALPN (RFC 7301), None where none was."""
    name = stream.alpn_protocol if stream is not None else None
    return name.decode("ascii", "backslashreplace") if name is not None else None


class SSLObject(ssl.SSLObject):
    """A TLS connection over two memory buffers; made by `SSLContext.wrap_bio`. Never waits.

    A call that needs bytes that are not there yet raises ssl.SSLWantReadError.
    """

    _context: SSLContext
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
        session: ssl.SSLSession | None = None,
        context: SSLContext | None = None,
    ) -> SSLObject:
        assert context is not None
        self = cls.__new__(cls)
        self._context = context
        self._foreign = None
        if isinstance(incoming, MemoryBIO) and isinstance(outgoing, MemoryBIO):
            self._incoming, self._outgoing = incoming, outgoing
        elif isinstance(incoming, ssl.MemoryBIO) and isinstance(outgoing, ssl.MemoryBIO):
            self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
            self._foreign = incoming, outgoing
        else:
            raise TypeError("incoming and outgoing must be two MemoryBIO objects of the same module")
        self._server_side = server_side
        self._server_hostname = context._encode_server_name(server_hostname, server_side=server_side)
        self._stream = _engine.Stream(
            context._settings(server_side), self._server_hostname, (self._incoming, self._outgoing)
        )
        return self

    def _take_in(self) -> None:
        if self._foreign is not None:
            source = self._foreign[0]
            if source.pending:
                self._incoming.write(source.read())
            if source.eof and not self._incoming.eof:
                self._incoming.write_eof()

    def _give_out(self) -> None:
        if self._foreign is not None and self._outgoing.pending:
            self._foreign[1].write(self._outgoing.read())

    @property
    def context(self) -> SSLContext:
        """The context that this connection was made with."""
        return self._context

    @context.setter
    def context(self, context: ssl.SSLContext) -> None:
        raise ValueError("the context of a connection can only be changed from within sni_callback")

    @property
    def session(self) -> ssl.SSLSession | None:
        """None: connections of this version are never resumed."""
        return None

    @session.setter
    def session(self, session: ssl.SSLSession | None) -> None:
        if session is not None:
            raise ValueError("sessions cannot be resumed")

    @property
    def session_reused(self) -> bool | None:  # type: ignore[override]
        """False: every connection makes its own decision about its peer."""
        return False if self._stream.established else None

    @property
    def server_side(self) -> bool:
        """Whether this is the server's end."""
        return self._server_side

    @property
    def server_hostname(self) -> str | None:
        """The name that the client asked for, as an A-label; None on a server."""
        return self._server_hostname

    def do_handshake(self) -> None:
        """Goes on with the handshake. Raises ssl.SSLWantReadError until it is done."""
        self._take_in()
        try:
            self._stream.do_handshake(-1, 0)
        finally:
            self._give_out()

    def read(self, len: int = 1024, buffer: WriteableBuffer | None = None) -> Any:
        """Up to `len` bytes, or their number where they went into `buffer`. Empty or 0 at close_notify.

        Raises ssl.SSLWantReadError where nothing is there, ssl.SSLEOFError at an end without close_notify.
        """
        self._take_in()
        try:
            if buffer is not None:
                return self._stream.read_into(buffer, len, -1, 0)
            if len < 0:
                raise ValueError("size should not be negative")
            return self._stream.read(len, -1, 0)
        finally:
            self._give_out()

    def write(self, data: ReadableBuffer) -> int:
        """Encrypts `data`; returns its length in bytes."""
        self._take_in()
        try:
            return self._stream.write(data, True, -1, 0)
        finally:
            self._give_out()

    def pending(self) -> int:
        """Bytes of plaintext that can be read without more from the peer."""
        return self._stream.pending()

    def unwrap(self) -> None:
        """Sends close_notify, and reads the peer's; raises ssl.SSLWantReadError until that is there."""
        self._take_in()
        try:
            rest = self._stream.close(True, -1, 0)
            if rest:
                source = self._foreign[0] if self._foreign else self._incoming
                source.write(rest)
        finally:
            self._give_out()

    @overload
    def getpeercert(self, binary_form: Literal[False] = False) -> dict[str, Any] | None: ...
    @overload
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...
    @overload
    def getpeercert(self, binary_form: bool) -> Any: ...
    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate: None if it sent none, {} if it was not validated, its DER bytes on request.

        Raises ValueError before the handshake is done.
        """
        return peer_certificate(self._stream, binary_form)

    def version(self) -> str | None:
        """The protocol version, "TLSv1.2" or "TLSv1.3"; None before the handshake."""
        return protocol_name(self._stream)

    def cipher(self) -> tuple[str, str, int] | None:
        """(name, protocol version, secret bits); None before the handshake."""
        return cipher_of(self._stream)

    def selected_alpn_protocol(self) -> str | None:
        """The protocol agreed on by ALPN (RFC 7301), or None."""
        return alpn_of(self._stream)

    def selected_npn_protocol(self) -> None:
        """None: NPN is not offered."""
        return None

    def compression(self) -> None:
        """None: compression is not offered."""
        return None
