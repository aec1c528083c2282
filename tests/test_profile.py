"""What webpki leaves open of a path: anchor and usages always, RFC 5280 under VERIFY_X509_STRICT."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

import veritls
from tests.support.certificates import (
    DAY,
    NOW,
    SERVES,
    SIGNS,
    Party,
    alternative_names,
    key_usage,
    new_key,
    pem,
    raw_names,
)
from tests.support.der import edited

STRICT, PARTIAL = ssl.VerifyFlags.VERIFY_X509_STRICT, ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
CRL_LEAF, CRL_CHAIN = ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF, ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN


def code(
    anchor: Party, *chain: Party | bytes, flags: int = 0, crls: bytes = b"", purpose: Any = "server"
) -> int:
    """0 where the chain is trusted, else the verify_code."""
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VerifyFlags(flags)
    context.load_verify_locations(cadata=(anchor.pem + crls).decode())
    try:
        ders = [each if isinstance(each, bytes) else each.der for each in chain]
        context.verify_chain(ders, purpose=purpose)
    except ssl.SSLCertVerificationError as refused:
        assert refused.verify_message
        return refused.verify_code
    return 0


def constraints(*, ca: bool = True, length: int | None = None) -> tuple[x509.ExtensionType, bool]:
    return x509.BasicConstraints(ca=ca, path_length=length), True


def unrecognized(oid: str, *, critical: bool, value: bytes = b"\x05\x00") -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical


UNKNOWN = unrecognized("1.3.6.1.4.1.55738.1", critical=True)
ONLY_MAIL = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)

ANCHORS: dict[str, tuple[dict[str, Any], int]] = {
    "it is as it should be": ({}, 0),
    "it expired": ({"end": NOW - DAY}, 10),
    "a critical extension of it is unknown": ({"more": UNKNOWN}, 34),
    "it is no CA": ({"constraints": constraints(ca=False)}, 79),
    "it does not say that it is a CA": ({"constraints": None, "usage": None}, 79),
    "its key may not sign certificates": ({"usage": (key_usage(crls=True), True)}, 79),
    "it is for mail only": ({"extended": ONLY_MAIL}, 26),
    "its path is too long": ({"constraints": constraints(length=0)}, 25),
    "its path is long enough": ({"constraints": constraints(length=1)}, 0),
}


@pytest.mark.parametrize("flags", [0, PARTIAL, STRICT])
@pytest.mark.parametrize("case", ANCHORS)
def test_the_anchor_counts_where(case: str, flags: int) -> None:
    changes, expected = ANCHORS[case]
    root = Party("Root", ca=True, **changes)
    middle = Party("Middle", root, ca=True)
    found = code(root, Party("leaf", middle), middle, flags=flags)
    assert found == expected or (flags & STRICT and found and expected)


def test_an_intermediate_as_anchor_counts_like_any_other_anchor() -> None:
    middle = Party("Middle", Party("Root", ca=True), ca=True, end=NOW - DAY)
    assert code(middle, Party("leaf", middle), flags=PARTIAL) == 10


def test_another_path_is_found_where_the_first_anchor_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    late, good = Party("Root", ca=True, key=key, end=NOW - DAY), Party("Root", ca=True, key=key)
    leaf = Party("leaf", good)
    for first, second in ((late, good), (good, late)):
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=first.der + second.der)
        assert context.verify_chain([leaf.der]).path == (leaf.der, good.der)


def test_an_intermediate_whose_key_may_not_sign_certificates_is_refused() -> None:
    root = Party("Root", ca=True)
    middle = Party("Middle", root, ca=True, usage=(SERVES, True))
    assert code(root, Party("leaf", middle), middle) == 79


USAGES: dict[str, tuple[x509.KeyUsage | None, int, int]] = {
    # (the leaf's key usage, code for a server, for a client)
    "it says nothing": (None, 0, 0),
    "it signs": (SERVES, 0, 0),
    "it agrees on keys": (x509.KeyUsage(False, False, False, False, True, False, False, False, False), 0, 0),
    "it wraps keys": (x509.KeyUsage(False, False, True, False, False, False, False, False, False), 0, 26),
    "it signs certificates": (SIGNS, 26, 26),
}


@pytest.mark.parametrize("case", USAGES)
def test_a_peer_s_key_has_to_be_for_tls_where(case: str) -> None:
    usage, server, client = USAGES[case]
    root = Party("Root", ca=True)
    leaf = Party("leaf", root, usage=usage and (usage, True))
    assert code(root, leaf) == server
    assert code(root, leaf, purpose="client") == client


@pytest.mark.parametrize(
    "damaged",
    [b"\x04\x02\x07\x80", b"\x03\x00\x05\x00", b"\x03\x01\x07\x80", b"\x03\x05\x07\x80"],
    ids=["not a bit string", "no bits, and more after them", "more after its bits", "its bits cut off"],
)
def test_a_peer_s_key_usage_that_cannot_be_read_refuses_the_peer(damaged: bytes) -> None:
    root = Party("Root", ca=True)
    leaf = Party("leaf", root, usage=(SERVES, True))
    intact = b"\x03\x02\x07\x80"
    assert code(root, edited(leaf, root, intact, intact)) == 0
    assert code(root, edited(leaf, root, intact, damaged)) != 0


def test_a_certificate_trusted_by_itself_is_held_to_usage_and_profile_too() -> None:
    alone = Party("alone", usage=(SIGNS, True))
    assert code(alone, alone) == 26
    signing = Party("alone", usage=(key_usage(serves=True, certificates=True), True))
    assert code(signing, signing) == 0
    assert code(signing, signing, flags=STRICT) == 82


def test_a_certificate_trusted_by_itself_is_refused_as_any_other_where_the_engine_cannot_read_it() -> None:
    key = new_key()
    odd = Party(
        "alone", subject_key=(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), True), key=key
    )
    assert code(odd, odd) == code(odd, odd, flags=STRICT) == 34


@pytest.mark.parametrize(("flag", "expected"), [(CRL_LEAF, 0), (CRL_CHAIN, 35)])
def test_a_list_of_an_anchor_that_may_not_sign_lists_counts_for_nothing(flag: int, expected: int) -> None:
    root = Party("Root", ca=True, usage=(key_usage(certificates=True), True))
    middle = Party("Middle", root, ca=True)
    crls = pem(middle.crl()) + pem(root.crl())
    assert code(root, Party("leaf", middle), middle, flags=flag, crls=crls) == expected
    assert code(root, Party("leaf", root), flags=flag, crls=crls) == 35


def own_key(identifier: bytes) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(identifier, None, None)


def named(name: x509.Name, serial: int) -> Callable[[Party], tuple[x509.ExtensionType, bool]]:
    def identifier(root: Party) -> tuple[x509.ExtensionType, bool]:
        key = x509.SubjectKeyIdentifier.from_public_key(root.key.public_key()).digest
        issuer = [x509.DirectoryName(name)]
        return x509.AuthorityKeyIdentifier(key, issuer, serial or root.certificate.serial_number), False

    return identifier


def limits(*permitted: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.NameConstraints(permitted, None), True


DNS = x509.DNSName
OTHER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Other")])
ROOT_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root")])
AIA = x509.AuthorityInformationAccess(
    [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://a/"))]
)
MASK = ipaddress.ip_network("192.0.2.0/24")
MASK6 = ipaddress.ip_network("2001:db8::/33")
NO_SUBTREES = unrecognized("2.5.29.30", critical=True, value=b"\x30\x00")
NO_BASE = unrecognized("2.5.29.30", critical=True, value=b"\x30\x02\xa0\x00")
GAPS = unrecognized(
    "2.5.29.30", critical=True, value=b"\x30\x0e\xa0\x0c\x30\x0a\x87\x08\xc0\x00\x02\x00\xff\x00\xff\x00"
)
FIRST_GAP = unrecognized(
    "2.5.29.30", critical=True, value=b"\x30\x0e\xa0\x0c\x30\x0a\x87\x08\x40\x00\x02\x00\x7f\xff\xff\x00"
)
LENGTH_ALONE = unrecognized("2.5.29.19", critical=True, value=b"\x30\x03\x02\x01\x00")
BAD_AIA = unrecognized("1.3.6.1.5.5.7.1.1", critical=False, value=b"malformed")

LEAVES: dict[str, tuple[dict[str, Any], int]] = {
    "everything is as usual": ({}, 0),
    "its serial number has 20 octets": ({"serial": 2**159 - 1}, 0),
    "its name has an underscore": ({"san": alternative_names(DNS("a_b.example"))}, 41),
    "its name has an empty label": ({"san": alternative_names(DNS("a..example"))}, 41),
    "its name ends with a dot": ({"san": alternative_names(DNS("a.example."))}, 41),
    "its name has a label of 64": ({"san": alternative_names(DNS("a" * 64 + ".example"))}, 41),
    "its name is a wildcard": ({"san": alternative_names(DNS("*.example"))}, 0),
    "its name is a part of a wildcard": ({"san": alternative_names(DNS("a*.example"))}, 41),
    "its name is an address": ({"san": alternative_names(x509.IPAddress(ipaddress.ip_address("::1")))}, 0),
    "its name is a URI": ({"san": alternative_names(x509.UniformResourceIdentifier("spiffe://a/b"))}, 0),
    "it has name constraints": ({"more": limits(DNS("example"))}, 41),
    "its authorityInfoAccess is unreadable": ({"more": BAD_AIA}, 41),
    "its authorityInfoAccess is there": ({"more": (AIA, False)}, 0),
    "its key is a P-192 one": ({"key": ec.generate_private_key(ec.SECP192R1())}, 66),
    "its key is a P-384 one": ({"key": ec.generate_private_key(ec.SECP384R1())}, 0),
    "its key is a short RSA one": ({"key": rsa.generate_private_key(65537, 1024)}, 66),
    "its key is an RSA one that is a byte too short": ({"key": rsa.generate_private_key(65537, 2040)}, 66),
    "its key is an Ed25519 one": ({"key": new_key("ED25519")}, 0),
    "it has a path length and is no CA": ({"constraints": LENGTH_ALONE}, 80),
    "its name is an address of five bytes": ({"san": raw_names(b"\x30\x07\x87\x05abcde")}, 41),
    "its key is an RSA one": ({"key": rsa.generate_private_key(65537, 2048)}, 0),
    "its key is a DSA one": ({"key": dsa.generate_private_key(2048)}, 66),
    "its issuer's key is another": ({"authority_key": (own_key(b"another"), False)}, 30),
    "its issuer is named": ({"authority_key": named(ROOT_NAME, 0)}, 0),
    "its issuer has another name": ({"authority_key": named(OTHER, 0)}, 31),
    "its issuer has another number": ({"authority_key": named(ROOT_NAME, 7)}, 31),
}


@pytest.mark.parametrize("case", LEAVES)
def test_a_leaf_is_held_to_rfc_5280_where(case: str) -> None:
    changes, expected = LEAVES[case]
    root = Party("Root", ca=True)
    made = {name: value(root) if callable(value) else value for name, value in changes.items()}
    leaf = Party("leaf", root, **made)
    assert code(root, leaf, flags=STRICT) == expected
    assert code(root, leaf) == 0


CAS: dict[str, tuple[dict[str, Any], int]] = {
    "its name constraints are in order": ({"more": limits(DNS("localhost"), x509.IPAddress(MASK))}, 0),
    "its name constraints begin with a dot": ({"more": limits(DNS(".localhost"), DNS("localhost"))}, 52),
    "its name constraints have a mask with gaps": ({"more": GAPS}, 52),
    "its name constraints have a mask that begins with a gap": ({"more": FIRST_GAP}, 52),
    "its name constraints are of IPv6": ({"more": limits(DNS("localhost"), x509.IPAddress(MASK6))}, 0),
    "its name constraints have no subtrees": ({"more": NO_SUBTREES}, 41),
    "its name constraints have no base": ({"more": NO_BASE}, 41),
    "its policy constraints are not critical": ({"more": (x509.PolicyConstraints(0, None), False)}, 41),
    "it is identified by half a name": (
        {"authority_key": unrecognized("2.5.29.35", critical=False, value=b"\x30\x03\x82\x01\x01")},
        85,
    ),
    "its own key is another": ({"authority_key": (own_key(b"another"), False)}, 30),
    "its key is an odd RSA one": ({"key": rsa.generate_private_key(65537, 2052)}, 67),
}


@pytest.mark.parametrize("case", CAS)
def test_a_ca_is_held_to_rfc_5280_where(case: str) -> None:
    changes, expected = CAS[case]
    root = Party("Root", ca=True, **changes)
    leaf = Party("leaf", root)
    assert code(root, leaf, flags=STRICT) == expected
    assert code(root, leaf) == 0


FIVE = b"\x02\x01\x05"
ISSUER_NAMES = unrecognized("2.5.29.18", critical=False, value=b"\x30\x04\x81\x02a@")
ATTRIBUTES = unrecognized("2.5.29.9", critical=False, value=b"\x30\x04\x81\x02a@")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (FIVE, FIVE, 0),
        (FIVE, b"\x02\x01\x00", 1),
        (FIVE, b"\x02\x01\x85", 1),
        (b"\x06\x03\x55\x1d\x09", b"\x06\x03\x55\x1d\x12", 41),
    ],
    ids=["as it was", "serial number zero", "serial number negative", "the same extension twice"],
)
def test_what_no_tool_makes_is_refused_under_strict(old: bytes, new: bytes, expected: int) -> None:
    root = Party("Root", ca=True)
    leaf = Party("leaf", root, serial=5, more=ISSUER_NAMES, others=ATTRIBUTES)
    assert code(root, edited(leaf, root, old, new), flags=STRICT) == expected
    assert code(root, edited(leaf, root, old, new)) == 0


@pytest.mark.parametrize(("serial", "expected"), [(b"\x05", 0), (b"\x00", 1)])
def test_an_intermediates_serial_number_is_held_to_rfc_5280_too(serial: bytes, expected: int) -> None:
    root = Party("Root", ca=True)
    middle = Party("Middle", root, ca=True, serial=5)
    sent = edited(middle, root, FIVE, FIVE[:2] + serial)
    leaf = Party("leaf", middle)
    assert code(root, leaf, sent, flags=STRICT) == expected
    assert code(root, leaf, sent) == 0


def test_a_list_without_a_number_counts_for_nothing_under_strict() -> None:
    root = Party("Root", ca=True)
    leaf = Party("leaf", root)
    numbered, bare = pem(root.crl()), pem(root.crl(number=None))
    critical = pem(root.crl(number=None, extra=[(x509.CRLNumber(1), True)]))
    assert code(root, leaf, flags=STRICT | CRL_LEAF, crls=numbered) == 0
    for crls in (bare, critical):
        assert code(root, leaf, flags=STRICT | CRL_LEAF, crls=crls) == 1
        assert code(root, leaf, flags=STRICT, crls=crls) == 0
        assert code(root, leaf, flags=CRL_LEAF, crls=crls) == 0
