"""CRLs with an issuing distribution point: for which certificates, from which signer, how long they count."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from cryptography import x509

from tests.revocation.answers import CRL_CHAIN, CRL_LEAF, clients, code
from tests.support.certificates import HOUR, NOW, Extension, Party, new_key

REVOKED, UNKNOWN, EXPIRED, SIGNATURE, NOT_A_SIGNER = 23, 3, 12, 8, 35
HERE = x509.UniformResourceIdentifier("http://crl.example/1")
THERE = x509.UniformResourceIdentifier("http://crl.example/2")
SIGNS_CERTIFICATES = x509.KeyUsage(False, False, False, False, False, True, False, False, False)


def named_at(*names: x509.GeneralName) -> list[tuple[x509.ExtensionType, bool]]:
    points = [x509.DistributionPoint([name], None, None, None) for name in names]
    return [(x509.CRLDistributionPoints(points), False)]


def scope(*names: x509.GeneralName, users: bool = False, cas: bool = False) -> Any:
    point = x509.IssuingDistributionPoint(
        full_name=list(names),
        relative_name=None,
        only_contains_user_certs=users,
        only_contains_ca_certs=cas,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    return [(point, True)]


ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True, extra=named_at(HERE))
LEAF, GOOD = (Party(name, MIDDLE, extra=named_at(HERE)) for name in ("localhost", "good"))


def asking(*crls: x509.CertificateRevocationList, flags: int = CRL_LEAF, trusted: Any = (MIDDLE,)) -> Any:
    context = clients([ROOT.certificate, *(each.certificate for each in trusted)], flags)
    for each in crls:
        context.load_crls(each)
    return context


def test_scoped_crl_counts_for_the_certificates_of_its_distribution_point() -> None:
    context = asking(MIDDLE.crl(LEAF, extra=scope(HERE)))
    assert (code(context, LEAF), code(context, GOOD)) == (REVOKED, 0)
    elsewhere = Party("elsewhere", MIDDLE, extra=named_at(THERE))
    assert code(context, elsewhere) == UNKNOWN
    both = Party("both", MIDDLE, extra=named_at(THERE, HERE))
    assert code(context, both) == 0


def test_scoped_crl_says_nothing_about_a_certificate_without_a_distribution_point() -> None:
    plain = Party("plain", MIDDLE)
    assert code(asking(MIDDLE.crl(extra=scope(HERE))), plain) == UNKNOWN
    context = asking(MIDDLE.crl(extra=scope(HERE)), MIDDLE.crl())
    assert code(context, plain) == 0


def test_scoped_crl_that_has_expired_does_not_count() -> None:
    ended = MIDDLE.crl(extra=scope(HERE), until=NOW - HOUR / 2)
    context = asking(ended)
    assert code(context, GOOD) == EXPIRED
    context.unknown_revocation_status = "accept"
    assert code(context, GOOD) == EXPIRED
    assert code(asking(MIDDLE.crl(extra=scope(HERE))), GOOD) == 0


def test_scoped_crl_of_an_intermediate_that_has_expired_does_not_count() -> None:
    for until, number in ((NOW - HOUR / 2, EXPIRED), (NOW + HOUR, 0)):
        context = asking(MIDDLE.crl(), ROOT.crl(extra=scope(HERE), until=until), flags=CRL_CHAIN)
        assert code(context, GOOD) == number


def test_anchor_that_may_not_sign_crls_signs_no_scoped_one() -> None:
    mute = Party("Mute", ca=True, usage=SIGNS_CERTIFICATES)
    leaf = Party("localhost", mute, extra=named_at(HERE))
    nothing: list[Extension] = []
    for extra in (scope(HERE), nothing):
        context = clients(mute.certificate, CRL_LEAF)
        context.load_verify_locations(cadata=mute.crl(extra=extra))
        assert code(context, leaf) == NOT_A_SIGNER
        context.unknown_revocation_status = "accept"
        assert code(context, leaf) == NOT_A_SIGNER


def test_intermediate_that_may_not_sign_crls_signs_no_scoped_one() -> None:
    mute = Party("Mute", ROOT, ca=True, usage=SIGNS_CERTIFICATES)
    leaf = Party("localhost", mute, extra=named_at(HERE))
    context = asking(mute.crl(extra=scope(HERE)), trusted=())
    assert code(context, leaf, mute) == NOT_A_SIGNER


@pytest.mark.parametrize("order", [1, -1])
def test_forged_scoped_crl_does_not_take_the_place_of_the_good_one(order: int) -> None:
    forged = MIDDLE.crl(
        number=99, since=NOW - HOUR / 2, key=new_key(), names_key=MIDDLE.key, extra=scope(HERE)
    )
    context = asking(*[MIDDLE.crl(LEAF, extra=scope(HERE)), forged][::order], trusted=())
    assert (code(context, LEAF, MIDDLE), code(context, GOOD, MIDDLE)) == (REVOKED, 0)
    assert code(asking(forged, trusted=()), GOOD, MIDDLE) == SIGNATURE


def test_scoped_crl_signed_with_the_cas_other_key_counts() -> None:
    other = Party("Middle", ROOT, ca=True)
    context = asking(MIDDLE.crl(), other.crl(LEAF, extra=scope(HERE)), trusted=(MIDDLE, other))
    assert (code(context, LEAF), code(context, GOOD)) == (REVOKED, 0)


def test_other_key_whose_certificate_no_crl_covers_counts_as_far_as_was_asked() -> None:
    unnamed = Party("Middle", ROOT, ca=True)
    named = Party("Middle", ROOT, ca=True, extra=named_at(HERE))
    for other, flags, number in (
        (unnamed, CRL_LEAF, 0),
        (unnamed, CRL_CHAIN, SIGNATURE),
        (named, CRL_CHAIN, 0),
    ):
        crls = other.crl(), ROOT.crl(extra=scope(HERE))
        assert code(asking(*crls, flags=flags, trusted=()), GOOD, MIDDLE, other) == number


def test_revoked_on_the_scoped_crl_or_on_the_whole_one_is_revoked() -> None:
    for whole, part in (([LEAF], []), ([], [LEAF])):
        context = asking(MIDDLE.crl(*whole), MIDDLE.crl(*part, extra=scope(HERE)))
        assert (code(context, LEAF), code(context, GOOD)) == (REVOKED, 0)


def test_crl_of_cas_says_nothing_about_a_peer_and_that_of_peers_nothing_about_a_ca() -> None:
    for users, cas, number in ((True, False, 0), (False, True, UNKNOWN), (False, False, 0)):
        context = asking(MIDDLE.crl(extra=scope(HERE, users=users, cas=cas)))
        assert code(context, GOOD) == number
    for users, cas, number in ((True, False, UNKNOWN), (False, True, 0), (False, False, 0)):
        crls = MIDDLE.crl(), ROOT.crl(extra=scope(HERE, users=users, cas=cas))
        assert code(asking(*crls, flags=CRL_CHAIN), GOOD) == number


def test_distribution_point_may_be_named_by_a_directory_name() -> None:
    here, there = (
        x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        for name in ("Point 1", "Point 2")
    )
    leaf, good = (Party(name, MIDDLE, extra=named_at(here)) for name in ("localhost", "good"))
    context = asking(MIDDLE.crl(leaf, extra=scope(here)))
    assert (code(context, leaf), code(context, good)) == (REVOKED, 0)
    assert code(context, Party("other", MIDDLE, extra=named_at(there))) == UNKNOWN


def test_point_for_some_reasons_or_of_another_crl_issuer_is_no_reason_to_believe_a_crl() -> None:
    some = frozenset({x509.ReasonFlags.key_compromise})
    for point in (
        x509.DistributionPoint([HERE], None, some, None),
        x509.DistributionPoint([HERE], None, None, [x509.DirectoryName(ROOT.name)]),
    ):
        leaf = Party("localhost", MIDDLE, extra=[(x509.CRLDistributionPoints([point]), False)])
        assert code(asking(MIDDLE.crl(extra=scope(HERE))), leaf) == UNKNOWN


def test_partition_in_many_crls_is_kept_whole() -> None:
    points = [x509.UniformResourceIdentifier(f"http://crl.example/{number}") for number in range(64)]
    context = asking(trusted=())
    assert context.load_crls([MIDDLE.crl(extra=scope(point)) for point in points]) == len(points)
    assert context.cert_store_stats()["crl"] == len(points)
    assert ssl.VERIFY_CRL_CHECK_LEAF in context.verify_flags
    assert code(context, GOOD, MIDDLE) == 0
