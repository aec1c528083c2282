"""Certificates that are used for what they are not for."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.reports.broken import Broken, below, case, chain, leaf, middle, peer, root, usage
from tests.support.certificates import Party


@case
def ca_as_leaf() -> Broken:
    return Broken(
        chain(middle()),
        chain(root()),
        "the server sent a CA certificate, CN=R11, as its own",
        "authority",
    )


@case
def wrong_order() -> Broken:
    return Broken(
        chain(middle(), leaf()),
        chain(root()),
        "the server sent CN=R11, a CA certificate, before its own (db.internal)",
        "authority",
    )


@case
def leaf_as_ca() -> Broken:
    shop = Party("shop.example", middle(), names=["shop.example"])
    return Broken(
        chain(peer("leaf", shop), shop, middle()),
        chain(root()),
        "CN=shop.example issued db.internal, but may not issue certificates: it is not a CA "
        "certificate (no CA:TRUE)",
        "authority",
    )


@case
def path_length_exceeded() -> Broken:
    last = Party("Last", root(), ca=True, constraints=(x509.BasicConstraints(True, 0), True))
    further = Party("Further", last, ca=True)
    return Broken(
        chain(peer("leaf", further), further, last),
        chain(root()),
        "the intermediate certificate CN=Last allows no CA below it, "
        "but there is 1 CA between it and db.internal",
        "path length",
    )


@case
def too_many_intermediates() -> Broken:
    parties = [root()]
    for number in range(9):
        parties.append(Party(f"Level {number}", parties[-1], ca=True))
    return Broken(
        chain(peer("leaf", parties[-1]), *reversed(parties[1:])),
        chain(root()),
        "the chain of db.internal is too long: at most 6 intermediates are allowed",
        "path length",
    )


@case
def client_certificate_on_a_server() -> Broken:
    return Broken(
        chain(below(usage=usage(ExtendedKeyUsageOID.CLIENT_AUTH)), middle()),
        chain(root()),
        "the server's certificate for db.internal is not valid for servers: its extended key usage "
        "is clientAuth",
        "purpose",
    )


@case
def server_certificate_on_a_client() -> Broken:
    return Broken(
        chain(below(usage=usage(ExtendedKeyUsageOID.SERVER_AUTH)), middle()),
        chain(root()),
        "the client's certificate for db.internal is not valid for clients: its extended key usage "
        "is serverAuth",
        "purpose",
        name=None,
        purpose="client",
    )


@case
def intermediate_for_clients() -> Broken:
    clients = Party("Clients", root(), ca=True, purpose=usage(ExtendedKeyUsageOID.CLIENT_AUTH))
    return Broken(
        chain(peer("leaf", clients), clients),
        chain(root()),
        "the intermediate certificate CN=Clients is not valid for servers: its extended key usage "
        "is clientAuth",
        "purpose",
    )


def _limited(**limits: Any) -> list[bytes]:
    constraints = {"permitted_subtrees": None, "excluded_subtrees": None} | limits
    narrow = Party("Narrow", root(), ca=True, limits=(x509.NameConstraints(**constraints), True))
    return chain(peer("leaf", narrow), narrow)


@case
def name_not_permitted() -> Broken:
    return Broken(
        _limited(permitted_subtrees=[x509.DNSName("example.com")]),
        chain(root()),
        "the name constraints of the intermediate certificate CN=Narrow permit only example.com, "
        "not db.internal (in the certificate of db.internal)",
        "name constraints",
    )


@case
def name_excluded() -> Broken:
    return Broken(
        _limited(excluded_subtrees=[x509.DNSName("internal")]),
        chain(root()),
        "the name constraints of the intermediate certificate CN=Narrow exclude internal, "
        "which covers db.internal (in the certificate of db.internal)",
        "name constraints",
    )


@case
def unknown_critical_extension() -> Broken:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True
    return Broken(
        chain(below(unknown=extension), middle()),
        chain(root()),
        "the server's certificate for db.internal has an unsupported critical extension: 1.2.3.4.5",
        "encoding",
    )


@case
def critical_policies_of_an_intermediate() -> Broken:
    policies = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]
    )
    ruled = Party("Ruled", root(), ca=True, policies=(policies, True))
    return Broken(
        chain(peer("leaf", ruled), ruled),
        chain(root()),
        "the intermediate certificate CN=Ruled has an unsupported critical extension: "
        "certificatePolicies (2.5.29.32)",
        "encoding",
    )


@case
def policy_that_a_ca_demands() -> Broken:
    demand = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), False
    demanding = Party("Demanding", root(), ca=True, policies=demand)
    return Broken(
        chain(peer("leaf", demanding), demanding),
        chain(root()),
        "the intermediate certificate CN=Demanding demands a certificate policy, but the path to db.internal "
        "has none that all its certificates share",
        "policies",
    )


@case
def key_that_may_not_sign_a_handshake() -> Broken:
    usage = x509.KeyUsage(False, False, False, True, False, False, False, False, False), True
    return Broken(
        chain(below(usage=usage), middle()),
        chain(root()),
        "the key of the server's certificate for db.internal may not be used for TLS: "
        "its key usage is dataEncipherment",
        "purpose",
    )


@case
def intermediate_whose_key_may_not_sign() -> Broken:
    usage = x509.KeyUsage(True, False, False, False, False, False, True, False, False), True
    narrow = Party("Narrow", root(), ca=True, usage=usage)
    return Broken(
        chain(peer("leaf", narrow), narrow),
        chain(root()),
        "CN=Narrow issued db.internal, but may not issue certificates: its key usage lacks keyCertSign",
        "authority",
    )


@case
def root_that_allows_no_other_ca() -> Broken:
    last = Party("Last Root", ca=True, constraints=(x509.BasicConstraints(True, 0), True))
    between = Party("Between", last, ca=True)
    return Broken(
        chain(peer("leaf", between), between),
        chain(last),
        "CN=Last Root in the trust set allows no CA below it, but there is 1 CA between it and db.internal",
        "path length",
    )


@case
def root_for_clients() -> Broken:
    clients = Party("Clients Root", ca=True, purpose=usage(ExtendedKeyUsageOID.CLIENT_AUTH))
    return Broken(
        chain(peer("leaf", clients)),
        chain(clients),
        "CN=Clients Root in the trust set is not valid for servers: its extended key usage is clientAuth",
        "purpose",
    )
