"""Whatever CAs sign each other: who is trusted leads, signature by signature, to an anchor of its domain."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings, strategies as st

from tests.support.certificates import Party, new_key
from tests.trust.domains import kind, server, svid

DOMAINS = ["a.example", "b.example", "c.example"]
NAMES, KEYS = ["A", "B", "C"], [new_key() for _ in range(3)]
LEAF_KEY = new_key()

HOLDERS = [(name, key) for name in range(len(NAMES)) for key in range(len(KEYS))]
"""CAs by name and key: some share a name, some a key."""
Holder = tuple[int, int]

holders = st.sampled_from(HOLDERS)
links = st.lists(st.tuples(holders, holders), max_size=4)
bundles = st.dictionaries(st.sampled_from(DOMAINS), st.lists(holders, min_size=1, max_size=2), min_size=1)


@cache
def root(holder: Holder) -> Party:
    """The holder's certificate by itself."""
    return Party(NAMES[holder[0]], ca=True, key=KEYS[holder[1]])


@cache
def link(issuer: Holder, subject: Holder) -> Party:
    """The certificate that one holder signed for another."""
    return Party(NAMES[subject[0]], root(issuer), ca=True, key=KEYS[subject[1]])


@cache
def leaf(issuer: Holder, domain: str) -> Party:
    return svid(root(issuer), f"spiffe://{domain}/web", key=LEAF_KEY)


def leads(start: Holder, known: list[tuple[Holder, Holder]], anchors: list[Holder]) -> bool:
    """Whether somebody who signed for `start`, or for who signed for it, is an anchor."""
    reached, open_ends = {start}, [start]
    while open_ends:
        subject = open_ends.pop()
        above = {issuer for issuer, below in known if below == subject} - reached
        reached |= above
        open_ends += above
    return bool(reached & set(anchors))


@settings(max_examples=300, deadline=None)
@given(bundles, holders, st.sampled_from(DOMAINS), links, links)
def test_a_peer_is_trusted_if_and_only_if_its_domain_s_anchors_signed_for_it(
    anchors: dict[str, list[Holder]],
    issuer: Holder,
    domain: str,
    sent: list[tuple[Holder, Holder]],
    loaded: list[tuple[Holder, Holder]],
) -> None:
    context = server(
        bundles={each: [root(holder).der for holder in several] for each, several in anchors.items()}
    )
    if loaded:
        context.load_intermediates([link(*each).der for each in loaded])
    found = kind(context, leaf(issuer, domain), *(link(*each) for each in sent))
    if domain not in anchors:
        assert found == "trust_domain"
    else:
        assert (found == "") is leads(issuer, sent + loaded, anchors[domain]), found
