"""Signatures that are wrong or too weak, and what cannot be read."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from tests.reports.broken import Broken, below, case, chain, leaf, middle, peer, root
from tests.support.certificates import Party, new_key
from tests.support.der import as_version_1, cut, signed_with_sha1, with_extensions


@case
def leaf_signed_by_a_stranger() -> Broken:
    return Broken(
        chain(below(signer=new_key()), middle()),
        chain(root()),
        "the signature on the server's certificate for db.internal does not verify with the key of "
        "the intermediate certificate CN=R11: one of the two certificates was altered",
        "signature",
    )


@case
def intermediate_altered() -> Broken:
    forged = Party("R11", root(), ca=True, key=middle().key, signer=new_key())
    return Broken(
        chain(leaf(), forged),
        chain(root()),
        "the signature on the intermediate certificate CN=R11 does not verify with the key of "
        "CN=Example Root in the trust set: one of the two certificates was altered",
        "signature",
    )


@case
def weak_rsa_key() -> Broken:
    weak = Party("Weak", root(), ca=True, key=rsa.generate_private_key(65537, 1024))
    return Broken(
        chain(peer("leaf", weak), weak),
        chain(root()),
        "the intermediate certificate CN=Weak has a key that is too weak: "
        "RSA with 1,024 bits; 2,048 to 8,192 are accepted",
        "signature",
    )


@case
def weak_hash() -> Broken:
    old = Party("Old Root", ca=True, key=rsa.generate_private_key(65537, 2048))
    return Broken(
        chain(signed_with_sha1(peer("leaf", old), old.key)),
        chain(old),
        "the server's certificate for db.internal is signed with sha1WithRSAEncryption, which is too weak",
        "signature",
    )


@case
def dsa_root() -> Broken:
    old = Party("DSA Root", ca=True, key=dsa.generate_private_key(1024))
    return Broken(
        chain(peer("leaf", old)),
        chain(old),
        "CN=DSA Root in the trust set has a key of an unsupported type: DSA",
        "signature",
    )


@case
def unusual_curve() -> Broken:
    small = Party("Small", root(), ca=True, key=ec.generate_private_key(ec.SECP224R1()))
    return Broken(
        chain(peer("leaf", small), small),
        chain(root()),
        "the intermediate certificate CN=Small has a key of an unsupported type: secp224r1 (elliptic curve)",
        "signature",
    )


@case
def damaged_leaf() -> Broken:
    return Broken(
        chain(leaf().der[:-40], middle()),
        chain(root()),
        "the first certificate that the server sent is truncated",
        "encoding",
    )


@case
def bytes_after_the_leaf() -> Broken:
    return Broken(
        chain(leaf().der + b"\0\0", middle()),
        chain(root()),
        "the first certificate that the server sent has trailing bytes",
        "encoding",
    )


@case
def damaged_intermediate() -> Broken:
    return Broken(
        chain(leaf(), b"\x30\x03\x02\x01\x01"),
        chain(root()),
        "the second certificate that the server sent is malformed and cannot be parsed",
        "encoding",
    )


@case
def extension_twice() -> Broken:
    twice = with_extensions(lambda found: [*found, found[-1]])
    return Broken(
        chain(cut(leaf(), middle().key, twice), middle()),
        chain(root()),
        "the first certificate that the server sent has the extension subjectAltName (2.5.29.17) twice",
        "encoding",
    )


@case
def version_1() -> Broken:
    return Broken(
        chain(cut(leaf(), middle().key, as_version_1), middle()),
        chain(root()),
        "the server's certificate for CN=leaf is an X.509 version 1 certificate, "
        "which only a trust anchor may be",
        "encoding",
    )
