"""Certificates without a place of their own: intermediates, and the bundles of SPIFFE trust domains."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from veritls import _engine
from veritls._loading.pem import from_der, is_content, is_pem, pem_certificates, read_content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from _typeshed import ReadableBuffer
    from cryptography import x509

    from veritls._loading.pem import StrPath

    OneCertificate: TypeAlias = str | ReadableBuffer | x509.Certificate
    CertificateData: TypeAlias = OneCertificate | Iterable[OneCertificate]
    """PEM text, PEM or DER bytes, or `cryptography` certificates, one or several."""
    CertificateSource: TypeAlias = StrPath | CertificateData
    """The same, or the path of a file."""

MOST_TRUST_DOMAINS = 1_000
MOST_IN_BUNDLES = 10_000
"""Trust domains of a bundle map, and certificates of all its bundles."""


def certificates_in(data: CertificateData, where: str) -> list[bytes]:
    """The certificates of PEM text, of PEM or DER bytes, or of `cryptography` objects, DER; or of several.

    Raises ssl.SSLError naming `where` for malformed ones, ValueError where there is none, TypeError for
    other types.
    """
    found = _in_one(data, where)
    if found is None:
        if not isinstance(data, Iterable):
            raise TypeError(f"{where}: certificates are PEM, DER or objects, not {type(data).__name__}")
        found = []
        for each in data:
            inside = _in_one(each, where)
            if inside is None:
                raise TypeError(f"{where}: each must be a certificate, not {type(each).__name__}")
            found += inside
    if not found:
        raise ValueError(f"{where}: there is no certificate")
    _engine.TrustSet([], [], False, (), found)  # which parses them as a trust set does
    return found


def _in_one(data: object, where: str) -> list[bytes] | None:
    """None for what is neither text nor bytes nor a certificate."""
    if isinstance(data, str):
        return pem_certificates(data.encode("ascii", "replace"), where)
    if isinstance(data, bytes | bytearray | memoryview):
        content = bytes(data)
        return pem_certificates(content, where) if is_pem(content) else from_der(content, where)
    from veritls._loading.objects import certificate_der

    alone = certificate_der(data)
    return None if alone is None else [alone]


def in_source(source: CertificateSource, where: str) -> dict[bytes, str]:
    """The certificates (DER) of a file, of PEM or DER in memory, or of objects, with their source.

    str is a path unless it contains ``-----BEGIN``; bytes are told from a path as by `load_cert_chain`.
    Raises OSError for a file that cannot be read; else as `certificates_in`.
    """
    is_text = isinstance(source, str) and "-----BEGIN" in source
    if isinstance(source, str | bytes | os.PathLike) and not (is_text or is_content(source)):
        data, where = read_content(source, "certificate")
        return dict.fromkeys(certificates_in(data, where), where)
    return dict.fromkeys(certificates_in(source, where), where)  # type: ignore[arg-type]


def is_trust_domain(name: str) -> bool:
    """Whether it is the name of a trust domain (SPIFFE-ID, section 2.1)."""
    return "/" not in name and _engine.matcher_fault("SPIFFE", f"spiffe://{name}/**") is None


def as_bundles(value: Mapping[str, CertificateData], source: str) -> dict[str, dict[bytes, str]]:
    """A bundle map as it is kept: trust domain -> its anchors, DER, with their source.

    Raises TypeError for other types; ValueError for an empty map or bundle, for what is not the name of a
    trust domain, for a certificate that is not a CA's, and for more than the bounds; ssl.SSLError for what is
    not a certificate.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{source} must be a mapping of trust domains, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{source} names no trust domain (None removes the map)")
    if len(value) > MOST_TRUST_DOMAINS:
        raise ValueError(f"{source} has {len(value)} trust domains, more than {MOST_TRUST_DOMAINS}")
    found: dict[str, dict[bytes, str]] = {}
    total = 0
    for domain, data in value.items():
        if not isinstance(domain, str):
            raise TypeError(f"{source}: a trust domain is a str, not {type(domain).__name__}")
        if not is_trust_domain(domain):
            raise ValueError(
                f"{source}: {domain!r} is not a trust domain: lower-case letters, digits, '.', '-' and '_', "
                "without spiffe://, port or path"
            )
        certificates = certificates_in(data, f"{source}[{domain!r}]")
        for place, der in enumerate(certificates):
            if not _engine.is_ca(der):
                raise ValueError(f"{source}[{domain!r}]: certificate {place} is not of a CA")
        total += len(certificates)
        if total > MOST_IN_BUNDLES:
            raise ValueError(f"{source} has more than {MOST_IN_BUNDLES} certificates")
        found[str(domain)] = dict.fromkeys(certificates, source)
    # As anchors: what cannot be one is an error now, not when a connection is made.
    _engine.TrustSet([], [], False, (), (), {domain: list(bundle) for domain, bundle in found.items()})
    return found
