"""Chains that do not lead to whom is trusted."""

from __future__ import annotations

from cryptography import x509

from tests.reports.broken import Broken, below, case, chain, leaf, middle, peer, root
from tests.support.certificates import Party


@case
def missing_intermediate() -> Broken:
    return Broken(
        chain(below("api.internal")),
        chain(root()),
        "no certificate in the trust set signed CN=R11, which signed api.internal; "
        "the server did not send an intermediate",
        "chain",
        name="api.internal",
    )


@case
def missing_intermediate_of_a_client() -> Broken:
    name = x509.RFC822Name("ann@example.org")
    return Broken(
        chain(Party("Ann", middle(), names=[name])),
        chain(root()),
        "no certificate in the trust set signed CN=R11, which signed ann@example.org; "
        "the client did not send an intermediate",
        "chain",
        name=None,
        purpose="client",
    )


@case
def unrelated_intermediates() -> Broken:
    others = [Party(f"Other {number}", root(), ca=True) for number in range(2)]
    return Broken(
        chain(leaf(), *others),
        chain(root()),
        "no certificate in the trust set signed CN=R11, which signed db.internal; "
        "the server sent 2 other certificates, but not that of CN=R11",
        "chain",
    )


@case
def unknown_root() -> Broken:
    other = Party("Another Root", ca=True)
    return Broken(
        chain(leaf(), middle()),
        chain(other),
        "the trust set does not hold CN=Example Root, which signed CN=R11, which signed db.internal",
        "chain",
    )


@case
def unknown_root_that_was_sent() -> Broken:
    other = Party("Another Root", ca=True)
    return Broken(
        chain(leaf(), middle(), root()),
        chain(other),
        "the chain of db.internal ends in CN=Example Root, which signed itself and is not in the trust set",
        "chain",
    )


@case
def another_root_of_that_name() -> Broken:
    twin = Party("Example Root", ca=True)
    return Broken(
        chain(leaf(), middle(), root()),
        chain(twin),
        "the intermediate certificate CN=R11 was signed by another key than that of "
        "CN=Example Root of the trust set, which has the same name",
        "signature",
    )


@case
def nobody_is_trusted() -> Broken:
    return Broken(
        chain(leaf(), middle()),
        (),
        "the trust set holds no authority, so nobody vouches for CN=Example Root, "
        "which signed CN=R11, which signed db.internal",
        "chain",
    )


@case
def intermediate_alone_is_trusted() -> Broken:
    other = Party("Another Root", ca=True)
    return Broken(
        chain(leaf()),
        chain(middle(), other),
        "CN=R11, which signed db.internal, is in the trust set, but only authorities that signed themselves "
        "count there, and CN=Example Root is missing",
        "chain",
    )


@case
def self_signed() -> Broken:
    return Broken(
        chain(peer("db")),
        chain(root()),
        "the server's certificate for db.internal signed itself and is not in the trust set",
        "chain",
    )


@case
def self_signed_namesake() -> Broken:
    return Broken(
        chain(peer("db")),
        chain(peer("db"), root()),
        "the server's certificate for db.internal signed itself and is not in the trust set, "
        "which holds another one of the same name",
        "signature",
    )


@case
def the_root_only() -> Broken:
    other = Party("Another Root", ca=True)
    return Broken(
        chain(root()),
        chain(other),
        "the server's certificate for CN=Example Root signed itself and is not in the trust set",
        "chain",
    )


@case
def the_trusted_root_only() -> Broken:
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False), True
    own = Party("Example Root", ca=True, usage=usage)
    return Broken(
        chain(own),
        chain(own),
        "the name is db.internal, and the server sent the certificate of an authority, "
        "CN=Example Root, as its own",
        "host name",
    )
