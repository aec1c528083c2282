"""A chain of certificates, as DER, PEM or `cryptography` objects."""

from __future__ import annotations

from collections.abc import Sequence

from veritls._loading.objects import certificate_der
from veritls._loading.pem import pem_certificates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from cryptography import x509

    Chain: TypeAlias = str | bytes | x509.Certificate | Sequence[str | bytes | x509.Certificate]


def _certificates(value: object, where: str) -> list[bytes]:
    der = certificate_der(value)
    if der is not None:
        return [der]
    if isinstance(value, str):
        return pem_certificates(value.encode("ascii", "replace"), where)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        if not data:
            raise ValueError(f"{where} is empty")
        return pem_certificates(data, where) if b"-----BEGIN " in data else [data]
    raise TypeError(
        f"{where} must be DER bytes, PEM text or a cryptography certificate, not {type(value).__name__}"
    )


def der_chain(chain: Chain) -> tuple[bytes, ...]:
    """A chain as DER, the peer's own certificate first. DER is not parsed: the verifier does that.

    Raises TypeError for other types, ValueError for an empty chain, ssl.SSLError for malformed PEM.
    """
    if isinstance(chain, str | bytes | bytearray | memoryview) or certificate_der(chain) is not None:
        found = _certificates(chain, "the chain")
    elif isinstance(chain, Sequence):
        pieces = enumerate(chain)
        found = [der for place, each in pieces for der in _certificates(each, f"certificate {place}")]
    else:
        raise TypeError(f"chain must be a sequence of certificates, not {type(chain).__name__}")
    if not found:
        raise ValueError("the chain is empty: it needs the peer's own certificate")
    return tuple(found)
