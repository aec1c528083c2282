"""Where `sni_callback` chooses a second context, demands add up and choices are the second's."""

from __future__ import annotations

import contextlib
import ssl
import sys
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, strategies as st

import veritls
from tests.settings.conftest import CLIENT, ROOT, SERVER, World
from tests.settings.test_one_value import Alarm, raising_at
from tests.support.certificates import Party, digest, pem
from tests.support.connections import tls_pair
from veritls._context import combining as roles
from veritls._context.peer import PeerPolicy
from veritls._context.protocol import ProtocolSettings
from veritls._context.settings import Settings
from veritls._value import Value

V = ssl.TLSVersion
VALUES = (Settings, ProtocolSettings, PeerPolicy)
WITHOUT_KEY_IDENTIFIER = "no authorityKeyIdentifier"


def switching(first: Any, second: Any) -> Any:
    first.sni_callback = lambda connection, *_: setattr(connection, "context", second)
    return first


@pytest.mark.parametrize("kind", VALUES)
def test_every_field_is_registered_as_a_demand_or_a_choice(kind: type[Value]) -> None:
    assert kind.fields_of
    assert [name for name, field in kind.fields_of.items() if not roles.registered(field)] == []


def test_a_field_that_is_not_registered_refuses_the_combination() -> None:
    class Extended(PeerPolicy):
        forgotten: bool = False

    with pytest.raises(TypeError, match="forgotten is neither a demand nor a choice"):
        roles.combined(Extended(), Extended())


def client_without_key_identifier() -> Party:
    party = Party("client", ROOT)
    builder = x509.CertificateBuilder(
        ROOT.name,
        party.name,
        party.key.public_key(),
        x509.random_serial_number(),
        party.certificate.not_valid_before_utc,
        party.certificate.not_valid_after_utc,
    )
    for extension in party.certificate.extensions:
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    party.certificate = builder.sign(ROOT.key, digest(ROOT.key))
    return party


def crl_check(context: Any) -> None:
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def crl_check_chain(context: Any) -> None:
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def strict(context: Any) -> None:
    context.verify_flags |= ssl.VERIFY_X509_STRICT


def tls13_only(context: Any) -> None:
    context.minimum_version = V.TLSv1_3


def no_tls12(context: Any) -> None:
    with pytest.warns(DeprecationWarning):
        context.options |= ssl.OP_NO_TLSv1_2


def at_most_tls12(context: Any) -> None:
    context.maximum_version = V.TLSv1_2


def one_suite(context: Any) -> None:
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")


def one_group(context: Any) -> None:
    context.set_groups("x25519")


def known_peer(context: Any) -> None:
    context.allowed_peers = [veritls.DNSPattern("other.internal")]


def pinned(context: Any) -> None:
    context.pinned_keys = [bytes(32)]


def refusing(context: Any) -> None:
    def refuse(report: object) -> None:
        raise PermissionError("no")

    context.set_verify_callback(refuse)


def required(context: Any) -> None:
    context.verify_mode = ssl.CERT_REQUIRED


def modest(client: Any) -> None:
    client.maximum_version = V.TLSv1_2


def other_suite(client: Any) -> None:
    client.maximum_version = V.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")


def other_group(client: Any) -> None:
    client.set_groups("secp384r1")


def only_tls13(client: Any) -> None:
    client.minimum_version = V.TLSv1_3


CASES: dict[str, tuple[Any, Any, Party | None]] = {
    "VERIFY_CRL_CHECK_LEAF": (crl_check, None, CLIENT),
    "VERIFY_CRL_CHECK_CHAIN": (crl_check_chain, None, CLIENT),
    "VERIFY_X509_STRICT": (strict, None, client_without_key_identifier()),
    "minimum_version": (tls13_only, modest, CLIENT),
    "OP_NO_TLSv1_2": (no_tls12, modest, CLIENT),
    "maximum_version": (at_most_tls12, only_tls13, CLIENT),
    "set_ciphers": (one_suite, other_suite, CLIENT),
    "set_groups": (one_group, other_group, CLIENT),
    "allowed_peers": (known_peer, None, CLIENT),
    "pinned_keys": (pinned, None, CLIENT),
    "set_verify_callback": (refusing, None, CLIENT),
    "verify_mode": (required, None, None),
}


@pytest.mark.parametrize("place", ["first", "second", "both"])
@pytest.mark.parametrize("case", CASES)
def test_a_demand_of_either_context_holds_after_a_switch(case: str, place: str, world: World) -> None:
    demand, modify, party = CASES[case]
    mode = ssl.CERT_NONE if case == "verify_mode" else ssl.CERT_REQUIRED
    first, second = world.server(mode), world.server(mode)
    crl = pem(ROOT.crl(CLIENT))
    for context in (first, second):
        context.load_crls(crl)
    client = world.client(party)
    if modify is not None:
        modify(client)
    assert world.meet(switching(first, second), client).server.error is None
    for context in [first, second] if place == "both" else [first if place == "first" else second]:
        demand(context)
    met = world.meet(switching(first, second), client)
    assert met.server.error is not None and met.client.error is not None


def test_choices_are_the_second_contexts(world: World) -> None:
    elsewhere = Party("Elsewhere", ca=True)
    first, second = world.server(ssl.CERT_REQUIRED), veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    first.set_alpn_protocols(["one"])
    first.load_crls(pem(ROOT.crl(CLIENT)))
    other = Party("second", ROOT, names=["localhost"])
    second.load_cert_chain(other.pem, other.key_pem)
    second.load_verify_locations(cadata=elsewhere.pem.decode())
    client = world.client(Party("theirs", elsewhere))
    client.set_alpn_protocols(["two"])
    second.set_alpn_protocols(["two"])
    met = world.meet(switching(first, second), client)
    assert met.server.error is None and met.client.peer == other.der
    assert met.server.peer is not None
    assert world.meet(switching(first, second), world.client(CLIENT)).server.error is not None


@pytest.mark.parametrize(
    ("first_only", "second_only"),
    [(tls13_only, at_most_tls12), (one_group, other_group)],
    ids=["versions", "groups"],
)
def test_contexts_that_have_nothing_in_common_refuse_the_client(
    first_only: Any, second_only: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.server(), world.server()
    first_only(first)
    second_only(second)
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: raised.append(report.exc_value))
    met = world.meet(switching(first, second), world.client())
    assert isinstance(met.server.error, ssl.SSLError)
    assert isinstance(met.client.error, OSError)  # asyncio may close before it sends the alert
    assert [error.library for error in raised] == ["SSL"]


@pytest.mark.parametrize("place", ["first", "second", "both"])
def test_an_unknown_status_is_accepted_where_both_contexts_accept_it(place: str, world: World) -> None:
    first, second = world.server(ssl.CERT_REQUIRED), world.server(ssl.CERT_REQUIRED)
    crl_check(second)
    for context in [first, second] if place == "both" else [first if place == "first" else second]:
        context.unknown_revocation_status = "accept"
    met = world.meet(switching(first, second), world.client())
    assert (met.server.error is None) == (place == "both")


@pytest.mark.parametrize("place", ["first", "second", "both"])
def test_a_partial_chain_is_enough_where_both_contexts_say_so(place: str, world: World) -> None:
    middle = Party("Middle", ROOT, ca=True)
    party = Party("below", middle)

    def server() -> Any:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(SERVER.pem, SERVER.key_pem)
        context.load_verify_locations(cadata=middle.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    first, second = server(), server()
    for context in [first, second] if place == "both" else [first if place == "first" else second]:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    met = world.meet(switching(first, second), world.client(party))
    assert (met.server.error is None) == (place == "both")


MODES = st.sampled_from([ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
LEAF, CHAIN = ssl.VERIFY_CRL_CHECK_LEAF, ssl.VERIFY_CRL_CHECK_CHAIN
FLAGS = st.builds(
    lambda crls, strict, partial: ssl.VERIFY_X509_TRUSTED_FIRST | crls | strict | partial,
    st.sampled_from([ssl.VERIFY_DEFAULT, LEAF, CHAIN]),
    st.sampled_from([ssl.VERIFY_DEFAULT, ssl.VERIFY_X509_STRICT]),
    st.sampled_from([ssl.VERIFY_DEFAULT, ssl.VERIFY_X509_PARTIAL_CHAIN]),
)
POLICIES = st.builds(
    PeerPolicy,
    verify_mode=MODES,
    check_hostname=st.booleans(),
    verify_flags=FLAGS,
    unknown_status=st.sampled_from(["refuse", "accept"]),
    require_ocsp=st.booleans(),
    allowed_peers=st.sampled_from([(), ((veritls.DNSPattern("a.example"),),), ((),)]),
    pinned_keys=st.sampled_from([(), (frozenset([bytes(32)]),)]),
    reverify=st.booleans(),
    max_resumption_age=st.integers(0, 100),
)


@given(first=POLICIES, second=POLICIES)
def test_whatever_two_policies_are_each_ones_demands_hold_in_their_combination(
    first: PeerPolicy, second: PeerPolicy
) -> None:
    both = roles.combined(first, second)
    for each in (first, second):
        assert both.verify_mode >= each.verify_mode
        assert both.check_hostname >= each.check_hostname
        demanding = each.verify_flags & ~ssl.VERIFY_X509_PARTIAL_CHAIN
        assert both.verify_flags & demanding == demanding
        assert each.partial_chain or not both.partial_chain
        assert each.unknown_status == "accept" or both.unknown_status == "refuse"
        assert both.require_ocsp >= each.require_ocsp and both.reverify >= each.reverify
        assert both.max_resumption_age <= each.max_resumption_age
        assert set(each.allowed_peers) <= set(both.allowed_peers)
        assert set(each.pinned_keys) <= set(both.pinned_keys)


def test_a_second_switch_adds_to_the_first_context_and_not_to_the_one_between(world: World) -> None:
    first, between, last = world.server(), world.server(ssl.CERT_REQUIRED), world.server()

    def callback(connection: Any, name: str | None, context: object) -> None:
        connection.context = between
        connection.context = last

    first.sni_callback = callback
    assert world.meet(first, world.client(None)).server.error is None
    required(first)
    assert world.meet(first, world.client(None)).server.error is not None


def test_a_context_that_a_callback_changes_and_chooses_again_asks_its_verify_callback_once(
    world: World,
) -> None:
    server = world.server(ssl.CERT_REQUIRED)
    asked: list[Any] = []
    server.set_verify_callback(asked.append)

    def callback(connection: Any, name: str | None, context: Any) -> None:
        context.max_resumption_age = 60
        connection.context = context

    server.sni_callback = callback
    assert world.meet(server, world.client()).server.error is None
    assert len(asked) == 1


def test_the_first_contexts_demands_are_those_from_when_the_connection_was_made(sockets: World) -> None:
    first, second = sockets.server(ssl.CERT_REQUIRED), sockets.server()

    def callback(connection: Any, name: str | None, context: Any) -> None:
        context.verify_mode = ssl.CERT_NONE
        connection.context = second

    first.sni_callback = callback
    assert sockets.meet(first, sockets.client(None)).server.error is not None


def test_the_ciphers_that_are_shown_as_shared_are_those_of_both_contexts_as_they_were(
    sockets: World,
) -> None:
    first, second = sockets.server(), sockets.server()
    first.set_ciphersuites("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384")
    second.set_ciphersuites("TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256")
    for context in (first, second):
        context.minimum_version = V.TLSv1_3
    with tls_pair(switching(first, second), sockets.client()) as (server_end, _):
        second.set_ciphersuites("TLS_CHACHA20_POLY1305_SHA256")
        shared = [suite for suite, version, _ in server_end.shared_ciphers() if version == "TLSv1.3"]
        assert shared == ["TLS_AES_256_GCM_SHA384"]
        assert server_end.context is second


def test_a_choice_that_is_interrupted_leaves_the_context_that_is_shown_enforced(sockets: World) -> None:
    """Between its steps a signal handler raises, and the callback goes on as if nothing had happened."""
    first, asking, open_to_all = sockets.server(), sockets.server(ssl.CERT_REQUIRED), sockets.server()
    shown: list[Any] = []

    def callback(connection: Any, name: str | None, context: Any) -> None:
        connection.context = open_to_all  # what the engine needs of it is made
        connection.context = asking
        with raising_at(step) as seen, contextlib.suppress(Alarm):
            connection.context = open_to_all
        shown.append((connection.context, seen[0] < step))

    first.sni_callback = callback
    for step in range(1, 1000):
        refused = sockets.meet(first, sockets.client(None)).server.error is not None
        context, whole = shown.pop()
        assert refused == (context is asking), f"interrupted at bytecode {step}"
        if whole:
            break
    assert whole and step > 5
