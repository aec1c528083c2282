"""Certificates with one thing wrong, made with `cryptography`; what it refuses to make is cut from DER."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)

SIGNS = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
SERVES = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH

Extension = tuple[x509.ExtensionType, bool]


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def called(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def dns(*names: str) -> Extension:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False


class Party:
    """A certificate with its key. Keyword arguments replace what is usual; None leaves an extension out."""

    def __init__(
        self,
        common_name: str,
        issuer: Party | None = None,
        *,
        ca: bool = False,
        key: Any = None,
        start: datetime = NOW - 30 * DAY,
        end: datetime = NOW + 30 * DAY,
        hash: hashes.HashAlgorithm | None = None,
        signer: Any = None,
        serial: int | None = None,
        subject: x509.Name | None = None,
        **extensions: Extension | None,
    ) -> None:
        self.key = key or new_key()
        self.name = called(common_name) if subject is None else subject
        above = issuer or self
        signing = signer or above.key
        usual: dict[str, Extension | None] = {
            "constraints": (x509.BasicConstraints(ca, None), True) if ca else None,
            "usage": (SIGNS if ca else SERVES, True),
            "subject_key": (x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False),
            "authority_key": (
                x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key()),
                False,
            ),
            "names": None if ca else dns("db.internal"),
        }
        builder = x509.CertificateBuilder(
            above.name,
            self.name,
            self.key.public_key(),
            serial or x509.random_serial_number(),
            start,
            end,
        )
        for extension in (usual | extensions).values():
            if extension is not None:
                builder = builder.add_extension(*extension)
        if isinstance(signing, ed25519.Ed25519PrivateKey):
            self.certificate = builder.sign(signing, None)
        else:
            self.certificate = builder.sign(
                signing,
                hash or hashes.SHA256(),
                ecdsa_deterministic=True if isinstance(signing, ec.EllipticCurvePrivateKey) else None,
            )
        self.der = self.certificate.public_bytes(Encoding.DER)

    def revokes(self, *revoked: Party, until: datetime = NOW + DAY) -> bytes:
        """A revocation list of this authority, DER."""
        builder = x509.CertificateRevocationListBuilder(self.name, NOW - 5 * DAY, until)
        for party in revoked:
            entry = x509.RevokedCertificateBuilder(party.certificate.serial_number, NOW - 2 * DAY)
            builder = builder.add_revoked_certificate(entry.build())
        builder = builder.add_extension(x509.CRLNumber(1), False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def dsa_key() -> dsa.DSAPrivateKey:
    return dsa.generate_private_key(1024)


def tlv(tag: int, content: bytes) -> bytes:
    """One element of DER."""
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def content_of(element: bytes) -> bytes:
    if element[1] < 128:
        return element[2:]
    return element[2 + (element[1] & 0x7F) :]


def elements(content: bytes) -> list[bytes]:
    """The elements of a constructed element's content."""
    found = []
    while content:
        header = 2 if content[1] < 128 else 2 + (content[1] & 0x7F)
        length = content[1] if content[1] < 128 else int.from_bytes(content[2:header], "big")
        found.append(content[: header + length])
        content = content[header + length :]
    return found


def cut(
    party: Party, by: ec.EllipticCurvePrivateKey, change: Callable[[list[bytes]], Sequence[bytes]]
) -> bytes:
    """The certificate with its fields changed, and signed again by `by`."""
    fields, algorithm, _ = elements(content_of(party.der))
    body = tlv(0x30, b"".join(change(elements(content_of(fields)))))
    signature = by.sign(body, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, body + algorithm + tlv(0x03, b"\0" + signature))


def signed_with_sha1(party: Party, by: rsa.RSAPrivateKey) -> bytes:
    """The certificate with a signature of `by` that no builder makes any more."""
    fields, _, _ = elements(content_of(party.der))
    algorithm = bytes.fromhex("300d06092a864886f70d0101050500")
    before = elements(content_of(fields))
    body = tlv(0x30, b"".join([*before[:2], algorithm, *before[3:]]))
    signature = by.sign(body, padding.PKCS1v15(), hashes.SHA1())
    return tlv(0x30, body + algorithm + tlv(0x03, b"\0" + signature))


def with_extensions(change: Callable[[list[bytes]], Sequence[bytes]]) -> Callable[[list[bytes]], list[bytes]]:
    """A change of the extensions, for `cut`."""

    def apply(fields: list[bytes]) -> list[bytes]:
        extensions = elements(content_of(content_of(fields[-1])))
        return [*fields[:-1], tlv(0xA3, tlv(0x30, b"".join(change(extensions))))]

    return apply


def as_version_1(fields: list[bytes]) -> list[bytes]:
    """A change for `cut`: neither version nor extensions."""
    return fields[1:-1]
