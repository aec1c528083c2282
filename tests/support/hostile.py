"""Certificates that a stranger makes to be costly: DER written by hand, most of it with a wrong signature."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.der import tlv

MESSAGE = 63 * 1024
"""Bytes of certificates that fit into one message, with its framing."""
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_ECDSA_SHA512 = bytes.fromhex("300a06082a8648ce3d040304")
_ML_DSA_65 = bytes.fromhex("300b0609608648016503040312")
_RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
_ED25519 = bytes.fromhex("300506032b6570")
_BASIC, _NAMES, _CONSTRAINTS = b"\x55\x1d\x13", b"\x55\x1d\x11", b"\x55\x1d\x1e"


def name(text: str) -> bytes:
    """A distinguished name of one common name; empty where `text` is."""
    if not text:
        return tlv(0x30)
    value = tlv(0x0C, text.encode())
    return tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x03\x55\x04\x03", value)))


def extension(oid: bytes, *value: bytes, critical: bool = False) -> bytes:
    """One extension; `value`: its DER."""
    return tlv(0x30, tlv(6, oid), b"\x01\x01\xff" if critical else b"", tlv(4, *value))


def basic_constraints() -> bytes:
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
    """A key with what signs with it."""

    public: bytes
    algorithm: bytes
    sign: Callable[[bytes], bytes]
    private: Any = None


def fake_key(seed: object, *, signature: int = 64) -> Key:
    """An Ed25519 key without a private one; its signatures are wrong."""
    point = hashlib.sha256(repr(seed).encode()).digest()
    return Key(tlv(0x30, _ED25519, tlv(3, b"\0", point)), _ED25519, lambda _: bytes(signature))


def real_key(private: Any = None) -> Key:
    """A key that signs: of an elliptic curve, by default P-256, RSA, or ML-DSA-65."""
    key = private or ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, rsa.RSAPrivateKey):
        return Key(public, _RSA_SHA256, lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()), key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        large = key.curve.key_size > 256
        algorithm, hashed = (_ECDSA_SHA512, hashes.SHA512()) if large else (_ECDSA_SHA256, hashes.SHA256())
        return Key(public, algorithm, lambda data: key.sign(data, ec.ECDSA(hashed)), key)
    return Key(public, _ML_DSA_65, key.sign, key)


def long_exponent() -> Key:
    """An RSA key whose public exponent is as long as its modulus: verifying costs a hundred times as much."""
    known = rsa.generate_private_key(65537, 2048).private_numbers()
    modulus, order = known.public_numbers.n, math.lcm(known.p - 1, known.q - 1)
    secret = next(each for each in itertools.count(2**600 + 1, 2) if math.gcd(each, order) == 1)
    public = rsa.RSAPublicNumbers(pow(secret, -1, order), modulus).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(data: bytes) -> bytes:
        digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(data).digest()
        padded = b"\0\1" + b"\xff" * (253 - len(digest)) + b"\0" + digest
        return pow(int.from_bytes(padded), secret, modulus).to_bytes(256)

    return Key(der, _RSA_SHA256, sign)


_serials = iter(range(1, 2**31))


def certificate(subject: str, issuer: str, key: Key, signer: Key, *extensions: bytes) -> bytes:
    """A certificate of version 3, good until 2049, DER."""
    serial = next(_serials).to_bytes(4, "big").lstrip(b"\0")
    content = tlv(
        0x30,
        tlv(0xA0, b"\x02\x01\x02"),
        tlv(2, serial if serial[0] < 0x80 else b"\0" + serial),
        signer.algorithm,
        name(issuer),
        tlv(0x30, tlv(0x17, b"200101000000Z"), tlv(0x17, b"490101000000Z")),
        name(subject),
        key.public,
        tlv(0xA3, tlv(0x30, *extensions)) if extensions else b"",
    )
    return tlv(0x30, content, signer.algorithm, tlv(3, b"\0", signer.sign(content)))


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


def ocsp_response(leaf: bytes, issuer: bytes, signers: Sequence[bytes], algorithm: bytes) -> bytes:
    """A response (DER) full of answers about `leaf`, which `signers` could have signed and did not."""
    read, above = x509.load_der_x509_certificate(leaf), x509.load_der_x509_certificate(issuer)
    key = above.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    serial = read.serial_number.to_bytes(20, "big").lstrip(b"\0")

    def answer(hashed: str, oid: bytes) -> bytes:
        hashes_ = [tlv(4, hashlib.new(hashed, each).digest()) for each in (read.issuer.public_bytes(), key)]
        about = tlv(0x30, tlv(0x30, tlv(6, oid)), *hashes_, tlv(2, serial))
        return tlv(0x30, about, tlv(0x80), tlv(0x18, b"20260101000000Z"))

    two = [answer("sha1", b"\x2b\x0e\x03\x02\x1a"), answer("sha256", b"\x60\x86\x48\x01\x65\x03\x04\x02\x01")]
    time = tlv(0x18, b"20260101000000Z")
    content = tlv(0x30, tlv(0xA1, name("peer")), time, tlv(0x30, *(two[at % 2] for at in range(400))))
    certificates = tlv(0xA0, tlv(0x30, *signers))
    basic = tlv(0x30, content, algorithm, tlv(3, b"\0", bytes(1024)), certificates)
    kind = b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01"
    return tlv(0x30, tlv(0x0A, b"\0"), tlv(0xA0, tlv(0x30, kind, tlv(4, basic))))
