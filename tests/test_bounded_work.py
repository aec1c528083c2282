"""What a stranger's certificates can cost: counted in the engine's units. See decision 0021."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

import veritls
from tests.bounds import refusal
from tests.shapes import SHAPES, Shape, in_order, ordinary, ring
from tests.support.hostile import basic_constraints, certificate, long_exponent, real_key
from tests.test_chains import VERSIONS
from tests.test_trusted_itself import in_memory
from veritls import _engine
from veritls._report.parsed_certificate import ParsedCertificate

TIMES = 50
ACCEPTED = {"path of eight, P-521 throughout"}
OTHER_REASONS = {
    "deep": "path_length",
    "under an anchor with ML-DSA-65": "signature",
    "3,500 names": "name",
    "3,500 names, 100 allowed peers": "not_allowed",
    "3,500 names, pinned keys": "not_pinned",
    "OCSP: many answers and signers": "ocsp_signature",
}
"""Shapes that are refused for what they are, not for what they cost."""


def units(shape: Shape) -> int:
    context = shape.context()
    _engine.work_spent()
    refusal(shape, context)
    return _engine.work_spent()


@pytest.fixture(scope="module")
def bound() -> int:
    return TIMES * units(ordinary())


@pytest.mark.parametrize("name", SHAPES)
def test_no_chain_costs_more_than_fifty_ordinary_ones(
    name: str, bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = SHAPES[name]()
    context, read = shape.context(), []
    real = x509.load_der_x509_certificate

    def load(der: bytes) -> x509.Certificate:
        read.append(der)
        return real(der)

    monkeypatch.setattr(x509, "load_der_x509_certificate", load)
    _engine.work_spent()
    refused = refusal(shape, context)
    assert 0 < _engine.work_spent() <= bound
    if name in ACCEPTED:
        assert refused is None
        return
    assert refused is not None
    assert refused.report.kind == OTHER_REASONS.get(name, "too_complex")
    text = f"{refused.report}{refused.report.as_json()}"
    assert len(read) <= 25
    assert len(text) < 8 * sum(map(len, shape.chain)) + 100_000


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("trusted", ["root", "a"])
def test_a_ring_of_namesakes_costs_a_handshake_no_more_than_fifty_ordinary_chains(
    trusted: str, side: str, version: ssl.TLSVersion, bound: int, tmp_path: Path
) -> None:
    shape = ring(trusted)
    protocol = veritls.PROTOCOL_TLS_SERVER if side == "server" else veritls.PROTOCOL_TLS_CLIENT
    verifying = shape.context(protocol)
    verifying.minimum_version = verifying.maximum_version = version
    if side == "server":
        verifying.load_cert_chain(ordinary().identity(tmp_path))
        other = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        other.check_hostname, other.verify_mode = False, veritls.CERT_NONE
    else:
        other = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(shape.identity(tmp_path))
    server, client = (verifying, other) if side == "server" else (other, verifying)
    _engine.work_spent()
    with pytest.raises(veritls.SSLCertVerificationError) as refused:
        in_memory(server, client, verifies=side)
    assert 0 < _engine.work_spent() <= bound
    assert (refused.value.verify_code, refused.value.report.kind) == (22, "too_complex")
    assert "finding a path to a trust anchor would take too much work" in str(refused.value)


def test_what_is_cached_costs_the_same(bound: int) -> None:
    shape = ordinary()
    assert units(shape) == units(shape) == bound // TIMES


def test_a_chain_whose_names_repeat_is_trusted_and_pays_for_the_orders_that_are_tried() -> None:
    # Not on the way without a search, which has no price for them: a stranger's cost 64 ordinary ones there.
    alternating, distinct = in_order("x", "y", "x", "y"), in_order("v", "w", "x", "y")
    assert refusal(alternating, alternating.context()) is refusal(distinct, distinct.context()) is None
    assert units(alternating) > 1.5 * units(distinct)


def test_a_report_says_how_many_certificates_and_names_it_leaves_out() -> None:
    shape = ring("root")
    refused = refusal(shape, shape.context())
    assert refused is not None
    shown = refused.report.as_dict()
    left = len(set(shape.chain)) - len(shown["certificates"])
    assert shown["certificates_left_out"] == left > 300
    assert f"and {left:,} more that were sent" in str(refused.report)
    shape = SHAPES["3,500 names"]()
    refused = refusal(shape, shape.context())
    assert refused is not None
    (leaf, *_) = refused.report.as_dict()["certificates"]
    assert (len(leaf["names"]), leaf["names_left_out"], leaf["pem"]) == (100, 3_400, None)
    assert "and 3,488 more" in str(refused.report)


def test_no_explanation_verifies_with_an_exponent_that_the_engine_refuses() -> None:
    long = long_exponent()
    upper = ParsedCertificate(certificate("0", "root", long, real_key(), basic_constraints()), "peer")
    lower = ParsedCertificate(certificate("peer", "0", real_key(), long), "peer")
    assert lower.certificate is not None and upper.certificate is not None
    lower.certificate.verify_directly_issued_by(upper.certificate)
    assert lower.signed_by(upper) is None
    usual = real_key(rsa.generate_private_key(65537, 2048))
    upper = ParsedCertificate(certificate("0", "root", usual, real_key(), basic_constraints()), "peer")
    assert ParsedCertificate(certificate("peer", "0", real_key(), usual), "peer").signed_by(upper)
    assert lower.signed_by(upper) is False


@pytest.mark.parametrize("make", [ordinary, SHAPES["path of eight, P-521 throughout"]])
def test_a_chain_in_order_is_trusted(make: Callable[[], Shape]) -> None:
    shape = make()
    assert refusal(shape, shape.context()) is None
