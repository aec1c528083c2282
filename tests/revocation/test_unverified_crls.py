"""CRLs of an issuer whose certificate the peer sends: what is not verified displaces nothing."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.revocation.answers import CRL_CHAIN, CRL_LEAF, clients, code, code_in_handshake, serving
from tests.support.certificates import HOUR, NOW, Party, new_key, pem
from tests.support.connections import tls_pair

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF, GOOD = Party("localhost", MIDDLE), Party("good", MIDDLE)
REVOKED, EXPIRED, SIGNATURE = 23, 12, 8
FORGER = new_key()


def forged(*revoked: Party, number: int | None = 99, **options: Any) -> x509.CertificateRevocationList:
    """A CRL under the name and the key identifier of the intermediate, signed with another key."""
    return MIDDLE.crl(*revoked, number=number, key=FORGER, names_key=MIDDLE.key, **options)


def asking(*crls: x509.CertificateRevocationList, flags: int = CRL_LEAF) -> veritls.SSLContext:
    """One that trusts the root, and learns of the intermediate from the peer."""
    context = clients(ROOT.certificate, flags)
    for each in crls:
        context.load_crls(each)
    return context


WAYS: list[Callable[[veritls.SSLContext, x509.CertificateRevocationList], Any]] = [
    lambda context, crl: context.load_crls(crl),
    lambda context, crl: context.load_crls(crl, allow_older=True),
    lambda context, crl: context.load_verify_locations(cadata=crl),
    lambda context, crl: context.load_verify_locations(cadata=pem(crl).decode()),
]


@pytest.mark.parametrize("way", WAYS, ids=["load_crls", "allow_older", "object", "PEM"])
@pytest.mark.parametrize("number", [0, 1, 99, None])
@pytest.mark.parametrize("first", ["good", "forged"])
def test_forged_crl_does_not_take_the_place_of_the_issuers_own(way: Any, number: Any, first: str) -> None:
    context = asking()
    for each in (MIDDLE.crl(LEAF), forged(number=number))[:: 1 if first == "good" else -1]:
        way(context, each)
    assert (code(context, LEAF, MIDDLE), code(context, GOOD, MIDDLE)) == (REVOKED, 0)


def test_forged_crl_revokes_no_certificate() -> None:
    context = asking(MIDDLE.crl(), forged(GOOD))
    assert code(context, GOOD, MIDDLE) == 0
    context.unknown_revocation_status = "accept"
    assert code(context, GOOD, MIDDLE) == 0


def test_with_forged_crls_alone_no_certificate_is_accepted_and_the_report_says_why() -> None:
    context = asking(forged(), forged(number=100))
    context.unknown_revocation_status = "accept"
    with pytest.raises(ssl.SSLCertVerificationError, match="CRL signature failure") as caught:
        context.verify_chain([GOOD.der, MIDDLE.der])
    assert caught.value.verify_code == SIGNATURE
    assert "was not signed by its issuer" in str(caught.value.report)  # type: ignore[attr-defined]


def test_newest_of_the_issuers_own_counts_whichever_came_first() -> None:
    for order in (1, -1):
        context = asking(*[MIDDLE.crl(LEAF, number=2), forged(), MIDDLE.crl(number=1)][::order])
        assert code(context, LEAF, MIDDLE) == REVOKED
    context = asking(MIDDLE.crl(LEAF, number=1), forged(), MIDDLE.crl(number=2))
    assert code(context, LEAF, MIDDLE) == 0


def test_own_crl_that_has_expired_is_not_replaced_by_a_forged_one() -> None:
    context = asking(MIDDLE.crl(until=NOW - HOUR / 2), forged())
    assert code(context, GOOD, MIDDLE) == EXPIRED


def test_older_crl_of_an_unknown_issuer_counts_where_it_is_told_so() -> None:
    context = asking(MIDDLE.crl(LEAF, number=6))
    assert context.load_crls(MIDDLE.crl(number=5), allow_older=True) == 1
    assert code(context, LEAF, MIDDLE) == 0
    assert context.load_crls(MIDDLE.crl(LEAF, number=6)) == 1
    assert code(context, LEAF, MIDDLE) == REVOKED


def test_duplicates_are_not_new() -> None:
    good, bad = MIDDLE.crl(LEAF), forged()
    context = asking(good, bad)
    assert context.cert_store_stats()["crl"] == 2
    for again in ([good], [bad], [good, bad], [bad, good]):
        assert context.load_crls(again) == 0
    assert context.cert_store_stats()["crl"] == 2
    assert code(context, LEAF, MIDDLE) == REVOKED


def test_forged_crls_without_end_displace_nothing_and_are_bounded() -> None:
    context = asking(MIDDLE.crl(LEAF, number=1))
    for number in range(2, 60):
        context.load_crls(forged(number=number))
    assert (code(context, LEAF, MIDDLE), code(context, GOOD, MIDDLE)) == (REVOKED, 0)
    assert context.cert_store_stats()["crl"] <= 9
    kinds = [entry for entry in context.list_trust() if entry.kind == "crl"]
    assert len(kinds) == context.cert_store_stats()["crl"]


def test_next_crl_counts_after_any_number_of_forged_ones() -> None:
    context = asking()
    for number in range(2, 30):
        context.load_crls(forged(number=number))
    context.load_crls(MIDDLE.crl(LEAF, number=1))
    assert (code(context, LEAF, MIDDLE), code(context, GOOD, MIDDLE)) == (REVOKED, 0)


def test_crls_that_follow_one_another_unverified_stay_bounded_and_the_newest_counts() -> None:
    context = asking()
    for number in range(1, 40):
        assert context.load_crls(MIDDLE.crl(*[LEAF] * (number % 2), number=number)) == 1
    assert context.cert_store_stats()["crl"] <= 9
    assert code(context, LEAF, MIDDLE) == REVOKED


def test_crl_that_a_path_verified_is_replaced_by_its_successor_alone() -> None:
    context = asking(MIDDLE.crl(LEAF, number=1))
    assert code(context, LEAF, MIDDLE) == REVOKED
    for number in range(2, 40):
        context.load_crls(forged(number=number))
    assert code(context, LEAF, MIDDLE) == REVOKED
    assert context.load_crls(MIDDLE.crl(number=41)) == 1
    assert code(context, LEAF, MIDDLE) == 0
    assert context.load_crls(MIDDLE.crl(LEAF, number=40)) == 0
    assert code(context, LEAF, MIDDLE) == 0


def test_forged_crl_that_came_before_its_issuer_takes_no_place_afterwards() -> None:
    context = asking(MIDDLE.crl(number=1), forged())
    context.load_verify_locations(cadata=MIDDLE.certificate)
    assert (code(context, LEAF), code(context, GOOD)) == (0, 0)
    assert context.load_crls(MIDDLE.crl(LEAF, number=2)) == 1
    assert (code(context, LEAF), code(context, GOOD)) == (REVOKED, 0)
    with pytest.raises(ssl.SSLError, match="not signed by its issuer"):
        context.load_crls(forged(number=100))
    assert (code(context, LEAF), code(context, GOOD)) == (REVOKED, 0)


def test_issuer_that_only_an_untrusted_ca_certifies_verifies_nothing() -> None:
    evil = Party("Root", ca=True)
    other = Party("Middle", evil, ca=True, key=FORGER)
    context = asking(MIDDLE.crl(LEAF, number=1), forged())
    for _ in range(3):
        assert code(context, Party("localhost", other), other) != 0
    context.load_crls(forged(number=100))
    assert (code(context, LEAF, MIDDLE), code(context, GOOD, MIDDLE)) == (REVOKED, 0)


def test_reload_keeps_the_good_crl_beside_a_forged_one(tmp_path: Path) -> None:
    file = tmp_path / "middle.crl"
    file.write_bytes(pem(MIDDLE.crl(LEAF, number=1)))
    context = asking()
    context.load_crls(file)
    file.write_bytes(pem(forged()))
    assert context.reload_crls() == 1
    assert context.reload_crls() == 0
    assert (code(context, LEAF, MIDDLE), code(context, GOOD, MIDDLE)) == (REVOKED, 0)
    file.write_bytes(pem(MIDDLE.crl(number=2)))
    assert context.reload_crls() == 1
    assert code(context, LEAF, MIDDLE) == 0


def test_forged_crl_without_a_number_is_no_departure_from_the_profile() -> None:
    context = asking(MIDDLE.crl(), ROOT.crl(), forged(number=None), flags=CRL_CHAIN | ssl.VERIFY_X509_STRICT)
    assert code(context, GOOD, MIDDLE) == 0
    context = asking(MIDDLE.crl(number=None), flags=CRL_LEAF | ssl.VERIFY_X509_STRICT)
    with pytest.raises(ssl.SSLCertVerificationError, match="without a CRL number"):
        context.verify_chain([GOOD.der, MIDDLE.der])


def test_explanation_of_a_revoked_certificate_comes_from_the_crl_that_counts() -> None:
    context = asking(MIDDLE.crl(), ROOT.crl(MIDDLE), forged(LEAF), flags=CRL_CHAIN)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"Middle.* was revoked"):
        context.verify_chain([LEAF.der, MIDDLE.der])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_refuses_a_revoked_server_beside_a_forged_crl(version: Any) -> None:
    context = asking(MIDDLE.crl(LEAF), forged())
    context.minimum_version = context.maximum_version = version
    assert code_in_handshake(context, serving(LEAF, MIDDLE)) == REVOKED
    context = asking(MIDDLE.crl(), forged(LEAF))
    context.minimum_version = context.maximum_version = version
    assert code_in_handshake(context, serving(LEAF, MIDDLE)) == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_server_refuses_a_revoked_client_and_its_resumption_beside_a_forged_crl(version: Any) -> None:
    server = serving(Party("localhost", ROOT))
    server.load_verify_locations(cadata=ROOT.certificate)
    server.verify_mode, server.verify_flags = ssl.CERT_REQUIRED, CRL_LEAF
    server.load_crls(MIDDLE.crl(number=1))
    server.load_crls(forged())
    client = clients(ROOT.certificate)
    client.minimum_version = client.maximum_version = version
    client.load_cert_chain([LEAF.certificate, MIDDLE.certificate], LEAF.key)

    def exchange(session: Any) -> tuple[Any, bool]:
        with tls_pair(server, client, session=session) as (server_end, client_end):
            server_end.sendall(b"x")
            assert client_end.recv(1) == b"x"
            return client_end.session, client_end.session_reused

    session, _ = exchange(None)
    session, reused = exchange(session)
    assert reused
    server.load_crls(forged(number=100))
    session, _ = exchange(session)
    server.load_crls(MIDDLE.crl(LEAF, number=2))
    with pytest.raises(ssl.SSLError):
        exchange(session)
