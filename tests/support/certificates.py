"""Certificates with their keys, and CRLs, made to measure by `cryptography`."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtensionOID, NameOID

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)

Extension = tuple[x509.ExtensionType, bool]
"""An extension, and whether it is critical."""


def key_usage(*, serves: bool = False, certificates: bool = False, crls: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(serves, False, False, False, False, certificates, crls, False, False)


SIGNS = key_usage(certificates=True, crls=True)
SERVES = key_usage(serves=True)
SERVES_AND_SIGNS = key_usage(serves=True, certificates=True, crls=True)


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


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def alternative_names(*names: str | x509.GeneralName, critical: bool = False) -> Extension:
    """subjectAltName; a text is a DNS name."""
    general = [x509.DNSName(name) if isinstance(name, str) else name for name in names]
    return x509.SubjectAlternativeName(general), critical


def raw_names(der: bytes) -> Extension:
    """subjectAltName with this content, whatever it is."""
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, der), False


class Party:
    """A certificate with its key, signed by `issuer` or by itself.

    A CA's where `ca`, else a server's or client's for `names` (by default localhost; a text is a DNS name).
    An extension given by name replaces the usual one ("constraints", "usage", "subject_key",
    "authority_key", "san") or leaves it out (None); under any other name it is an addition, as are those of
    `extra`. Given alone, it is as critical as the usual one.
    """

    def __init__(
        self,
        subject: str | x509.Name,
        issuer: Party | None = None,
        *,
        ca: bool = False,
        names: Sequence[str | x509.GeneralName] | None = None,
        key: Any = None,
        signer: Any = None,
        serial: int | None = None,
        start: datetime.datetime = NOW - 30 * DAY,
        end: datetime.datetime = NOW + 30 * DAY,
        rsa_padding: Any = None,
        extra: Iterable[Extension] = (),
        **extensions: Extension | x509.ExtensionType | None,
    ) -> None:
        self.key = key or new_key()
        self.name = common_name(subject) if isinstance(subject, str) else subject
        self.issuer = issuer or self
        builder = x509.CertificateBuilder(
            issuer_name=self.issuer.name,
            subject_name=self.name,
            public_key=self.key.public_key(),
            serial_number=serial or x509.random_serial_number(),
            not_valid_before=start,
            not_valid_after=end,
        )
        if names is None:
            names = () if ca else ("localhost",)
        above = self.issuer.key.public_key()
        usual: dict[str, Extension | None] = {
            "constraints": (x509.BasicConstraints(ca=True, path_length=None), True) if ca else None,
            "usage": (SIGNS if ca else SERVES, True),
            "subject_key": (x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False),
            "authority_key": (x509.AuthorityKeyIdentifier.from_issuer_public_key(above), False),
            "san": alternative_names(*names) if names else None,
        }
        for name, given in extensions.items():
            if isinstance(given, x509.ExtensionType):
                known = usual.get(name)
                usual[name] = given, known is not None and known[1]
            else:
                usual[name] = given
        for each in [*usual.values(), *extra]:
            if each is not None:
                builder = builder.add_extension(*each)
        signing = signer or self.issuer.key
        self.certificate = builder.sign(
            signing,
            digest(signing),
            rsa_padding=rsa_padding,
            # The same certificate each time, for hypothesis.
            ecdsa_deterministic=True if isinstance(signing, ec.EllipticCurvePrivateKey) else None,
        )

    def issue(self, *names: str | x509.GeneralName, **options: Any) -> Party:
        """A certificate for `names` below this one; options: those of `Party`."""
        return Party("a peer", self, names=names, **options)

    @property
    def above(self) -> tuple[Party, ...]:
        """The CAs between this one and its root."""
        upper = self.issuer
        return () if upper.issuer is upper else (upper, *upper.above)

    @cached_property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @cached_property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def key_der(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    @cached_property
    def pin(self) -> bytes:
        """SHA-256 of the SubjectPublicKeyInfo."""
        key = self.certificate.public_key()
        return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()

    def identity(self, *chain: Party) -> bytes:
        """The key, the certificate and `chain`, PEM."""
        return self.key_pem + b"".join(each.pem for each in (self, *chain))

    def file(self, folder: Path, *chain: Party) -> Path:
        """The path of a file in `folder` that holds `identity(*chain)`."""
        path = folder / f"{self.certificate.serial_number}.pem"
        path.write_bytes(self.identity(*chain))
        return path

    def crl(
        self,
        *revoked: Party | int,
        number: int | None = 1,
        since: datetime.datetime = NOW - HOUR,
        until: datetime.datetime = NOW + DAY,
        at: datetime.datetime = NOW - HOUR,
        key: Any = None,
        names_key: Any = None,
        extra: Iterable[Extension] = (),
    ) -> x509.CertificateRevocationList:
        """A CRL of this CA, of what it revoked `at` a time.

        `key`: signed by that one instead; `names_key`: as if by that one.
        """
        key = key or self.key
        builder = x509.CertificateRevocationListBuilder(self.name, since, until)
        for each in revoked:
            serial = each if isinstance(each, int) else each.certificate.serial_number
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, at).build())
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
