"""Certificates for the tests of trust, own identities and revocation, made by `cryptography`."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)

SIGNS = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
ALONE = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
"""What a self-signed certificate needs that serves and has a list of its own."""
SERVES = x509.KeyUsage(True, False, False, False, False, False, False, False, False)


def just_now() -> datetime.datetime:
    """The time of the call: `NOW` is that of the first import."""
    return datetime.datetime.now(datetime.UTC)


def new_key(kind: str = "ECDSA") -> Any:
    """ "ECDSA", "RSA" or "ED25519"."""
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    return (
        ed25519.Ed25519PrivateKey.generate() if kind == "ED25519" else ec.generate_private_key(ec.SECP256R1())
    )


def digest(key: Any) -> Any:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


class Party:
    """A certificate with its key: an authority's where `ca`, else one for the DNS `names`.

    `usage` False: without a key usage.
    """

    def __init__(
        self,
        common_name: str,
        issuer: Party | None = None,
        *,
        ca: bool = False,
        names: Sequence[str] = ("localhost",),
        kind: str = "ECDSA",
        key: Any = None,
        extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
        usage: x509.KeyUsage | Literal[False] | None = None,
        valid: tuple[datetime.datetime, datetime.datetime] = (NOW - DAY, NOW + DAY),
    ) -> None:
        self.key = key or new_key(kind)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        self.issuer = signer = issuer or self
        builder = x509.CertificateBuilder(
            issuer_name=signer.name,
            subject_name=self.name,
            public_key=self.key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=valid[0],
            not_valid_after=valid[1],
        )
        known: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), False),
        ]
        if usage is not False:
            known.append((usage or (SIGNS if ca else SERVES), True))
        if ca:
            known.append((x509.BasicConstraints(ca=True, path_length=None), True))
        elif names:
            known.append((x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False))
        for extension, critical in [*known, *extra]:
            builder = builder.add_extension(extension, critical)
        self.certificate = builder.sign(signer.key, digest(signer.key))

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def key_der(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    def crl(
        self,
        *revoked: Party | int,
        number: int | None = 1,
        since: datetime.datetime = NOW - HOUR,
        until: datetime.datetime = NOW + DAY,
        key: Any = None,
        names_key: Any = None,
        extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> x509.CertificateRevocationList:
        """A revocation list of this authority; `key`: signed by another one's, `names_key`: as if by that."""
        key = key or self.key
        builder = x509.CertificateRevocationListBuilder(self.name, since, until)
        for each in revoked:
            serial = each if isinstance(each, int) else each.certificate.serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(serial, NOW - HOUR).build()
            )
        named = (names_key or key).public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(named), False)
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), False)
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical)
        return builder.sign(key, digest(key))


def pem(crl: x509.CertificateRevocationList) -> bytes:
    return crl.public_bytes(Encoding.PEM)


def der(crl: x509.CertificateRevocationList) -> bytes:
    return crl.public_bytes(Encoding.DER)
