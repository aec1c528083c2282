"""A context of Python's `ssl`, for the peer with a key that is too short for veritls."""

from __future__ import annotations

import ssl
from typing import Any

_HANDSHAKE = 22
_CERTIFICATE_REQUEST, _CERTIFICATE_VERIFY = 13, 15
"""Of TLS's content type and its messages (RFC 8446, appendix B)."""


class OpenSSLContext(ssl.SSLContext):
    """A context of `ssl` for one connection, which notes what `ssl` tells no client.

    `requested`: whether the server asked for a certificate. `proved`: whether the client signed for its own.
    """

    def __init__(self, protocol: int) -> None:
        super().__init__()
        self.requested = self.proved = False
        self._msg_callback = self._note

    def _note(
        self, connection: Any, direction: str, version: int, content: int, message: int, data: bytes
    ) -> None:
        if content == _HANDSHAKE:
            self.requested |= (direction, message) == ("read", _CERTIFICATE_REQUEST)
            self.proved |= (direction, message) == ("write", _CERTIFICATE_VERIFY)
