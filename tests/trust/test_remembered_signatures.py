"""Successful signature checks are cached; everything else about a chain is verified each time."""

from __future__ import annotations

import datetime
import ssl

import veritls
from tests.support.certificates import DAY, NOW, Party

CRL_LEAF = ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF


def context(anchor: Party) -> veritls.SSLContext:
    made = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cadata=anchor.der)
    return made


def code(made: veritls.SSLContext, *chain: bytes, at: datetime.datetime | None = None) -> int:
    """0 where the chain is trusted, else the verify_code."""
    try:
        made.verify_chain(list(chain), server_hostname="localhost", at=at)
    except ssl.SSLCertVerificationError as refused:
        return refused.verify_code
    return 0


def damaged(der: bytes) -> bytes:
    """The same certificate with another signature."""
    return der[:-1] + bytes([der[-1] ^ 1])


def test_a_chain_that_was_accepted_is_refused_once_it_has_expired() -> None:
    root = Party("Root", ca=True)
    leaf, trusting = Party("leaf", root, end=NOW + DAY), context(root)
    assert code(trusting, leaf.der) == 0
    assert code(trusting, leaf.der, at=NOW + 2 * DAY) == 10


def test_a_chain_that_was_accepted_is_refused_once_it_is_revoked() -> None:
    root = Party("Root", ca=True)
    leaf, trusting = Party("leaf", root), context(root)
    assert code(trusting, leaf.der) == 0
    trusting.load_verify_locations(cadata=root.crl(leaf))
    trusting.verify_flags |= CRL_LEAF
    assert code(trusting, leaf.der) == 23


def test_a_certificate_that_was_accepted_is_refused_with_another_signature() -> None:
    root = Party("Root", ca=True)
    middle = Party("Middle", root, ca=True)
    leaf, trusting = Party("leaf", middle), context(root)
    for _ in range(2):
        assert code(trusting, leaf.der, middle.der) == 0
        assert code(trusting, damaged(leaf.der), middle.der) == 7
        assert code(trusting, leaf.der, damaged(middle.der)) == 7


def test_a_certificate_that_was_accepted_is_refused_under_an_anchor_of_the_same_name_with_another_key() -> (
    None
):
    root, impostor = Party("Root", ca=True), Party("Root", ca=True)
    leaf = Party("leaf", root)
    assert code(context(root), leaf.der) == 0
    assert code(context(impostor), leaf.der) != 0
    assert code(context(root), leaf.der) == 0


def test_a_certificate_that_was_refused_is_refused_again() -> None:
    root = Party("Root", ca=True)
    leaf = Party("leaf", root)
    for _ in range(3):
        assert code(context(root), damaged(leaf.der)) == 7
    assert code(context(root), leaf.der) == 0
