"""Whatever changes between connections, a session admits only peers that a full handshake would accept."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import veritls
from tests.resumption.attacks import World
from tests.resumption.meeting import OurClient, TheirClient
from tests.support.certificates import pem
from tests.support.memory import connect

V = ssl.TLSVersion
Change = Callable[[World, Any], None]


def refuse(report: Any) -> None:
    raise PermissionError


def _crl(world: World, context: Any, party: Any) -> None:
    path = world.folder / f"crl-{party.certificate.serial_number}.pem"
    path.write_bytes(pem(world.ca.crl(party)))
    context.load_verify_locations(path)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _mode(mode: ssl.VerifyMode) -> Change:
    def change(world: World, context: Any) -> None:
        if mode == ssl.CERT_NONE:
            context.check_hostname, context.allowed_peers = False, None
        if context.protocol == ssl.PROTOCOL_TLS_SERVER and mode == ssl.CERT_NONE:
            context.pinned_keys = None
            context.set_verify_callback(None)
        context.verify_mode = mode

    return change


def _set(name: str, value: Callable[[World], Any]) -> Change:
    return lambda world, context: setattr(context, name, value(world))


def _callback(callback: Any) -> Change:
    return lambda world, context: context.set_verify_callback(callback)


def _require_first(change: Change) -> Change:
    def both(world: World, context: Any) -> None:
        if context.verify_mode == ssl.CERT_NONE:
            context.verify_mode = ssl.CERT_REQUIRED
        change(world, context)

    return both


def _by_trust_domain(world: World, context: Any) -> None:
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        context.spiffe_bundles = {"one.example": world.ca.der}


CHANGES: dict[str, Change] = {
    "CERT_NONE": _mode(ssl.CERT_NONE),
    "CERT_OPTIONAL": _mode(ssl.CERT_OPTIONAL),
    "CERT_REQUIRED": _mode(ssl.CERT_REQUIRED),
    "trusts one": lambda world, context: context.load_verify_locations(cadata=world.ca.pem.decode()),
    "trusts two": lambda world, context: context.load_verify_locations(cadata=world.other.pem.decode()),
    "trusts one no more": lambda world, context: context.remove_trust(world.ca.der),
    "trusts two alone": lambda world, context: context.replace_trust(cadata=world.other.pem.decode()),
    "trusts nobody": lambda world, context: context.clear_trust(),
    "knows an intermediate": lambda world, context: context.load_intermediates(world.ca.der),
    "a server trusts by trust domain": lambda world, context: _by_trust_domain(world, context),
    "the peer is revoked": _require_first(
        lambda world, context: _crl(
            world,
            context,
            world.client if context.protocol == ssl.PROTOCOL_TLS_SERVER else world.server,
        )
    ),
    "strict": lambda world, context: setattr(
        context, "verify_flags", context.verify_flags | ssl.VERIFY_X509_STRICT
    ),
    "allows everybody": _set("allowed_peers", lambda world: None),
    "allows one": _set("allowed_peers", lambda world: [veritls.DNSPattern("one.internal")]),
    "allows the server": _set("allowed_peers", lambda world: [veritls.DNSPattern("*.example")]),
    "allows no peer": _set("allowed_peers", lambda world: []),
    "pins nothing": _set("pinned_keys", lambda world: None),
    "pins one": _require_first(_set("pinned_keys", lambda world: [world.client.pin, world.server.pin])),
    "pins another": _require_first(_set("pinned_keys", lambda world: [world.second_client.pin])),
    "has no callback": _callback(None),
    "calls back and accepts": _require_first(_callback(bool)),
    "calls back and refuses": _require_first(_callback(refuse)),
    "does not reverify": _set("reverify_on_resumption", lambda world: False),
    "reverifies": _set("reverify_on_resumption", lambda world: True),
}
SIDES = st.sampled_from(["server", "client"])
STEPS = st.lists(st.tuples(SIDES, st.sampled_from(sorted(CHANGES))), max_size=4)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("property"))


def make_contexts(world: World, version: V, shows: str, kind: Any = OurClient) -> dict[str, Any]:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(world.file(world.server))
    server.load_verify_locations(cadata=world.ca.pem.decode())
    client = kind(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=world.ca.pem.decode())
    client.minimum_version = client.maximum_version = version
    if shows != "nothing":
        client.load_cert_chain(world.file(world.client if shows == "one" else world.second_client))
    return {"server": server, "client": client}


def fingerprint(server: Any) -> bytes | None:
    """Of what a server verifies with; None where it cannot be used like that."""
    try:
        return server._settings.frozen(True).settings.fingerprint  # type: ignore[no-any-return]
    except ValueError:
        return None


def apply(world: World, contexts: dict[str, Any], steps: list[tuple[str, str]]) -> None:
    for side, change in steps:
        CHANGES[change](world, contexts[side])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.sampled_from([V.TLSv1_2, V.TLSv1_3]),
    shows=st.sampled_from(["nothing", "one", "two"]),
    before=STEPS,
    between=STEPS,
    name=st.sampled_from(["a.example", "b.example"]),
)
def test_a_session_admits_no_peer_that_a_full_handshake_would_refuse(
    world: World,
    version: V,
    shows: str,
    before: list[tuple[str, str]],
    between: list[tuple[str, str]],
    name: str,
) -> None:
    contexts = make_contexts(world, version, shows)
    apply(world, contexts, before)
    first = connect(**contexts, name="a.example")
    if first.refused:
        return
    policy = fingerprint(contexts["server"])
    apply(world, contexts, between)
    changed = any(side == "client" for side, _ in between) or fingerprint(contexts["server"]) != policy
    second = connect(**contexts, name=name, session=first.client.session)
    full = connect(**contexts, name=name)
    assert second.refused == full.refused
    if changed or name != "a.example":
        assert not (second.client.session_reused or second.server.session_reused)
    else:
        assert second.client.session_reused and second.server.session_reused
    if not second.refused:
        for side in ("server", "client"):
            assert getattr(second, side).getpeercert(True) == getattr(full, side).getpeercert(True)
            assert getattr(second, side).get_verified_chain() == getattr(full, side).get_verified_chain()


SWITCHES = {
    "front": st.lists(st.sampled_from(sorted(CHANGES)), max_size=2),
    "a.example": st.lists(st.sampled_from(sorted(CHANGES)), max_size=3),
    "b.example": st.lists(st.sampled_from(sorted(CHANGES)), max_size=3),
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.sampled_from([V.TLSv1_2, V.TLSv1_3]),
    shows=st.sampled_from(["nothing", "one", "two"]),
    hosts=st.fixed_dictionaries(SWITCHES),
    again=st.tuples(
        st.sampled_from(sorted(SWITCHES)), st.lists(st.sampled_from(sorted(CHANGES)), max_size=2)
    ),
)
def test_nor_does_one_of_a_virtual_host_at_another(
    world: World, version: V, shows: str, hosts: dict[str, list[str]], again: tuple[str, list[str]]
) -> None:
    contexts = {name: make_contexts(world, version, shows)["server"] for name in hosts}
    front, client = contexts["front"], make_contexts(world, version, shows, TheirClient)["client"]
    front.sni_callback = lambda connection, name, _: setattr(connection, "context", contexts[name])
    for name, changes in hosts.items():
        apply(world, contexts, [(name, change) for change in changes])
    pair = {"server": front, "client": client}
    first = connect(**pair, name="a.example")
    if first.refused:
        return
    changed, changes = again
    apply(world, contexts, [(changed, change) for change in changes])
    for name in ("a.example", "b.example"):
        second = connect(**pair, name=name, session=first.client.session)
        assert second.refused == connect(**pair, name=name).refused
        assert name == "a.example" or not second.server.session_reused
    if not changes:
        assert connect(**pair, name="a.example", session=first.client.session).server.session_reused
