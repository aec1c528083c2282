"""What `transport.get_extra_info("ssl_object")` gives: the facts of a connection that a transport drives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from veritls._connection.sslobject import SSLObject

if TYPE_CHECKING:
    from veritls._context.context import SSLContext


class TransportObject(SSLObject):
    """An SSLObject to ask and not to drive: bytes go through the transport."""

    @classmethod
    def _of(cls, context: SSLContext, *, server_side: bool, server_hostname: str | None) -> TransportObject:
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

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError("this connection is driven by its transport: use that to read, write and close")

    do_handshake = read = write = unwrap = _refuse

    def pending(self) -> int:
        """Bytes of plaintext that the transport holds because its protocol paused reading."""
        return self._stream.pending()
