"""A CA with two keys: the CRL that the one signed is believed about what the other signed.

RFC 5280, section 6.3.3 (f): the certificate of the CRL's signer leads to the same trust anchor.
"""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import veritls
from tests.revocation.answers import CRL_CHAIN, CRL_LEAF, clients, code, code_in_handshake, serving
from tests.revocation.responses import SIGNS_RESPONSES, response
from tests.support.certificates import DAY, HOUR, NOW, SERVES_AND_SIGNS, SIGNS, Party
from tests.support.connections import tls_pair

SIGNS_CRLS = x509.KeyUsage(False, False, False, False, False, False, True, False, False)
SIGNS_CERTIFICATES = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
REVOKED, UNKNOWN, EXPIRED, SIGNATURE, TOO_COMPLEX = 23, 3, 12, 8, 22
NOT_YET_VALID, ENDED, WRONG_KEY = 9, 10, 7

ROOT = Party("Root", ca=True)
OLD = Party("Middle", ROOT, ca=True)
NEW = Party("Middle", ROOT, ca=True)
NEW_WITH_OLD = Party("Middle", OLD, ca=True, key=NEW.key)
CRLS_ONLY = Party("Middle", ROOT, names=[], usage=SIGNS_CRLS)
LEAF, GOOD = Party("localhost", OLD), Party("good", OLD)


def asking(*crls: x509.CertificateRevocationList, trusted: Any = (), flags: int = CRL_LEAF) -> Any:
    context = clients([ROOT.certificate, *(each.certificate for each in trusted)], flags)
    for each in crls:
        context.load_crls(each)
    return context


@pytest.mark.parametrize("signer", [NEW, NEW_WITH_OLD, CRLS_ONLY], ids=["sibling", "self-issued", "CRL key"])
@pytest.mark.parametrize("flags", [CRL_LEAF, CRL_CHAIN], ids=["leaf", "chain"])
@pytest.mark.parametrize("place", ["sent", "trusted"])
@pytest.mark.parametrize("own", [True, False], ids=["with own CRL", "without"])
def test_crl_signed_with_the_other_key_revokes(signer: Party, flags: int, place: str, own: bool) -> None:
    crls = [signer.crl(LEAF), ROOT.crl(), *([OLD.crl()] if own else [])]
    if signer is NEW_WITH_OLD and flags == CRL_CHAIN and not own:
        pytest.skip("the CRL would clear its own signer")
    context = asking(*crls, trusted=[OLD, signer] if place == "trusted" else [], flags=flags)
    above = [OLD] if place == "trusted" else [OLD, signer]
    assert (code(context, LEAF, *above), code(context, GOOD, *above)) == (REVOKED, 0)


def test_own_crl_revokes_whatever_the_other_keys_newer_one_says() -> None:
    context = asking(OLD.crl(LEAF), NEW.crl(since=NOW - HOUR / 2, number=2), trusted=[OLD, NEW])
    assert (code(context, LEAF), code(context, GOOD)) == (REVOKED, 0)


@pytest.mark.parametrize("place", ["sent", "trusted"])
def test_crls_of_two_keys_that_name_the_same_key_stand_side_by_side(place: str) -> None:
    crls = OLD.crl(LEAF, number=7), NEW.crl(number=9, names_key=OLD.key)
    for order in (1, -1):
        context = asking(*crls[::order], trusted=[OLD, NEW] if place == "trusted" else [])
        assert context.cert_store_stats()["crl"] == 2
        assert (code(context, LEAF, OLD, NEW), code(context, GOOD, OLD, NEW)) == (REVOKED, 0)


def test_newest_crl_has_to_be_in_time_whichever_key_signed_it() -> None:
    ended = NEW.crl(since=NOW - HOUR / 2, until=NOW - HOUR / 4, number=2)
    assert code(asking(OLD.crl(), ended, trusted=[OLD, NEW]), GOOD) == EXPIRED
    replaced = OLD.crl(LEAF, since=NOW - HOUR, until=NOW - HOUR / 2)
    assert code(asking(replaced, NEW.crl(since=NOW - HOUR / 4), trusted=[OLD, NEW]), GOOD) == 0


def test_crl_whose_signer_is_not_at_hand_does_not_count() -> None:
    context = asking(NEW.crl(LEAF))
    assert code(context, GOOD, OLD) == SIGNATURE
    context.unknown_revocation_status = "accept"
    assert code(context, GOOD, OLD) == SIGNATURE
    assert (code(context, LEAF, OLD, NEW), code(context, GOOD, OLD, NEW)) == (REVOKED, 0)


def _signers() -> dict[str, Party]:
    evil = Party("Root", ca=True)
    other_root = Party("Other root", ca=True)
    not_a_ca = Party("Sub", ROOT, names=[])
    critical = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    unreadable = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.15"), b"\x05\x00"), False
    return {
        "another root of the anchor's name": Party("Middle", evil, ca=True),
        "itself": Party("Middle", ca=True),
        "another trust anchor": Party("Middle", other_root, ca=True),
        "no CA": Party("Middle", not_a_ca, ca=True),
        "another name": Party("Middling", ROOT, ca=True),
        "a key that may not sign CRLs": Party("Middle", ROOT, ca=True, usage=SIGNS_CERTIFICATES),
        "an expired certificate": Party("Middle", ROOT, ca=True, start=NOW - 2 * DAY, end=NOW - DAY),
        "a certificate of the future": Party("Middle", ROOT, ca=True, start=NOW + DAY, end=NOW + 2 * DAY),
        "an unknown critical extension": Party("Middle", ROOT, ca=True, extra=[(critical, True)]),
        "a peer's certificate": Party("Middle", ROOT),
        "a peer's certificate without a key usage": Party("Middle", ROOT, usage=None),
        "a peer's certificate with an unreadable key usage": Party("Middle", ROOT, usage=unreadable),
        "a CA with an unreadable key usage": Party("Middle", ROOT, ca=True, usage=unreadable),
    }


SIGNERS = _signers()


@pytest.mark.parametrize("why", SIGNERS)
def test_other_key_does_not_count_whose_certificate_is_of(why: str) -> None:
    signer = SIGNERS[why]
    crl = OLD.crl(key=signer.key)
    trusted = [signer.issuer] if why == "another trust anchor" else []
    for above in ([OLD, signer], [OLD, signer, signer.issuer]):
        # Or what the path by way of the signer itself fails for.
        context = asking(crl, trusted=trusted)
        assert code(context, GOOD, *above) in (SIGNATURE, NOT_YET_VALID, ENDED)
    # The same CRL by a good one.
    assert code(asking(OLD.crl(key=NEW.key)), GOOD, OLD, NEW) == 0


def test_crl_of_a_ca_without_a_key_usage_counts() -> None:
    bare = Party("Bare", ROOT, ca=True, usage=None)
    leaf, good = Party("localhost", bare), Party("good", bare)
    context = asking(bare.crl(leaf))
    assert (code(context, leaf, bare), code(context, good, bare)) == (REVOKED, 0)


def test_signer_that_is_revoked_itself_does_not_count() -> None:
    for flags in (CRL_LEAF, CRL_CHAIN):
        context = asking(NEW.crl(), ROOT.crl(NEW), flags=flags)
        assert code(context, GOOD, OLD, NEW) == SIGNATURE
    context = asking(NEW.crl(), ROOT.crl(), flags=CRL_CHAIN)
    assert code(context, GOOD, OLD, NEW) == 0


def test_signer_of_unknown_status_counts_as_far_as_was_asked() -> None:
    assert code(asking(NEW_WITH_OLD.crl()), GOOD, OLD, NEW_WITH_OLD) == 0
    context = asking(NEW_WITH_OLD.crl(), ROOT.crl(), flags=CRL_CHAIN)
    assert code(context, GOOD, OLD, NEW_WITH_OLD) == SIGNATURE
    context.load_crls(OLD.crl())
    assert code(context, GOOD, OLD, NEW_WITH_OLD) == 0


def test_two_changes_of_keys_lead_to_the_signer() -> None:
    third = Party("Middle", NEW_WITH_OLD, ca=True)
    context = asking(third.crl(LEAF))
    for above in ([OLD, NEW_WITH_OLD, third], [OLD, third, NEW_WITH_OLD]):
        assert (code(context, LEAF, *above), code(context, GOOD, *above)) == (REVOKED, 0)
    assert code(context, GOOD, OLD, third) == SIGNATURE


def test_key_that_may_sign_crls_only_names_no_further_signer() -> None:
    further = Party("Middle", CRLS_ONLY, ca=True)
    context = asking(further.crl())
    assert code(context, GOOD, OLD, CRLS_ONLY, further) == SIGNATURE
    assert code(asking(CRLS_ONLY.crl()), GOOD, OLD, CRLS_ONLY, further) == 0


def test_root_with_two_keys() -> None:
    new_root = Party("Root", ca=True)
    new_with_old = Party("Root", ROOT, ca=True, key=new_root.key)
    leaf, good = Party("localhost", ROOT), Party("good", ROOT)
    context = asking(trusted=[new_with_old])
    context.load_crls(new_root.crl(leaf))
    assert (code(context, leaf), code(context, good)) == (REVOKED, 0)
    # Two anchors of one name that nothing binds to each other are two CAs.
    context = asking(trusted=[new_root])
    context.load_crls(new_root.crl(leaf))
    assert code(context, good) == SIGNATURE


def test_many_certificates_of_the_name_are_refused_where_the_bound_is_reached() -> None:
    strangers = [Party("Middle", Party("Root", ca=True), ca=True) for _ in range(20)]
    own = asking(OLD.crl(), NEW.crl(LEAF))
    assert code(own, LEAF, OLD, NEW, *strangers[:5]) == REVOKED
    assert code(own, GOOD, OLD, NEW, *strangers[:5]) == 0
    for above in ([*strangers, NEW], strangers):
        assert code(own, GOOD, OLD, *above) in (WRONG_KEY, TOO_COMPLEX)
    # One that was found in time is enough where every CRL has its signer.
    assert (code(own, LEAF, OLD, NEW, *strangers), code(own, GOOD, OLD, NEW, *strangers)) == (REVOKED, 0)
    without = clients(ROOT.certificate)
    assert code(without, GOOD, OLD, *strangers) == 0
    assert code(asking(OLD.crl()), GOOD, OLD, *strangers) == 0


def test_signatures_on_certificates_of_the_name_are_bounded() -> None:
    # Each names the CA as its issuer and costs a computation for each key of the CA.
    forger = Party("Middle", ca=True)
    forged = [Party("Middle", forger, ca=True) for _ in range(15)]
    third = Party("Middle", ROOT, ca=True)
    context = asking(OLD.crl(), NEW.crl(), third.crl(LEAF))
    assert code(context, GOOD, OLD, NEW, *forged[:3]) == 0
    assert code(context, GOOD, OLD, NEW, *forged) == TOO_COMPLEX


def _costly(name: str, issuer: Party | None = None, curve: type[ec.EllipticCurve] = ec.SECP384R1) -> Party:
    return Party(name, issuer, ca=True, key=ec.generate_private_key(curve()))


@pytest.mark.parametrize("forged", [5, 10, 12, 14, 20])
def test_certificates_of_the_name_whose_keys_are_costly_hide_no_crl(forged: int) -> None:
    # The signatures on them use up what may be spent before the signer's own is looked at.
    old = _costly("Middle", ROOT)
    new, forger = _costly("Middle", ROOT), _costly("Middle")
    revoked, responder = Party("localhost", old), Party("Responder", old, names=[], extra=[SIGNS_RESPONSES])
    more = [Party("Middle", forger, ca=True) for _ in range(forged)]
    context = asking(old.crl(), new.crl(revoked), trusted=[old, new])
    assert code(context, revoked, old, *more) in (REVOKED, TOO_COMPLEX)
    with pytest.raises(ssl.SSLCertVerificationError), tls_pair(serving(revoked, old, *more), context):
        pass
    context = asking(old.crl(), new.crl(responder), trusted=[old, new], flags=0)
    answer = response(revoked, signer=responder)
    assert code(context, revoked, old, *more, ocsp_response=answer) != 0


@pytest.mark.parametrize("forged", [2, 6, 8, 14])
def test_certificates_of_its_name_hide_no_crl_from_one_that_is_trusted_by_itself(forged: int) -> None:
    alone = Party("localhost", ca=True, usage=SERVES_AND_SIGNS, key=ec.generate_private_key(ec.SECP521R1()))
    second, forger = (_costly("localhost", issuer, ec.SECP521R1) for issuer in (alone, None))
    third = _costly("localhost", second)
    more = [Party("localhost", forger, ca=True) for _ in range(forged)]
    context = asking(trusted=[alone, second, third])
    for crl in (alone.crl(), third.crl(alone)):
        context.load_crls(crl)
    assert code(context, alone, *more) in (REVOKED, TOO_COMPLEX)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_server_that_is_revoked_on_the_other_keys_crl_is_refused(version: Any) -> None:
    context = asking(OLD.crl(), NEW.crl(LEAF), trusted=[OLD, NEW])
    context.minimum_version = context.maximum_version = version
    assert code_in_handshake(context, serving(LEAF, OLD)) == REVOKED
    context = asking(OLD.crl(), NEW.crl(), trusted=[OLD, NEW])
    context.minimum_version = context.maximum_version = version
    assert code_in_handshake(context, serving(LEAF, OLD)) == 0


def test_client_that_is_revoked_on_the_other_keys_crl_is_refused() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(cadata=[ROOT.certificate, OLD.certificate, NEW.certificate])
    context.verify_mode, context.verify_flags = ssl.CERT_REQUIRED, CRL_LEAF
    context.load_crls([OLD.crl(), NEW.crl(LEAF)])
    assert code(context, LEAF, OLD, purpose="client") == REVOKED
    assert code(context, GOOD, OLD, purpose="client") == 0


def test_ocsp_signer_that_is_revoked_on_the_other_keys_crl_signs_no_valid_response() -> None:
    delegate = Party("Responder", OLD, names=[], extra=[SIGNS_RESPONSES])
    answer = response(LEAF, signer=delegate)
    context = asking(OLD.crl(), NEW.crl(), trusted=[OLD, NEW], flags=0)
    assert code(context, LEAF, ocsp_response=answer) == 0
    context = asking(OLD.crl(), NEW.crl(delegate), trusted=[OLD, NEW], flags=0)
    assert code(context, LEAF, ocsp_response=answer) != 0


def test_crl_in_time_revokes_where_a_newer_one_of_the_other_key_has_expired() -> None:
    ended = NEW.crl(since=NOW - HOUR / 2, until=NOW - HOUR / 4, number=2)
    assert code(asking(OLD.crl(LEAF), ended, trusted=[OLD, NEW]), LEAF) == REVOKED
    assert code(asking(OLD.crl(LEAF), ended, trusted=[OLD, NEW]), GOOD) == EXPIRED
    delegate = Party("Responder", OLD, names=[], extra=[SIGNS_RESPONSES])
    context = asking(OLD.crl(delegate), ended, trusted=[OLD, NEW], flags=0)
    assert code(context, LEAF, ocsp_response=response(LEAF, signer=delegate)) != 0


def test_without_the_flags_nothing_is_asked() -> None:
    context = asking(NEW.crl(LEAF), trusted=[OLD, NEW], flags=0)
    assert code(context, LEAF) == 0


def test_certificate_trusted_by_itself_answers_to_the_crl_of_its_other_key() -> None:
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    alone = Party("localhost", ca=True, extra=[(names, False)], usage=usage)
    other = Party("localhost", alone, ca=True, usage=SIGNS)
    context = clients(alone.certificate, CRL_LEAF)
    context.load_verify_locations(cadata=other.crl(alone))
    assert code(context, alone) == SIGNATURE
    assert code(context, alone, other) == REVOKED
