"""Chains that do not lead to a trust anchor."""

from __future__ import annotations

from cryptography import x509

from tests.reports.broken import Broken, below, case, chain, leaf, middle, peer, root
from tests.support.certificates import Party


@case
def missing_intermediate() -> Broken:
    return Broken(
        chain(below("api.internal")),
        chain(root()),
        "the certificate of CN=R11, which issued api.internal, is missing: it is not in the trust set, "
        "and the server sent no intermediates",
        "chain",
        name="api.internal",
    )


@case
def missing_intermediate_of_a_client() -> Broken:
    name = x509.RFC822Name("ann@example.org")
    return Broken(
        chain(Party("Ann", middle(), names=[name])),
        chain(root()),
        "the certificate of CN=R11, which issued ann@example.org, is missing: it is not in the trust set, "
        "and the client sent no intermediates",
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
        "the certificate of CN=R11, which issued db.internal, is missing: it is not in the trust set, "
        "nor among the 2 other certificates that the server sent",
        "chain",
    )


@case
def unknown_root() -> Broken:
    other = Party("Another Root", ca=True)
    return Broken(
        chain(leaf(), middle()),
        chain(other),
        "CN=Example Root, which issued CN=R11, which issued db.internal, is not in the trust set",
        "chain",
    )


@case
def unknown_root_that_was_sent() -> Broken:
    other = Party("Another Root", ca=True)
    return Broken(
        chain(leaf(), middle(), root()),
        chain(other),
        "the chain of db.internal ends in CN=Example Root, which is self-signed and not in the trust set",
        "chain",
    )


@case
def another_root_of_that_name() -> Broken:
    twin = Party("Example Root", ca=True)
    return Broken(
        chain(leaf(), middle(), root()),
        chain(twin),
        "the intermediate certificate CN=R11 was signed with a different key from that of "
        "CN=Example Root in the trust set, although the issuer name matches",
        "signature",
    )


@case
def nothing_is_trusted() -> Broken:
    return Broken(
        chain(leaf(), middle()),
        (),
        "the trust set contains no trust anchors; the chain leads to CN=Example Root, "
        "which issued CN=R11, which issued db.internal",
        "chain",
    )


@case
def intermediate_alone_is_trusted() -> Broken:
    other = Party("Another Root", ca=True)
    return Broken(
        chain(leaf()),
        chain(middle(), other),
        "CN=R11, which issued db.internal, is in the trust set, but is not self-signed "
        "and so is not a trust anchor; its issuer CN=Example Root is missing",
        "chain",
    )


@case
def self_signed() -> Broken:
    return Broken(
        chain(peer("db")),
        chain(root()),
        "the server's certificate for db.internal is self-signed and not in the trust set",
        "chain",
    )


@case
def self_signed_namesake() -> Broken:
    return Broken(
        chain(peer("db")),
        chain(peer("db"), root()),
        "the server's certificate for db.internal is self-signed and not in the trust set, "
        "which contains a different certificate with the same subject",
        "signature",
    )


@case
def the_root_only() -> Broken:
    other = Party("Another Root", ca=True)
    return Broken(
        chain(root()),
        chain(other),
        "the server's certificate for CN=Example Root is self-signed and not in the trust set",
        "chain",
    )


@case
def the_trusted_root_only() -> Broken:
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False), True
    own = Party("Example Root", ca=True, usage=usage)
    return Broken(
        chain(own),
        chain(own),
        "the requested name is db.internal, but the server sent a CA certificate, "
        "CN=Example Root, as its own",
        "host name",
    )
