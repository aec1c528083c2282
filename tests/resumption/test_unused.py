"""What is not used leaves nothing behind, and what is kept has a bound."""

from __future__ import annotations

import ssl

import pytest

from tests.resumption.attacks import World, attacker, careless_server, our_client, serving
from tests.resumption.meeting import meet
from tests.resumption.theft import exchange

V = ssl.TLSVersion


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("unused"))


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize("transport", ["sockets", "asyncio"])
def test_a_stolen_ticket_that_is_opened_and_not_used_leaves_no_path_behind(
    world: World, version: V, transport: str
) -> None:
    """A passive observer sees tickets; for another name rustls opens one and declines it."""
    server = serving(world, world.ca, mode=ssl.CERT_OPTIONAL)
    victim, thief = attacker(world, world.client), attacker(world)
    victim.maximum_version = thief.maximum_version = version
    stolen = meet(transport, server, victim, "a.example").client.session
    own = meet(transport, server, thief, "a.example").client.session
    exchange(stolen, own)
    met = meet(transport, server, thief, "b.example", own)
    assert (met.server.error, met.client.error) == (None, None)
    assert not met.resumed
    assert met.server.peer is None
    assert met.server.path == []
    # The session of the handshake in full is the thief's own: it has no peer certificate, and is resumed so.
    again = meet(transport, server, thief, "b.example", met.client.session)
    assert again.resumed
    assert (again.server.peer, again.server.path) == (None, [])


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_verify_callback_is_not_asked_about_the_owner_of_a_ticket_that_is_not_used(
    world: World, version: V
) -> None:
    asked: list[bytes] = []
    server = serving(world, world.ca, mode=ssl.CERT_OPTIONAL)
    server.set_verify_callback(lambda report: asked.append(report.question.chain[0]))
    victim, thief = attacker(world, world.client), attacker(world)
    victim.maximum_version = thief.maximum_version = version
    stolen = meet("sockets", server, victim, "a.example").client.session
    assert asked == [world.client.der]
    own = meet("sockets", server, thief, "a.example").client.session
    exchange(stolen, own)
    assert meet("sockets", server, thief, "b.example", own).server.error is None
    assert asked == [world.client.der]


def test_a_client_keeps_eight_tickets_of_one_connection(world: World) -> None:
    server, client = careless_server(world), our_client(world)
    server.num_tickets = 12
    session = meet("sockets", server, client, "a.example").client.session
    resumed = 0
    while meet("sockets", server, client, "a.example", session).resumed:
        resumed += 1
    assert resumed == 8
