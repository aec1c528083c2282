"""A CA demands a certificate policy (requireExplicitPolicy), in an extension that is not critical.

Where it is critical, as RFC 5280 demands, webpki refuses the path. NIST PKITS has such extensions in 4.8.
"""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.support.certificates import Extension, Party
from tests.support.memory import connect

GOLD, SILVER, ANY = "1.3.6.1.4.1.55738.1", "1.3.6.1.4.1.55738.2", "2.5.29.32.0"

ROOT = Party("root", ca=True)


def policies(*oids: str) -> Extension:
    listed = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]
    return x509.CertificatePolicies(listed), False


def demand(skip: int | None = 0) -> Extension:
    mapping = None if skip is not None else 0
    return x509.PolicyConstraints(require_explicit_policy=skip, inhibit_policy_mapping=mapping), False


def no_any(skip: int = 0) -> Extension:
    return x509.InhibitAnyPolicy(skip), False


def raw(oid: str, value: bytes) -> Extension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False


MAPPING = raw("2.5.29.33", bytes.fromhex("300c300a06032a030406032a0305"))
"""policyMappings: 1.2.3.4 to 1.2.3.5."""


def trusting() -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ROOT.der)
    return context


def path(*levels: list[Extension]) -> list[Party]:
    """One certificate for each level, from the one below the root to the peer's; the peer's first."""
    above = ROOT
    for at, extensions in enumerate(levels[:-1]):
        above = Party(f"CA {at}", above, ca=True, extra=extensions)
    chain = [above.issue("localhost", extra=levels[-1])]
    while chain[-1].issuer is not ROOT:
        chain.append(chain[-1].issuer)
    return chain


def kind_of(chain: list[Party]) -> str:
    """Empty where the chain is accepted."""
    try:
        trusting().verify_chain([each.der for each in chain], server_hostname="localhost")
    except veritls.SSLCertVerificationError as refused:
        assert refused.report
        return str(refused.report.kind)
    return ""


REFUSED: dict[str, list[list[Extension]]] = {
    "no policies": [[policies(GOLD), demand()], []],
    "another policy": [[policies(GOLD), demand()], [policies(SILVER)]],
    "a CA without policies above": [[], [policies(GOLD), demand()], [policies(GOLD)]],
    "a CA without policies below": [[policies(GOLD), demand()], [], [policies(GOLD)]],
    "nothing common to all": [[policies(GOLD, SILVER), demand()], [policies(GOLD)], [policies(SILVER)]],
    "the demand holds from the second on": [[demand(1)], [], []],
    "the demand holds from the peer's own on": [[demand(1)], []],
    "the peer's own demands": [[], [demand()]],
    "the stronger of two demands": [[demand(5)], [demand(0)], []],
    "anyPolicy does not count": [[policies(GOLD), demand(), no_any()], [policies(ANY)]],
    "anyPolicy no longer counts": [[policies(GOLD), demand(), no_any(1)], [policies(ANY)], [policies(ANY)]],
    "mapped": [
        [policies(GOLD), demand(), MAPPING],
        [policies(GOLD)],
    ],
}

ACCEPTED: dict[str, list[list[Extension]]] = {
    "nothing is demanded": [[policies(GOLD)], [policies(SILVER)]],
    "other constraints demand nothing": [[policies(GOLD), demand(None)], [policies(SILVER)]],
    "one policy": [[policies(GOLD), demand()], [policies(GOLD)]],
    "one of two": [[policies(GOLD, SILVER), demand()], [policies(SILVER)]],
    "any, and one": [[policies(ANY), demand()], [policies(GOLD)]],
    "one, and any": [[policies(GOLD), demand()], [policies(ANY)]],
    "any alone": [[policies(ANY), demand()], [policies(ANY)]],
    "anyPolicy still counts": [[policies(GOLD), demand(), no_any(1)], [policies(ANY)]],
    "the demand would hold below": [[demand(2)], []],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_path_without_the_policy_that_a_ca_demands_is_refused(name: str) -> None:
    assert kind_of(path(*REFUSED[name])) == "no_explicit_policy"


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_path_with_the_policy_that_is_demanded_is_accepted(name: str) -> None:
    assert kind_of(path(*ACCEPTED[name])) == ""


def test_the_demand_of_a_self_issued_ca_is_not_counted_down() -> None:
    ca = Party("CA", ROOT, ca=True, extra=[demand(1)])
    renewed = Party(ca.name, ca, ca=True)
    assert kind_of([renewed.issue("localhost"), renewed, ca]) == "no_explicit_policy"
    ca = Party("CA", ROOT, ca=True, extra=[demand(2)])
    renewed = Party(ca.name, ca, ca=True)
    assert kind_of([renewed.issue("localhost"), renewed, ca]) == ""


@pytest.mark.parametrize("value", [b"\x04\x00", b"\x30\x03\x80\x01", b""])
def test_constraints_that_cannot_be_read_are_refused(value: bytes) -> None:
    assert kind_of(path([raw("2.5.29.36", value)], [])) == "encoding"


def test_another_path_that_has_the_policy_is_taken() -> None:
    key_of = Party("CA", ROOT, ca=True, extra=[demand()])
    without_demand = Party(key_of.name, ROOT, ca=True, key=key_of.key)
    leaf = key_of.issue("localhost")
    assert kind_of([leaf, key_of]) == "no_explicit_policy"
    assert kind_of([leaf, key_of, without_demand]) == ""


@pytest.mark.parametrize("side", ["server", "client"])
def test_either_side_refuses_in_a_handshake_with_openssls_number_and_the_ca_by_name(
    side: str, tmp_path: Any
) -> None:
    leaf, ca = path([policies(GOLD), demand()], [])
    file = leaf.file(tmp_path, ca)
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    client = trusting()
    for context in (server, client):
        context.load_cert_chain(file)
    if side == "server":
        server.load_verify_locations(cadata=ROOT.der)
        server.verify_mode = ssl.CERT_REQUIRED
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
    outcome = connect(server, client)
    errors = {"server": outcome.server_error, "client": outcome.client_error}
    error, others = errors.pop(side), errors.popitem()[1]
    assert isinstance(error, veritls.SSLCertVerificationError)
    assert (error.verify_code, error.verify_message) == (43, "no explicit policy")
    assert "CN=CA 0 demands a certificate policy" in str(error)
    assert others.reason == "SSLV3_ALERT_CERTIFICATE_UNKNOWN"
