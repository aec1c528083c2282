"""Chains that real servers send are trusted, whatever else they hold, or refused for their own reason."""

from __future__ import annotations

import random
import ssl
from itertools import permutations
from typing import Any

import pytest

import veritls
from tests.support.certificates import DAY, HOUR, NOW, Party
from tests.support.hostile import basic_constraints, certificate, fake_key

OLD: dict[str, Any] = {"start": NOW - 2 * DAY, "end": NOW - DAY}


def trusting(*anchors: Party, flags: int = 0) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags = ssl.VerifyFlags(flags)
    context.load_verify_locations(cadata=b"".join(each.der for each in anchors))
    return context


def below(root: Party, count: int) -> list[Party]:
    """A peer's certificate and `count` CAs between it and the root, in order."""
    chain: list[Party] = [root]
    for at in range(count):
        chain.append(Party(f"CA {at}", chain[-1], ca=True))
    return [chain[-1].issue(), *reversed(chain[1:])]


def crossed(ca: Party, by: Party, **dates: Any) -> Party:
    """The certificate that another CA gives to the name and the key of `ca`."""
    return Party(ca.name, by, ca=True, key=ca.key, **dates)


def accepts(context: veritls.SSLContext, *chain: Party) -> list[bytes]:
    return list(context.verify_chain([each.der for each in chain]).path)


def refusal(context: veritls.SSLContext, *chain: Party) -> str:
    with pytest.raises(veritls.SSLCertVerificationError) as refused:
        context.verify_chain([each.der for each in chain])
    return str(refused.value.report.kind)


@pytest.mark.parametrize("count", range(7))
@pytest.mark.parametrize("with_root", [True, False])
def test_chains_of_two_to_eight_are_trusted(count: int, with_root: bool) -> None:
    root = Party("root", ca=True)
    chain = below(root, count)
    sent = [*chain, root] if with_root else chain
    assert accepts(trusting(root), *sent) == [each.der for each in (*chain, root)]


def test_one_intermediate_too_many_is_refused_for_the_length_of_the_path() -> None:
    root = Party("root", ca=True)
    assert refusal(trusting(root), *below(root, 7)) == "path_length"


def test_any_order_will_do() -> None:
    root = Party("root", ca=True)
    leaf, *between = below(root, 4)
    for order in permutations([*between, root]):
        assert accepts(trusting(root), leaf, *order) == [each.der for each in (leaf, *between, root)]


def test_duplicates_and_certificates_of_others_do_no_harm() -> None:
    root = Party("root", ca=True)
    leaf, *between = below(root, 2)
    others = [each for at in range(40) for each in below(Party(f"other {at}", ca=True), 1)]
    sent = [*between, *between, *others, leaf]
    random.Random(1).shuffle(sent)
    assert accepts(trusting(root), leaf, *sent) == [each.der for each in (leaf, *between, root)]


def test_of_many_namesakes_that_did_not_sign_the_one_that_did_is_found() -> None:
    root = Party("root", ca=True)
    leaf, between = below(root, 1)
    namesakes = [Party("CA 0", Party("root", ca=True), ca=True) for _ in range(12)]
    expected = [each.der for each in (leaf, between, root)]
    assert accepts(trusting(root), leaf, *namesakes, between) == expected
    assert accepts(trusting(root), leaf, between, *namesakes) == expected


def test_intermediates_of_the_trust_set_complete_a_chain() -> None:
    root = Party("root", ca=True)
    leaf, *between = below(root, 3)
    assert accepts(trusting(root, *between), leaf) == [each.der for each in (leaf, *between, root)]
    expected = [each.der for each in (leaf, *between, root)]
    assert accepts(trusting(root, between[1]), leaf, between[2], between[0]) == expected


def test_under_partial_chain_a_path_ends_at_an_intermediate() -> None:
    root = Party("root", ca=True)
    leaf, *between = below(root, 3)
    context = trusting(between[1], flags=ssl.VERIFY_X509_PARTIAL_CHAIN)
    assert accepts(context, leaf, *between) == [each.der for each in (leaf, *between[:2])]
    assert refusal(trusting(between[1]), leaf, *between) == "unknown_issuer"


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_anchors_of_one_name_the_one_that_signed_counts(first: int) -> None:
    roots = [Party("root", ca=True), Party("root", ca=True)]
    for root in roots:
        leaf, between = below(root, 1)
        context = trusting(roots[first], roots[1 - first])
        assert accepts(context, leaf, between) == [each.der for each in (leaf, between, root)]


def test_a_ca_that_an_expired_root_cross_signed_is_trusted_by_its_other_certificate() -> None:
    root, old = Party("root", ca=True), Party("old root", ca=True, **OLD)
    leaf, between = below(root, 1)
    expected = [each.der for each in (leaf, between, root)]
    for cross in (crossed(between, old), crossed(between, root, **OLD), crossed(root, old)):
        for sent in ([between, cross], [cross, between], [cross, old, between]):
            assert accepts(trusting(root, old), leaf, *sent) == expected
            assert accepts(trusting(root), leaf, *sent) == expected
    assert refusal(trusting(old), leaf, crossed(between, old)) == "expired"


def test_a_root_that_is_not_trusted_yet_is_reached_through_its_cross_certificate() -> None:
    known, new = Party("known", ca=True), Party("new", ca=True)
    leaf, between = below(new, 1)
    cross = crossed(new, known)
    assert accepts(trusting(known), leaf, between, new, cross) == [
        each.der for each in (leaf, between, cross, known)
    ]
    assert accepts(trusting(new), leaf, between, cross) == [each.der for each in (leaf, between, new)]


def test_cas_that_certify_each_other_lead_to_whichever_root_is_trusted() -> None:
    roots = [Party(f"root {at}", ca=True) for at in range(4)]
    leaf, between = below(roots[0], 1)
    crosses = [crossed(upper, by) for upper, by in permutations(roots, 2)]
    for root in roots:
        path = accepts(trusting(root), leaf, between, *crosses)
        assert (path[:2], path[-1]) == ([leaf.der, between.der], root.der)


def test_the_most_specific_reason_is_told_of_a_chain_that_leads_to_an_anchor_by_name_only() -> None:
    root, false = Party("root", ca=True), Party("root", ca=True)
    assert refusal(trusting(root), *below(false, 1)) == "signature"
    leaf = false.issue(start=OLD["start"], end=OLD["end"])
    assert refusal(trusting(root), leaf) == "expired"
    between = Party("between", false, ca=True, start=NOW - 2 * DAY, end=NOW - HOUR)
    assert refusal(trusting(root), between.issue(), between) == "expired"
    assert refusal(trusting(Party("elsewhere", ca=True)), *below(false, 1)) == "unknown_issuer"


def test_no_certificate_is_trusted_for_its_names() -> None:
    root = Party("root", ca=True)
    stranger = fake_key("stranger")
    leaf = certificate("peer", "CA", fake_key("peer"), stranger)
    between = certificate("CA", "root", stranger, fake_key("another"), basic_constraints())
    with pytest.raises(veritls.SSLCertVerificationError):
        trusting(root).verify_chain([leaf, between, root.der])
