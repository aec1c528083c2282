"""Certificates and revocation lists made to measure."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def key_usage(*, serves: bool = False, certificates: bool = False, lists: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(serves, False, False, False, False, certificates, lists, False, False)


SIGNS = key_usage(certificates=True, lists=True)
SERVES = key_usage(serves=True)
SERVES_AND_SIGNS = key_usage(serves=True, certificates=True, lists=True)


class Party:
    """A certificate with its key. `changes` adds to the usual extensions, replaces one, leaves it out (None)
    or makes it critical.
    """

    def __init__(
        self,
        common_name: str,
        issuer: Party | None = None,
        *,
        ca: bool = False,
        key: Any = None,
        serial: int | None = None,
        until: datetime.datetime = NOW + DAY,
        **changes: Any,
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
        signer = issuer or self
        builder = x509.CertificateBuilder(
            subject_name=self.name,
            issuer_name=signer.name,
            public_key=self.key.public_key(),
            serial_number=serial or x509.random_serial_number(),
            not_valid_before=NOW - 3 * DAY,
            not_valid_after=until,
        )
        usual: dict[str, Any] = {
            "subject_key": (x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False),
            "authority_key": (
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()),
                False,
            ),
            "usage": (SIGNS if ca else SERVES, True),
            "constraints": (x509.BasicConstraints(ca=True, path_length=None), True) if ca else None,
            "names": None if ca else (x509.SubjectAlternativeName([x509.DNSName("localhost")]), False),
        }
        for name, extension in (usual | changes).items():
            if extension == "critical":
                builder = builder.add_extension(usual[name][0], True)
            elif extension is not None:
                builder = builder.add_extension(*extension)
        self.certificate = builder.sign(signer.key, hashes.SHA256())
        self.der = self.certificate.public_bytes(Encoding.DER)
        self.pem = self.certificate.public_bytes(Encoding.PEM).decode()

    def file(self, folder: Path, *chain: Party) -> Path:
        path = folder / f"{id(self)}.pem"
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        path.write_text(key + self.pem + "".join(party.pem for party in chain))
        return path

    def revokes(
        self, *revoked: Party, until: datetime.datetime = NOW + DAY, number: str | None = "usual"
    ) -> str:
        builder = x509.CertificateRevocationListBuilder(self.name, NOW - 2 * DAY, until)
        for party in revoked:
            entry = x509.RevokedCertificateBuilder(party.certificate.serial_number, NOW - DAY)
            builder = builder.add_revoked_certificate(entry.build())
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(authority_key, False)
        if number:
            builder = builder.add_extension(x509.CRLNumber(1), number == "critical")
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content).to_bytes(2, "big")
    return (
        bytes([tag, 0x82]) + length + content
        if len(content) > 0xFF
        else bytes([tag, 0x81, *length[1:]]) + content
    )


def edited(party: Party, issuer: Party, old: bytes, new: bytes) -> bytes:
    """A certificate, DER, as no tool makes it: with `old` replaced by as many bytes, then signed anew."""
    assert len(old) == len(new)
    signed = party.certificate.tbs_certificate_bytes
    assert old in signed
    signed = signed.replace(old, new, 1)
    signature = issuer.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    bits = bytes([0x03, len(signature) + 1, 0]) + signature
    return _tagged(0x30, signed + _ECDSA_WITH_SHA256 + bits)
