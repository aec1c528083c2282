"""Certificates of another time or for another name."""

from __future__ import annotations

import ipaddress
from datetime import timedelta

from cryptography import x509

from tests.reports.broken import Broken, at, below, case, chain, leaf, middle, peer, root
from tests.support.certificates import DAY, HOUR, NOW, Party
from tests.support.der import cut


@case
def expired_leaf() -> Broken:
    end = NOW - 3 * DAY
    party = below("*.example.com", end=end)
    return Broken(
        chain(party, middle()),
        chain(root()),
        f"the server's certificate for *.example.com expired 3 days ago ({at(end)})",
        "validity",
        name="www.example.com",
    )


@case
def expired_intermediate() -> Broken:
    end = NOW - 5 * HOUR
    old = Party("R10", root(), ca=True, end=end)
    return Broken(
        chain(peer("leaf", old), old),
        chain(root()),
        f"the intermediate certificate CN=R10 expired 5 hours ago ({at(end)})",
        "validity",
    )


@case
def expired_root() -> Broken:
    end = NOW - 4 * DAY
    old = Party("Old Root", ca=True, end=end)
    return Broken(
        chain(peer("leaf", old)),
        chain(old),
        f"CN=Old Root in the trust set expired 4 days ago ({at(end)})",
        "validity",
    )


@case
def expired_self_signed() -> Broken:
    end = NOW - 800 * DAY
    party = peer("db", start=NOW - 900 * DAY, end=end)
    return Broken(
        chain(party),
        chain(party),
        f"the server's certificate for db.internal expired 2 years ago ({at(end)})",
        "validity",
    )


@case
def expired_at_another_time() -> Broken:
    when = NOW + 40 * DAY
    return Broken(
        chain(leaf(), middle()),
        chain(root()),
        f"the server's certificate for db.internal expired 10 days before {at(when)} ({at(NOW + 30 * DAY)})",
        "validity",
        at=when,
    )


@case
def not_yet_valid() -> Broken:
    start = NOW + 7 * DAY + HOUR
    return Broken(
        chain(below(start=start), middle()),
        chain(root()),
        f"the server's certificate for db.internal is not valid yet: it becomes valid in 7 days "
        f"({at(start)})",
        "validity",
    )


@case
def intermediate_not_yet_valid() -> Broken:
    start = NOW + 90 * timedelta(minutes=1)
    new = Party("R12", root(), ca=True, start=start)
    return Broken(
        chain(peer("leaf", new), new),
        chain(root()),
        f"the intermediate certificate CN=R12 is not valid yet: it becomes valid in 1 hour ({at(start)})",
        "validity",
    )


@case
def never_valid() -> Broken:
    def swapped(fields: list[bytes]) -> list[bytes]:
        start, end = fields[4][2:17], fields[4][17:]
        return [*fields[:4], fields[4][:2] + end + start, *fields[5:]]

    party = leaf()
    return Broken(
        chain(cut(party, middle().key, swapped), middle()),
        chain(root()),
        "the server's certificate for db.internal is never valid: "
        f"its notAfter ({at(NOW - 30 * DAY)}) is before its notBefore ({at(NOW + 30 * DAY)})",
        "validity",
    )


@case
def one_wrong_name() -> Broken:
    return Broken(
        chain(below("db1.internal"), middle()),
        chain(root()),
        "the requested name is db.internal, but the certificate is for db1.internal",
        "host name",
    )


@case
def two_wrong_names() -> Broken:
    return Broken(
        chain(below("db1.internal", "db2.internal"), middle()),
        chain(root()),
        "the requested name is db.internal, but the certificate is for db1.internal and db2.internal",
        "host name",
    )


@case
def many_wrong_names() -> Broken:
    return Broken(
        chain(below(*(f"db{number}.internal" for number in range(1, 40))), middle()),
        chain(root()),
        "the requested name is db.internal, but the certificate is for db1.internal, db2.internal "
        "and 37 more",
        "host name",
    )


@case
def wildcard_too_shallow() -> Broken:
    return Broken(
        chain(below("*.example.com"), middle()),
        chain(root()),
        "the requested name is a.b.example.com, but the certificate is for *.example.com, "
        "and * matches exactly one label",
        "host name",
        name="a.b.example.com",
    )


@case
def wildcard_for_its_own_domain() -> Broken:
    return Broken(
        chain(below("*.example.com"), middle()),
        chain(root()),
        "the requested name is example.com, but the certificate is for *.example.com, "
        "and * matches exactly one label",
        "host name",
        name="example.com",
    )


@case
def wrong_address() -> Broken:
    address = x509.IPAddress(ipaddress.ip_address("10.0.0.7"))
    return Broken(
        chain(Party("leaf", middle(), names=[address]), middle()),
        chain(root()),
        "the requested address is 10.0.0.8, but the certificate is for 10.0.0.7",
        "host name",
        name="10.0.0.8",
    )


@case
def address_as_a_dns_name() -> Broken:
    return Broken(
        chain(below("10.0.0.8"), middle()),
        chain(root()),
        "the requested address is 10.0.0.8, but the certificate contains it as a DNS name, not as "
        "an IP address",
        "host name",
        name="10.0.0.8",
    )


@case
def common_name_only() -> Broken:
    return Broken(
        chain(Party("db.internal", middle(), names=()), middle()),
        chain(root()),
        "the requested name is db.internal, but the certificate contains only the common name db.internal, "
        "which is not used (there is no subjectAltName)",
        "host name",
    )


@case
def no_name_at_all() -> Broken:
    return Broken(
        chain(Party("", middle(), names=()), middle()),
        chain(root()),
        "the requested name is db.internal, but the certificate contains no name at all (there is "
        "no subjectAltName)",
        "host name",
    )


@case
def a_name_that_is_no_host() -> Broken:
    spiffe = x509.UniformResourceIdentifier("spiffe://example.org/web")
    return Broken(
        chain(Party("web", middle(), names=[spiffe]), middle()),
        chain(root()),
        "the requested name is db.internal, but the certificate is for spiffe://example.org/web",
        "host name",
    )
