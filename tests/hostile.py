"""Certificate messages that a stranger makes to be costly: DER written by hand, most of it signed by nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MESSAGE = 63 * 1024
"""Bytes of certificates that fit into one message, with its framing."""
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
_ED25519 = bytes.fromhex("300506032b6570")
_BASIC, _NAMES, _CONSTRAINTS, _USAGE = b"\x55\x1d\x13", b"\x55\x1d\x11", b"\x55\x1d\x1e", b"\x55\x1d\x0f"


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def name(text: str) -> bytes:
    """A distinguished name of one common name; empty where `text` is."""
    if not text:
        return tlv(0x30)
    value = tlv(0x0C, text.encode())
    return tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x03\x55\x04\x03", value)))


def extension(oid: bytes, *value: bytes, critical: bool = False) -> bytes:
    """One extension; `value`: its DER."""
    return tlv(0x30, tlv(6, oid), b"\x01\x01\xff" if critical else b"", tlv(4, *value))


def authority() -> bytes:
    """basicConstraints of a CA."""
    return extension(_BASIC, tlv(0x30, b"\x01\x01\xff"), critical=True)


def alternative_names(names: Sequence[str]) -> bytes:
    """subjectAltName with these DNS names."""
    return extension(_NAMES, tlv(0x30, *(tlv(0x82, each.encode()) for each in names)))


def constraints(permitted: Sequence[str]) -> bytes:
    """nameConstraints that permit these DNS names."""
    bases = (tlv(0x30, tlv(0x82, each.encode())) for each in permitted)
    return extension(_CONSTRAINTS, tlv(0x30, tlv(0xA0, *bases)), critical=True)


@dataclass(frozen=True)
class Key:
    """A key with what signs with it. `sign`: nobody's signature where it is None."""

    public: bytes
    algorithm: bytes
    sign: Callable[[bytes], bytes] | None = field(default=None)


def fake_key(seed: object, *, signature: int = 64) -> Key:
    """An Ed25519 key that nobody holds; what it signs is wrong."""
    point = hashlib.sha256(repr(seed).encode()).digest()
    return Key(tlv(0x30, _ED25519, tlv(3, b"\0", point)), _ED25519, lambda _: bytes(signature))


def real_key(private: Any = None) -> Key:
    """A P-256 or an RSA key that signs."""
    key = private or ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, rsa.RSAPrivateKey):
        return Key(public, _RSA_SHA256, lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()))
    return Key(public, _ECDSA_SHA256, lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))


_serials = iter(range(1, 2**31))


def certificate(
    subject: str, issuer: str, key: Key, signer: Key, *extensions: bytes, algorithm: bytes | None = None
) -> bytes:
    """A certificate of version 3, good until 2049, DER."""
    algorithm = algorithm or signer.algorithm
    serial = next(_serials).to_bytes(4, "big").lstrip(b"\0")
    content = tlv(
        0x30,
        tlv(0xA0, b"\x02\x01\x02"),
        tlv(2, serial if serial[0] < 0x80 else b"\0" + serial),
        algorithm,
        name(issuer),
        tlv(0x30, tlv(0x17, b"200101000000Z"), tlv(0x17, b"490101000000Z")),
        name(subject),
        key.public,
        tlv(0xA3, tlv(0x30, *extensions)) if extensions else b"",
    )
    signature = signer.sign(content) if signer.sign is not None else b""
    return tlv(0x30, content, algorithm, tlv(3, b"\0", signature))


def filled(start: Sequence[bytes], more: Callable[[int], bytes], size: int = MESSAGE) -> list[bytes]:
    """`start`, and as many of `more` as fit into one message."""
    chain, left = list(start), size - sum(3 + len(each) for each in start)
    for number in range(100_000):
        each = more(number)
        left -= 3 + len(each)
        if left < 0:
            break
        chain.append(each)
    return chain


def ring(subject: str = "a", cas: int = 5) -> list[bytes]:
    """The attack of issue 11: CAs of one name that issue each other, and what leads nowhere, of that name, too."""
    own, nobody = fake_key("leaf"), fake_key("nobody", signature=8)
    leaf = certificate(subject, subject, own, nobody, alternative_names(["localhost"]))
    between = [
        certificate(subject, subject, fake_key(upper), fake_key(lower, signature=8), authority())
        for upper in range(cas)
        for lower in range(cas)
    ]
    # webpki overlooks a certificate with the name and the key of one below it after it read it, and for nothing.
    return filled([leaf, *between], lambda _: certificate(subject, subject, own, nobody))
