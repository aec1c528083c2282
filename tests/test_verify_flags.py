"""verify_flags: CRLs, partial chains and RFC 5280's profile, each beside what `ssl` says."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.support.certificates import (
    HOUR,
    NOW,
    SERVES_AND_SIGNS,
    SIGNS,
    Party,
    alternative_names,
    new_key,
    pem,
)
from tests.support.connections import SECONDS, in_thread, raw_pair, server_context

CRL_LEAF, CRL_CHAIN = ssl.VERIFY_CRL_CHECK_LEAF, ssl.VERIFY_CRL_CHECK_CHAIN
STRICT, PARTIAL = ssl.VERIFY_X509_STRICT, ssl.VERIFY_X509_PARTIAL_CHAIN


def outcome(module: Any, identity: Path, trusted: Path, flags: int) -> int:
    """0 where a client with `flags` accepts the server, else the verify_code."""
    client = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(trusted)
    client.verify_flags |= flags
    server_raw, client_raw = raw_pair()
    serving = in_thread(server_context(identity, module).wrap_socket, server_raw, server_side=True)
    with client_raw, server_raw:
        try:
            with client.wrap_socket(client_raw, server_hostname="localhost"):
                serving.result(SECONDS).close()
                return 0
        except ssl.SSLCertVerificationError as error:
            assert serving.exception(SECONDS)
            assert error.verify_message
            return error.verify_code


def both(identity: Path, trusted: Path, flags: int) -> tuple[int, int]:
    return outcome(veritls, identity, trusted, flags), outcome(ssl, identity, trusted, flags)


ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF = Party("leaf", MIDDLE)
LATE = NOW - HOUR / 2

CRLS: dict[str, tuple[int, list[Callable[[], x509.CertificateRevocationList]], int]] = {
    "no CRL is asked for": (0, [lambda: MIDDLE.crl(LEAF)], 0),
    "the leaf is good": (CRL_LEAF, [lambda: MIDDLE.crl()], 0),
    "the leaf is revoked": (CRL_LEAF, [lambda: MIDDLE.crl(LEAF)], 23),
    "no CRL is there": (CRL_LEAF, [], 3),
    "only another's CRL is there": (CRL_LEAF, [lambda: ROOT.crl()], 3),
    "the CRL is out of date": (CRL_LEAF, [lambda: MIDDLE.crl(until=LATE)], 12),
    "the intermediate is revoked, the leaf asked for": (
        CRL_LEAF,
        [lambda: MIDDLE.crl(), lambda: ROOT.crl(MIDDLE)],
        0,
    ),
    "the intermediate is revoked, the chain asked for": (
        CRL_CHAIN,
        [lambda: MIDDLE.crl(), lambda: ROOT.crl(MIDDLE)],
        23,
    ),
    "the chain is good": (CRL_CHAIN, [lambda: MIDDLE.crl(), lambda: ROOT.crl()], 0),
    "the chain lacks a CRL": (CRL_CHAIN, [lambda: MIDDLE.crl()], 3),
}


@pytest.mark.parametrize("case", CRLS)
def test_revocation_is_as_with_ssl_where(case: str, tmp_path: Path) -> None:
    flags, crls, code = CRLS[case]
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(ROOT.pem + b"".join(pem(make()) for make in crls))
    assert both(LEAF.file(tmp_path, MIDDLE), trusted, flags) == (code, code)


def test_crls_are_counted_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    crls = tmp_path / "crls.pem"
    crls.write_bytes(pem(ROOT.crl()) + pem(MIDDLE.crl()))
    context.load_verify_locations(crls)
    assert context.cert_store_stats() == {"x509": 0, "x509_ca": 0, "crl": 2}
    crls.write_bytes(pem(ROOT.crl()).replace(b"\n", b"\nAAAA", 1))
    with pytest.raises(ssl.SSLError, match=r"crls\.pem"):
        context.load_verify_locations(crls)
    assert context.cert_store_stats()["crl"] == 2


@pytest.mark.parametrize(("flags", "code"), [(0, 20), (PARTIAL, 0)])
def test_an_intermediate_ends_a_path_with_partial_chain_only(flags: int, code: int, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(MIDDLE.pem)
    ours, theirs = both(LEAF.file(tmp_path), trusted, flags)
    assert (ours == 0, theirs == 0) == (code == 0, code == 0)


@pytest.mark.parametrize(("flags", "code"), [(0, 20), (PARTIAL, 0)])
def test_a_leaf_is_trusted_by_itself_with_partial_chain_only(flags: int, code: int, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(LEAF.pem)
    ours, theirs = both(LEAF.file(tmp_path), trusted, flags)
    assert (ours == 0, theirs == 0) == (code == 0, code == 0)


def constraints(*, critical: bool = True, length: int | None = None) -> dict[str, Any]:
    return {"constraints": (x509.BasicConstraints(ca=True, path_length=length), critical)}


STRICTLY: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    # (changes to the ca, changes to the leaf, code)
    "everything is there": ({}, {}, 0),
    "the CA has no key usage": ({"usage": None}, {}, 92),
    "the CA's constraints are not critical": (constraints(critical=False), {}, 89),
    "the CA has no subject key identifier": ({"subject_key": None}, {}, 86),
    "the leaf has no authorityKeyIdentifier": ({}, {"authority_key": None}, 85),
    "the leaf's names are critical": ({}, {"san": alternative_names("localhost", critical=True)}, 0),
}


@pytest.mark.parametrize("case", STRICTLY)
def test_strict_is_as_with_ssl_where(case: str, tmp_path: Path) -> None:
    of_ca, of_leaf, code = STRICTLY[case]
    ca = Party("CA", ca=True, **of_ca)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(ca.pem)
    identity = Party("leaf", ca, **of_leaf).file(tmp_path)
    assert both(identity, trusted, STRICT) == (code, code)
    assert both(identity, trusted, 0) == (0, 0)


@pytest.mark.parametrize(
    ("identifier", "make", "code"),
    [
        ("subject_key", x509.SubjectKeyIdentifier.from_public_key, 91),
        ("authority_key", x509.AuthorityKeyIdentifier.from_issuer_public_key, 90),
    ],
)
def test_a_ca_with_a_critical_key_identifier_is_refused_under_strict(
    identifier: str, make: Callable[[Any], x509.ExtensionType], code: int, tmp_path: Path
) -> None:
    key = new_key()
    changes: dict[str, Any] = {identifier: (make(key.public_key()), True)}
    ca = Party("CA", ca=True, key=key, **changes)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(ca.pem)
    # OpenSSL finds an extension that it does not expect to be critical first.
    assert both(Party("leaf", ca).file(tmp_path), trusted, STRICT) == (code, 34)


def test_a_leaf_that_may_sign_is_refused_under_strict(tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(ROOT.pem)
    identity = Party("leaf", ROOT, usage=(SERVES_AND_SIGNS, True)).file(tmp_path)
    assert both(identity, trusted, STRICT) == (82, 79)  # OpenSSL finds it invalid as a CA first


@pytest.mark.parametrize("flags", [0, STRICT])
def test_a_leaf_that_may_do_nothing_but_sign_certificates_is_refused(flags: int, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(ROOT.pem)
    identity = Party("leaf", ROOT, usage=(SIGNS, True)).file(tmp_path)
    assert both(identity, trusted, flags) == (26, 79 if flags else 26)


def test_a_nameless_leaf_needs_critical_names_under_strict(tmp_path: Path) -> None:
    for critical, code in ((False, 88), (True, 0)):
        identity = Party("", ROOT, san=alternative_names("localhost", critical=critical)).file(tmp_path)
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(ROOT.pem)
        assert both(identity, trusted, STRICT) == (code, code)


@pytest.mark.parametrize("flag", [0x80, 0x100000, 0x200000, 1 << 40, -1])
def test_a_flag_that_python_has_no_name_for_is_refused(flag: int) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    before = context.verify_flags
    with pytest.raises(ValueError, match="is not supported"):
        context.verify_flags = flag
    assert context.verify_flags == before
