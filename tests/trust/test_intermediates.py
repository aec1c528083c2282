"""load_intermediates: certificates that help to build paths and are never trusted themselves."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.support.certificates import Party, key_usage
from tests.support.connections import tls_pair
from tests.trust.domains import kind

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LOWER = Party("Lower", MIDDLE, ca=True)
LEAF = LOWER.issue("localhost")
OTHER = Party("Other", ca=True)


def context(*anchors: Party) -> Any:
    made = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    for each in anchors:
        made.load_verify_locations(cadata=each.pem.decode())
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "intermediates.pem"
    path.write_bytes(MIDDLE.pem + LOWER.pem)
    return path


@pytest.mark.parametrize("form", ["path", "str", "bytes path", "PEM", "PEM text", "DER", "objects", "DERs"])
def test_a_source_is_a_path_pem_der_or_objects(file: Path, form: str) -> None:
    sources: dict[str, Any] = {
        "path": file,
        "str": str(file),
        "bytes path": str(file).encode(),
        "PEM": file.read_bytes(),
        "PEM text": file.read_text(),
        "DER": MIDDLE.der + LOWER.der,
        "objects": [MIDDLE.certificate, LOWER.certificate],
        "DERs": [MIDDLE.der, LOWER.der],
    }
    made = context(ROOT)
    assert kind(made, LEAF) == "unknown_issuer"
    before = made.generation
    assert made.load_intermediates(sources[form]) == 2
    assert made.generation == before + 1
    assert kind(made, LEAF) == ""
    assert made.load_intermediates(sources[form]) == 0
    assert made.generation == before + 1


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("/nowhere/at/all.pem", FileNotFoundError),
        (b"", OSError),
        (b"\x30\x82\0", ssl.SSLError),
        (b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", ssl.SSLError),
        ("-----BEGIN CERTIFICATE-----\n\n", ssl.SSLError),
        ([], ValueError),
        (None, TypeError),
        ([None], TypeError),
        ([MIDDLE.der, b"x"], ssl.SSLError),
        (ROOT.key_pem, ssl.SSLError),
    ],
)
def test_anything_else_is_refused_and_changes_nothing(source: Any, error: type[Exception]) -> None:
    made = context(ROOT)
    before = made.generation
    with pytest.raises(error):
        made.load_intermediates(source)
    assert made.generation == before and len(made.list_trust()) == 1


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    from veritls._context import trust_store

    monkeypatch.setattr(trust_store, "MOST_INTERMEDIATES", 2)
    made = context(ROOT)
    made.load_intermediates([MIDDLE.der, LOWER.der])
    with pytest.raises(ValueError, match="2 intermediates at most"):
        made.load_intermediates(OTHER.der)
    assert made.load_intermediates(LOWER.der) == 0


@pytest.mark.parametrize("flags", [0, ssl.VERIFY_X509_PARTIAL_CHAIN])
class TestNeverTrusted:
    """Not by itself, not as the end of a path, whatever the flags."""

    def _context(self, flags: int, *anchors: Party) -> Any:
        made = context(*anchors)
        made.verify_flags |= flags
        return made

    def test_a_self_signed_one_is_no_anchor(self, flags: int) -> None:
        made = self._context(flags, OTHER)
        made.load_intermediates([ROOT.der, MIDDLE.der, LOWER.der])
        for sent in ((LEAF,), (LEAF, LOWER, MIDDLE), (LEAF, LOWER, MIDDLE, ROOT)):
            assert kind(made, *sent) in ("unknown_issuer", "self_signed_in_chain")
        assert kind(made, ROOT.issue("localhost")) == "unknown_issuer"

    def test_a_leaf_is_not_trusted_by_itself(self, flags: int) -> None:
        made = self._context(flags, OTHER)
        alone = Party("alone")
        made.load_intermediates([LEAF.der, alone.der])
        assert kind(made, LEAF) == "unknown_issuer"
        assert kind(made, alone) == "self_signed"

    def test_a_context_with_nothing_else_trusts_nobody(self, flags: int) -> None:
        made = self._context(flags)
        made.load_intermediates([ROOT.der, MIDDLE.der, LOWER.der])
        assert kind(made, LEAF, LOWER, MIDDLE, ROOT) != ""
        assert kind(made, ROOT.issue("localhost"), ROOT) != ""

    def test_an_anchor_that_is_loaded_as_one_stays_an_anchor(self, flags: int) -> None:
        made = self._context(flags, ROOT)
        made.load_intermediates([ROOT.der, MIDDLE.der])
        assert kind(made, LEAF, LOWER) == ""
        assert kind(made, ROOT.issue("localhost")) == ""

    def test_one_that_may_not_issue_issues_nothing(self, flags: int) -> None:
        made = self._context(flags, ROOT)
        wrong = ROOT.issue("x")
        made.load_intermediates(wrong.der)
        assert kind(made, wrong.issue("localhost")) == "leaf_as_ca"

    def test_one_is_no_signer_of_crls_that_nobody_vouches_for(self, flags: int) -> None:
        made = self._context(flags, ROOT)
        leaf = ROOT.issue("localhost")
        impostor = Party(ROOT.name, OTHER, ca=True, usage=key_usage(crls=True, certificates=True))
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        made.load_intermediates(impostor.der)
        made.load_crls(ROOT.crl(key=impostor.key))
        assert kind(made, leaf) == "revocation_list_signature"


def test_the_refusal_says_that_it_is_an_intermediate() -> None:
    made = context(OTHER)
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.load_intermediates(LOWER.der)
    with pytest.raises(veritls.SSLCertVerificationError) as refused:
        made.verify_chain([LEAF.der])
    report = refused.value.report
    assert "CN=Lower, which issued" in report.sentence
    assert "is an intermediate (load_intermediates) and not a trust anchor" in report.sentence
    assert not any("PARTIAL_CHAIN" in each for each in report.remedies)


def test_an_own_certificate_that_was_loaded_alone_is_sent_with_them() -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(LEAF.identity())
    server.load_intermediates([MIDDLE.der, LOWER.der])
    with tls_pair(server, context(ROOT)) as (_, client):
        assert client.get_unverified_chain() == [LEAF.der, LOWER.der, MIDDLE.der]


def test_they_are_listed_and_removed_and_a_session_ends_with_them() -> None:
    made = context(ROOT)
    made.load_intermediates([MIDDLE.der, LOWER.der])
    assert [each.kind for each in made.list_trust()] == ["anchor", "intermediate", "intermediate"]
    assert made.get_ca_certs(binary_form=True) == [ROOT.der]
    assert made.remove_trust(MIDDLE.der) == 1
    assert kind(made, LEAF) == "unknown_issuer"


def test_a_hundred_namesakes_are_bounded_work_and_no_bar_to_a_chain_that_is_sent() -> None:
    veritls._engine.work_spent()
    namesakes = [Party("Lower", OTHER, ca=True).der for _ in range(100)]
    made = context(ROOT)
    made.load_intermediates(namesakes)
    assert kind(made, LEAF, LOWER, MIDDLE) == ""
    assert kind(made, LEAF) == "too_complex"
    assert veritls._engine.work_spent() < 10_000
