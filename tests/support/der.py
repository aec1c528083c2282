"""DER by hand: certificates that no tool makes, because one thing of them is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.support.certificates import Party

_SHA1_WITH_RSA = bytes.fromhex("300d06092a864886f70d0101050500")


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _header(element: bytes) -> int:
    """The length of its tag and length."""
    return 2 if element[1] < 0x80 else 2 + (element[1] & 0x7F)


def content_of(element: bytes) -> bytes:
    return element[_header(element) :]


def elements(content: bytes) -> list[bytes]:
    """The elements of a constructed element's content."""
    found = []
    while content:
        header = _header(content)
        length = content[1] if header == 2 else int.from_bytes(content[2:header], "big")
        found.append(content[: header + length])
        content = content[header + length :]
    return found


def _signed_again(party: Party, signed: bytes, by: ec.EllipticCurvePrivateKey) -> bytes:
    """The certificate with another signed part."""
    _, algorithm, _ = elements(content_of(party.der))
    signature = by.sign(signed, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, signed, algorithm, tlv(0x03, b"\0", signature))


def cut(
    party: Party, by: ec.EllipticCurvePrivateKey, change: Callable[[list[bytes]], Sequence[bytes]]
) -> bytes:
    """The certificate with its fields changed, and signed again by `by`."""
    fields = elements(content_of(party.certificate.tbs_certificate_bytes))
    return _signed_again(party, tlv(0x30, *change(fields)), by)


def edited(party: Party, issuer: Party, old: bytes, new: bytes) -> bytes:
    """The certificate with `old` replaced by as many bytes, and signed again by `issuer`."""
    assert len(old) == len(new)
    signed = party.certificate.tbs_certificate_bytes
    assert old in signed
    return _signed_again(party, signed.replace(old, new, 1), issuer.key)


def signed_with_sha1(party: Party, by: rsa.RSAPrivateKey) -> bytes:
    """The certificate with a signature of `by` that no builder makes any more."""
    fields = elements(content_of(party.certificate.tbs_certificate_bytes))
    signed = tlv(0x30, *fields[:2], _SHA1_WITH_RSA, *fields[3:])
    signature = by.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    return tlv(0x30, signed, _SHA1_WITH_RSA, tlv(0x03, b"\0", signature))


def with_extensions(change: Callable[[list[bytes]], Sequence[bytes]]) -> Callable[[list[bytes]], list[bytes]]:
    """A change of the extensions, for `cut`."""

    def apply(fields: list[bytes]) -> list[bytes]:
        extensions = elements(content_of(content_of(fields[-1])))
        return [*fields[:-1], tlv(0xA3, tlv(0x30, *change(extensions)))]

    return apply


def as_version_1(fields: list[bytes]) -> list[bytes]:
    """A change for `cut`: neither version nor extensions."""
    return fields[1:-1]
