"""What a peer shows and proves, as bytes: Certificate, and the signatures that prove a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from tlslite.constants import HandshakeType

from tests.hostile_peers.wire import TLS12, Version
from tests.support.forger import message

RSA_PKCS1_SHA256, ECDSA_SHA1 = 0x0401, 0x0203
ECDSA_P256, ECDSA_P384, ED25519 = 0x0403, 0x0503, 0x0807
RSA_PSS_RSAE_SHA256, RSA_PSS_PSS_SHA256 = 0x0804, 0x0809
OFFERED = [ECDSA_P256, ECDSA_P384, RSA_PSS_RSAE_SHA256, ED25519]
"""What our scripts say that they accept, on either side."""


def certificate(
    version: Version, chain: Sequence[bytes], context: bytes = b"", extensions: bytes = b""
) -> bytes:
    """A Certificate (RFC 8446, section 4.4.2; RFC 5246, section 7.4.2) of these DER certificates.

    `extensions`: those of the first, with their own lengths, TLS 1.3 only.
    """
    entries = b""
    for each in chain:
        entries += len(each).to_bytes(3, "big") + each
        if version != TLS12:
            entries += len(extensions).to_bytes(2, "big") + extensions
            extensions = b""
    body = len(entries).to_bytes(3, "big") + entries
    if version != TLS12:
        body = bytes([len(context)]) + context + body
    return message(HandshakeType.certificate, body)


def signed(scheme: int, signature: bytes) -> bytes:
    """DigitallySigned: the scheme, and the signature."""
    return scheme.to_bytes(2, "big") + len(signature).to_bytes(2, "big") + signature


def usual_scheme(key: Any) -> int:
    """What an honest peer signs with."""
    if isinstance(key, rsa.RSAPrivateKey):
        return RSA_PSS_RSAE_SHA256
    return ECDSA_P256 if isinstance(key, ec.EllipticCurvePrivateKey) else ED25519


def sign(key: Any, data: bytes, scheme: int) -> bytes:
    """As the scheme says, as far as the key can: an ECDSA key signs with its hash on any curve."""
    if isinstance(key, rsa.RSAPrivateKey):
        if scheme in (RSA_PSS_RSAE_SHA256, RSA_PSS_PSS_SHA256):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            return key.sign(data, pss, hashes.SHA256())
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        hashed = {ECDSA_P384: hashes.SHA384(), ECDSA_SHA1: hashes.SHA1()}.get(scheme, hashes.SHA256())
        return key.sign(data, ec.ECDSA(hashed))
    return bytes(key.sign(data))


def tls13_content(side: str, transcript_hash: bytes) -> bytes:
    """What a CertificateVerify of "client" or "server" signs (RFC 8446, section 4.4.3)."""
    return b" " * 64 + f"TLS 1.3, {side} CertificateVerify".encode() + b"\0" + transcript_hash
