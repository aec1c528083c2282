"""`_sslobj`, the private core of the standard classes, which libraries use: the same connection."""

from __future__ import annotations

import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Chains(Protocol):
        """What `SSLObj` itself needs of a connection; the other attributes are passed on."""

        def get_unverified_chain(self) -> list[bytes]: ...


ENCODING_PEM = 1
ENCODING_DER = 2


class Certificate(bytes):
    """The DER of a certificate, with the members of the standard module's private class of that name.

    `ssl` has that class in the chains of `_sslobj`, and bytes in the public methods of Python 3.13.
    """

    def public_bytes(self, format: int = ENCODING_PEM) -> str | bytes:
        """The certificate as PEM text, or as DER bytes. Raises ValueError for another format."""
        if format == ENCODING_PEM:
            return ssl.DER_cert_to_PEM_cert(self)
        if format == ENCODING_DER:
            return bytes(self)
        raise ValueError("Unsupported format")

    def get_info(self) -> dict[str, Any]:
        """The certificate decoded as by `getpeercert`."""
        from veritls._loading.certificates import decoded

        return decoded(self)

    def __repr__(self) -> str:
        from veritls._loading.certificates import subject_text

        return f"<Certificate {subject_text(self)!r}>"


class SSLObj:
    """The attributes of the connection itself, with None for an empty chain."""

    def __init__(self, owner: Chains) -> None:
        self.owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.owner, name)

    def uses_ktls_for_send(self) -> bool:
        """False: the engine encrypts, not the kernel (`ssl` of Python 3.15)."""
        return False

    def uses_ktls_for_recv(self) -> bool:
        """False, as `uses_ktls_for_send`."""
        return False

    def get_unverified_chain(self) -> list[bytes] | None:
        """The certificates that the peer sent (DER), None where it sent none."""
        return self.owner.get_unverified_chain() or None
