"""What verify_flags demand: revocation and the strict profile."""

from __future__ import annotations

from cryptography import x509

from tests.reports.broken import (
    CRL_CHAIN,
    CRL_LEAF,
    STRICT,
    Broken,
    at,
    below,
    case,
    chain,
    leaf,
    middle,
    peer,
    root,
)
from tests.support.certificates import DAY, HOUR, NOW, Party


@case
def revoked() -> Broken:
    return Broken(
        chain(leaf(), middle()),
        chain(root()),
        f"the server's certificate for db.internal was revoked on {at(NOW - HOUR)}, "
        "according to the CRL of CN=R11",
        "revocation",
        flags=CRL_LEAF,
        crls=[middle().crl(leaf())],
    )


@case
def revoked_intermediate() -> Broken:
    return Broken(
        chain(leaf(), middle()),
        chain(root()),
        f"the intermediate certificate CN=R11 was revoked on {at(NOW - HOUR)}, "
        "according to the CRL of CN=Example Root",
        "revocation",
        flags=CRL_CHAIN,
        crls=[middle().crl(), root().crl(middle())],
    )


@case
def no_crl() -> Broken:
    return Broken(
        chain(leaf(), middle()),
        chain(root()),
        "no CRL of CN=R11, which issued db.internal, is loaded",
        "revocation",
        flags=CRL_LEAF,
        crls=[root().crl()],
    )


@case
def revocation_list_expired() -> Broken:
    end = NOW - 4 * HOUR
    return Broken(
        chain(leaf(), middle()),
        chain(root()),
        f"the CRL of CN=R11, which issued db.internal, expired 4 hours ago ({at(end)})",
        "revocation",
        flags=CRL_LEAF,
        crls=[middle().crl(since=NOW - DAY, until=end)],
    )


@case
def revocation_list_not_yet_valid() -> Broken:
    return Broken(
        chain(leaf(), middle()),
        chain(root()),
        "the CRL of CN=R11, which issued db.internal, is loaded, but does not cover it: "
        "it is not valid yet, or for other certificates",
        "revocation",
        flags=CRL_LEAF,
        crls=[middle().crl(since=NOW + DAY, until=NOW + 2 * DAY)],
    )


@case
def strict_without_authority_key() -> Broken:
    return Broken(
        chain(below(authority_key=None), middle()),
        chain(root()),
        "the server's certificate for db.internal lacks the extension authorityKeyIdentifier "
        "(RFC 5280; VERIFY_X509_STRICT)",
        "strict profile",
        flags=STRICT,
    )


@case
def strict_without_key_usage() -> Broken:
    loose = Party("Loose", root(), ca=True, usage=None)
    return Broken(
        chain(peer("leaf", loose), loose),
        chain(root()),
        "the intermediate certificate CN=Loose is a CA certificate, but lacks the extension keyUsage "
        "(RFC 5280; VERIFY_X509_STRICT)",
        "strict profile",
        flags=STRICT,
    )


@case
def strict_root_without_critical_constraints() -> Broken:
    old = Party("Old Root", ca=True, constraints=(x509.BasicConstraints(True, None), False))
    return Broken(
        chain(peer("leaf", old)),
        chain(old),
        "CN=Old Root in the trust set is a CA certificate, so its basicConstraints must be critical, "
        "but are not (RFC 5280; VERIFY_X509_STRICT)",
        "strict profile",
        flags=STRICT,
    )


@case
def strict_leaf_that_signs() -> Broken:
    signs = x509.KeyUsage(True, False, False, False, False, True, False, False, False), True
    return Broken(
        chain(below(usage=signs), middle()),
        chain(root()),
        "the server's certificate for db.internal has the key usage keyCertSign, but is not a CA certificate "
        "(RFC 5280; VERIFY_X509_STRICT)",
        "strict profile",
        flags=STRICT,
    )


@case
def strict_names_not_critical() -> Broken:
    return Broken(
        chain(peer("", middle()), middle()),
        chain(root()),
        "the server's certificate for db.internal has no subject, "
        "so its subjectAltName must be critical, but is not (RFC 5280; VERIFY_X509_STRICT)",
        "strict profile",
        flags=STRICT,
    )
