"""Broken certificates, CRLs and keys, from files and from memory."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import example, given, strategies as st

import veritls
from tests.fuzz import RARELY
from tests.fuzz.breaking import broken
from tests.support.certificates import Party, der, pem
from tests.support.der import edited

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF = Party("leaf", MIDDLE)
REVOKED = Party("revoked", MIDDLE)
SIGNED = {party.certificate.tbs_certificate_bytes for party in (ROOT, MIDDLE, LEAF)}
CRL = MIDDLE.crl(REVOKED)
CERTIFICATES = (ROOT.der, MIDDLE.der, LEAF.der)
PEMS = (ROOT.pem, MIDDLE.pem + ROOT.pem, pem(CRL))
AFTERWARDS = (ssl.SSLError, ValueError, OSError)

pytestmark = pytest.mark.timeout(120)


def client() -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ROOT.der)
    return context


@RARELY
@given(broken(*CERTIFICATES, der(CRL)))
def test_broken_der_is_loaded_whole_or_refused_whole(data: bytes) -> None:
    context = client()
    before = context.cert_store_stats()
    try:
        context.load_verify_locations(cadata=data)
    except AFTERWARDS:
        assert context.cert_store_stats() == before
    else:
        context.get_ca_certs(binary_form=True)


@RARELY
@given(broken(*PEMS))
def test_broken_pem_is_loaded_whole_or_refused_whole(data: bytes) -> None:
    context = client()
    before = context.cert_store_stats()
    try:
        context.load_verify_locations(cadata=bytes(byte & 0x7F for byte in data).decode("ascii"))
    except AFTERWARDS:
        assert context.cert_store_stats() == before


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return LEAF.file(tmp_path_factory.mktemp("identity"), MIDDLE)


@RARELY
@given(choice=st.data())
def test_a_broken_identity_is_used_or_refused(identity: Path, choice: st.DataObject) -> None:
    whole = identity.read_bytes()
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    damaged = identity.with_suffix(".damaged")
    damaged.write_bytes(choice.draw(broken(whole)))
    with contextlib.suppress(*AFTERWARDS):
        context.load_cert_chain(damaged)


@RARELY
@given(
    st.lists(st.one_of(st.sampled_from(CERTIFICATES), broken(*CERTIFICATES)), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_broken_chain_is_trusted_only_for_what_was_signed(chain: list[bytes], strict: bool) -> None:
    context = client()
    context.verify_flags = ssl.VERIFY_X509_STRICT if strict else ssl.VERIFY_DEFAULT
    try:
        report = context.verify_chain(chain, server_hostname="localhost")
    except AFTERWARDS:
        return
    for each in report.path:
        assert x509.load_der_x509_certificate(each).tbs_certificate_bytes in SIGNED
    assert report.path[0] == LEAF.der


@RARELY
@given(broken(der(CRL)))
@example(der(CRL).replace(b"Middle", b"Maddle"))
def test_a_broken_crl_never_clears_a_certificate_that_it_revoked(data: bytes) -> None:
    context = client()
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    pem = ssl.DER_cert_to_PEM_cert(data).replace("CERTIFICATE", "X509 CRL")
    try:
        context.load_verify_locations(cadata=pem)
    except AFTERWARDS:
        return
    with pytest.raises(ssl.SSLCertVerificationError):
        context.verify_chain([REVOKED.der, MIDDLE.der])


@pytest.mark.parametrize(
    "data", [MIDDLE.der + LEAF.der[:-1], (MIDDLE.pem + LEAF.pem.replace(b"M", b"!")).decode()]
)
def test_a_whole_certificate_before_a_damaged_one_is_not_loaded_either(data: str | bytes) -> None:
    context = client()
    before = context.cert_store_stats()
    with pytest.raises(ssl.SSLError):
        context.load_verify_locations(cadata=data)
    assert context.cert_store_stats() == before


VERSION = b"\xa0\x03\x02\x01"


@pytest.mark.parametrize("version", [b"\x00", b"\x01", b"\x03", b"\x7f", b"\xff"])
def test_a_certificate_of_an_unknown_version_is_refused_like_any_other(version: bytes) -> None:
    der = edited(LEAF, MIDDLE, VERSION + b"\x02", VERSION + version)
    with pytest.raises(ssl.SSLCertVerificationError):
        client().verify_chain([der, MIDDLE.der])
    context = client()
    with contextlib.suppress(ssl.SSLError):
        context.load_verify_locations(cadata=der)
    with contextlib.suppress(ssl.SSLError):
        context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(der))
    with contextlib.suppress(ValueError):
        context.get_ca_certs()


@pytest.mark.parametrize("version", [b"\x00", b"\x02", b"\x7f"])
def test_a_revocation_list_of_an_unknown_version_is_refused(version: bytes) -> None:
    assert der(CRL).count(b"\x02\x01\x01") >= 1
    data = der(CRL).replace(b"\x02\x01\x01", b"\x02\x01" + version, 1)
    pem = ssl.DER_cert_to_PEM_cert(data).replace("CERTIFICATE", "X509 CRL")
    with pytest.raises(ssl.SSLError):
        client().load_verify_locations(cadata=pem)
