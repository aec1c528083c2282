"""What libraries reach for as `_sslobj`, the private core of the standard classes: the same connection."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from cryptography import x509

from veritls.certificate import decoded

if TYPE_CHECKING:
    from veritls.facts import Facts

ENCODING_PEM = 1
ENCODING_DER = 2


class Certificate:
    """A certificate of a chain, with the members of the standard module's private class of that name."""

    def __init__(self, der: bytes) -> None:
        self._der = der

    def public_bytes(self, format: int = ENCODING_PEM) -> str | bytes:
        """The certificate as PEM text, or as DER bytes. Raises ValueError for another format."""
        if format == ENCODING_PEM:
            return ssl.DER_cert_to_PEM_cert(self._der)
        if format == ENCODING_DER:
            return self._der
        raise ValueError("Unsupported format")

    def get_info(self) -> dict[str, Any]:
        """The certificate decoded as by `getpeercert`."""
        return decoded(self._der)

    def __eq__(self, other: object) -> bool:
        return self._der == other._der if isinstance(other, Certificate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._der)

    def __repr__(self) -> str:
        return f"<Certificate {x509.load_der_x509_certificate(self._der).subject.rfc4514_string()!r}>"


class Inner:
    """Everything that the connection itself has, and the chains as certificates."""

    def __init__(self, owner: Facts) -> None:
        self.owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.owner, name)

    def get_verified_chain(self) -> list[Certificate]:
        """The path that convinced us."""
        return [Certificate(der) for der in self.owner.get_verified_chain()]

    def get_unverified_chain(self) -> list[Certificate] | None:
        """The certificates that the peer sent, None where it sent none."""
        return [Certificate(der) for der in self.owner.get_unverified_chain()] or None
