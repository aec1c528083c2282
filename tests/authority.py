"""Certificates with any names, dates and uses, made with `cryptography`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtensionOID, NameOID

DAY = timedelta(days=1)
_SIGNING = {"crl_sign": True, "key_cert_sign": True}


def _usage(**wanted: bool) -> x509.KeyUsage:
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
    names += " key_cert_sign crl_sign encipher_only decipher_only"
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in names.split()})


class Party:
    """A certificate with its key, and those above it that are sent along."""

    def __init__(self, certificate: x509.Certificate, key: Any, above: Sequence[x509.Certificate]) -> None:
        self.certificate, self.key, self.above = certificate, key, tuple(above)

    @cached_property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @cached_property
    def pem(self) -> bytes:
        chain = (self.certificate, *self.above)
        return b"".join(each.public_bytes(Encoding.PEM) for each in chain)

    @cached_property
    def pin(self) -> bytes:
        """SHA-256 of the SubjectPublicKeyInfo."""
        key = self.certificate.public_key()
        return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()

    def write(self, path: Path) -> Path:
        """The key and the chain in one PEM file."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(key + self.pem)
        return path


class Authority(Party):
    """A certificate that signs others; by itself where no `parent` is given."""

    def __init__(
        self, name: str = "An authority", parent: Authority | None = None, **dates: datetime
    ) -> None:
        made = _issue(name, (), parent, authority=True, **dates)
        super().__init__(made.certificate, made.key, made.above)

    def issue(self, *names: x509.GeneralName, **options: Any) -> Party:
        """A certificate for `names`; options: those of `_issue`."""
        return _issue("a peer", names, self, **options)

    def crl(self, *revoked: Party, until: datetime | None = None) -> bytes:
        """The list of what it revoked, good for a day or `until` then, PEM."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now - DAY).next_update(until or now + DAY)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(now - DAY).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _issue(
    subject: str,
    names: Sequence[x509.GeneralName],
    issuer: Authority | None,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    authority: bool = False,
    key: Any = None,
    raw_names: bytes | None = None,
) -> Party:
    key = key or ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.now(UTC)
    signer = issuer.key if issuer is not None else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer.certificate.subject if issuer is not None else own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - DAY)
        .not_valid_after(not_after or now + DAY)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(
            _usage(digital_signature=True, **(_SIGNING if authority else {})),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if raw_names is not None:
        names_oid = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        raw = x509.UnrecognizedExtension(names_oid, raw_names)
        builder = builder.add_extension(raw, critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    above = () if issuer is None or _is_root(issuer) else (issuer.certificate, *issuer.above)
    return Party(certificate, key, above)


def _is_root(party: Party) -> bool:
    return party.certificate.subject == party.certificate.issuer
