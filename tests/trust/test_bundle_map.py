"""spiffe_bundles: what can be set, what is shown of it, and what goes with it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.support.certificates import Party, pem
from tests.trust.domains import A_CA, B_CA, BUNDLES, A, B, kind, server, svid, uri


def of_version_1(party: Party) -> bytes:
    """The certificate (DER, of 256 to 65,535 bytes) with its extensions and without its version 3."""
    version = b"\xa0\x03\x02\x01\x02"
    der = bytearray(party.der.replace(version, b"", 1))
    for place in (2, 6):
        length = int.from_bytes(der[place : place + 2]) - len(version)
        der[place : place + 2] = length.to_bytes(2)
    return bytes(der)


OLD = Party("old", names=[uri(f"spiffe://{A}/web")], usage=None)
"""With an ID, and no CA but for its age."""
LEAF = svid(A_CA, f"spiffe://{A}/web")


@pytest.fixture
def context() -> Any:
    return veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)


@pytest.mark.parametrize(
    "bundle",
    [
        A_CA.der,
        A_CA.pem,
        A_CA.pem.decode(),
        bytearray(A_CA.der),
        memoryview(A_CA.der),
        A_CA.certificate,
        [A_CA.certificate],
        [A_CA.der],
        (A_CA.pem.decode(),),
        A_CA.der + A_CA.der,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_bundle_is_pem_der_or_objects_and_read_as_der(context: Any, bundle: Any) -> None:
    context.spiffe_bundles = {A: bundle}
    assert dict(context.spiffe_bundles) == {A: (A_CA.der,)}
    assert kind(context, LEAF) == ""


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ([], TypeError, "mapping"),
        ("a", TypeError, "mapping"),
        ({}, ValueError, "no trust domain"),
        ({A: []}, ValueError, "no certificate"),
        ({A: ""}, ssl.SSLError, "no start line"),
        ({A: b""}, ValueError, "no certificate"),
        ({A: b"x"}, ssl.SSLError, "not enough data"),
        ({A: b"-----BEGIN CERTIFICATE-----\n"}, ssl.SSLError, "cut off"),
        ({A: 1}, TypeError, "int"),
        ({A: [1]}, TypeError, "int"),
        ({A: None}, TypeError, "NoneType"),
        ({A: A_CA.key_pem}, ssl.SSLError, "no start line"),
        ({1: A_CA.der}, TypeError, "str"),
        ({b"a": A_CA.der}, TypeError, "str"),
        ({A: LEAF.der}, ValueError, "not of a CA"),
        ({A: [A_CA.der, LEAF.der]}, ValueError, "certificate 1 is not of a CA"),
        ({A: Party("x", ca=True, usage=None, constraints=None).der}, ValueError, "not of a CA"),
        ({A: of_version_1(svid(Party("x", ca=True), f"spiffe://{A}/x"))}, ValueError, "not of a CA"),
        ({A: of_version_1(OLD)}, ssl.SSLError, "trust anchor cannot be used"),
        (
            {f"{number}.example": A_CA.der for number in range(1001)},
            ValueError,
            "1001 trust domains, more than 1000",
        ),
        ({A: [A_CA.der] * 10_001}, ValueError, "more than 10000 certificates"),
        *(
            ({name: A_CA.der}, ValueError, "not a trust domain")
            for name in (
                "",
                "A.example",
                "a.example/",
                "a.example/b",
                "spiffe://a.example",
                "a.example:443",
                "u@a.example",
                "*",
                "*.example",
                "a example",
                "ä.example",
                "a.example\n",
                "a\0",
                "x" * 256,
            )
        ),
    ],
)
def test_what_is_no_bundle_map_is_refused_and_changes_nothing(
    context: Any, value: Any, error: type[Exception], words: str
) -> None:
    context.spiffe_bundles = {B: B_CA.der}
    before = context.generation
    with pytest.raises(error, match=words):
        context.spiffe_bundles = value
    assert dict(context.spiffe_bundles) == {B: (B_CA.der,)}
    assert context.generation == before


def test_a_mapping_that_raises_changes_nothing(context: Any) -> None:
    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise LookupError("the store is gone")

    with pytest.raises(LookupError):
        context.spiffe_bundles = Broken({A: A_CA.der})
    assert context.spiffe_bundles is None


def test_what_is_read_cannot_be_changed(context: Any) -> None:
    mine = {A: A_CA.der}
    context.spiffe_bundles = mine
    mine[B] = B_CA.der
    with pytest.raises(TypeError):
        context.spiffe_bundles[B] = (B_CA.der,)
    assert list(context.spiffe_bundles) == [A]


def test_a_change_counts_as_one_generation_and_the_same_again_as_none(context: Any) -> None:
    before = context.generation
    context.spiffe_bundles = BUNDLES
    context.spiffe_bundles = dict(BUNDLES)
    assert context.generation == before + 1


def test_without_the_map_the_other_anchors_count_again(context: Any) -> None:
    context.load_verify_locations(cadata=B_CA.pem.decode())
    context.spiffe_bundles = {A: A_CA.der}
    of_b = svid(B_CA, f"spiffe://{B}/x")
    assert kind(context, of_b) == "trust_domain"
    context.spiffe_bundles = None
    assert kind(context, of_b) == "" and kind(context, LEAF) == "unknown_issuer"


def test_trust_is_listed_with_its_domain_and_what_the_map_excludes(context: Any) -> None:
    context.load_verify_locations(cadata=B_CA.pem.decode())
    context.spiffe_bundles = {A: A_CA.der}
    context.load_intermediates(B_CA.der)
    listed = [(each.kind, each.der, each.trust_domain, each.source) for each in context.list_trust()]
    assert listed == [
        ("excluded", B_CA.der, None, "cadata"),
        ("anchor", A_CA.der, A, "spiffe_bundles"),
        ("intermediate", B_CA.der, None, "load_intermediates"),
    ]
    assert context.get_ca_certs(binary_form=True) == [A_CA.der]
    assert context.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}


def test_crls_are_for_all_domains_and_read_again(context: Any, tmp_path: Path) -> None:
    file = tmp_path / "crl.pem"
    file.write_bytes(pem(A_CA.crl()))
    context.spiffe_bundles = BUNDLES
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    assert context.load_crls(file) == 1
    assert kind(context, LEAF) == ""
    file.write_bytes(pem(A_CA.crl(LEAF, number=2)))
    assert context.reload_crls() == 1
    assert kind(context, LEAF) == "revoked"


def test_a_crl_that_the_ca_of_a_bundle_did_not_sign_is_refused(context: Any) -> None:
    context.spiffe_bundles = BUNDLES
    with pytest.raises(ssl.SSLError, match="not signed by its issuer"):
        context.load_crls(A_CA.crl(key=B_CA.key))


def test_a_subordinate_ca_in_a_bundle_is_an_anchor(context: Any) -> None:
    under = Party("Under", A_CA, ca=True)
    context.spiffe_bundles = {A: under.der}
    assert kind(context, svid(under, f"spiffe://{A}/x")) == ""
    assert kind(context, LEAF) == "unknown_issuer"


def test_a_thousand_domains_are_kept_apart() -> None:
    names = [f"d{number}.example" for number in range(1000)]
    context = server(bundles={name: B_CA.der if name == names[500] else A_CA.der for name in names})
    assert kind(context, svid(A_CA, f"spiffe://{names[499]}/x")) == ""
    assert kind(context, svid(A_CA, f"spiffe://{names[500]}/x")) == "unknown_issuer"
    assert kind(context, svid(B_CA, f"spiffe://{names[500]}/x")) == ""
