"""Attacks on resumption between processes that share ticket keys: the last column of docs/resumption.md."""

from __future__ import annotations

import ssl
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.resumption.attacks import ATTACKS, Attack, Stage, World, attacker, serving
from tests.resumption.elsewhere import Refusal, meet_elsewhere
from tests.resumption.meeting import meet
from tests.resumption.sealing import Keys
from tests.resumption.test_time import Brief
from tests.resumption.theft import exchange, rewrite
from veritls.tickets import TicketKeys

V = ssl.TLSVersion
VERSIONS = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
OF_SERVERS = [attack for attack in ATTACKS if attack.victim == "server"]
TABLE = pytest.mark.parametrize("attack", OF_SERVERS, ids=lambda attack: attack.name)
SECRET = bytes(range(32))
DAY, A_WHILE = 24 * 60 * 60, 60


def _keys() -> TicketKeys:
    return TicketKeys.from_secret(SECRET, policy_version="1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("across"))
    world.keys = _keys
    return world


def begun(world: World, attack: Attack, version: V) -> tuple[Stage, Any]:
    stage = attack.set_up(world)
    stage.client.minimum_version = stage.client.maximum_version = version
    met = meet("sockets", stage.server, stage.client, stage.name)
    assert (met.server.error, met.client.error) == (None, None)
    return stage, met.client.session


def struck(world: World, attack: Attack) -> Stage:
    """The stage of the other process, after the strike."""
    stage = attack.set_up(world)
    attack.strike(stage)
    return stage


@TABLE
@VERSIONS
def test_a_session_of_one_process_gets_by_no_attack_into_another(
    world: World, attack: Attack, version: V
) -> None:
    stage, session = begun(world, attack, version)
    name = struck(world, attack).name
    met = meet_elsewhere(lambda: struck(world, attack).server, stage.client, name, session)
    assert attack.refused
    assert isinstance(met.server.error, Refusal) and met.server.error.kind.startswith("SSL")
    assert not met.client.reused or met.client.error is not None
    assert "alert" in str(met.client.error)


@TABLE
@VERSIONS
def test_without_the_attack_it_is_resumed_in_the_other_process(
    world: World, attack: Attack, version: V
) -> None:
    stage, session = begun(world, attack, version)
    met = meet_elsewhere(lambda: attack.set_up(world).server, stage.client, stage.name, session)
    assert (met.server.error, met.client.error) == (None, None)
    assert met.server.reused and met.client.reused
    again = meet("sockets", stage.server, stage.client, stage.name, met.client.session)
    assert again.resumed and (again.server.peer, again.server.path) == (met.server.peer, met.server.path)


@VERSIONS
def test_another_policy_version_or_none_is_a_full_handshake(world: World, version: V) -> None:
    attack = next(each for each in ATTACKS if each.name == "the program's verifier is another")
    stage, session = begun(world, attack, version)

    def other(policy_version: str | None) -> Any:
        server = attack.set_up(world).server
        server.ticket_keys = TicketKeys.from_secret(SECRET, policy_version=policy_version)
        return server

    for policy_version in ("2", None):
        met = meet_elsewhere(partial(other, policy_version), stage.client, stage.name, session)
        assert (met.server.error, met.client.error) == (None, None) and not met.server.reused
        session = meet("sockets", stage.server, stage.client, stage.name).client.session


@VERSIONS
@pytest.mark.parametrize(
    ("age", "resumed"), [(0, True), (DAY - A_WHILE, True), (DAY, False), (-A_WHILE, False)]
)
def test_another_process_resumes_for_a_day_after_the_full_handshake_and_nothing_from_the_future(
    world: World, version: V, age: int, resumed: bool
) -> None:
    server, client = serving(world, world.ca), attacker(world, world.client)
    client.maximum_version = version
    session = meet("sockets", server, client, "a.example").client.session
    keys = Keys.shared(server, SECRET)
    rewrite(session, lambda seen: keys.moved(seen, since=int(time.time()) - age))
    met = meet_elsewhere(lambda: serving(world, world.ca), client, "a.example", session)
    assert (met.server.error, met.client.error) == (None, None)
    assert met.server.reused is resumed


@VERSIONS
@pytest.mark.parametrize(("epochs", "resumed"), [(-4, False), (-3, True), (1, True), (2, False)])
def test_tickets_of_the_next_epoch_and_of_three_before_are_opened(
    world: World, version: V, epochs: int, resumed: bool
) -> None:
    server, client = serving(world, world.ca), attacker(world, world.client)
    client.maximum_version = version
    session = meet("sockets", server, client, "a.example").client.session
    keys = Keys.shared(server, SECRET)
    rewrite(session, lambda seen: keys.moved(seen, epochs=epochs))
    met = meet_elsewhere(lambda: serving(world, world.ca), client, "a.example", session)
    assert (met.server.error, met.client.error) == (None, None)
    assert met.server.reused is resumed


@VERSIONS
def test_a_stolen_ticket_that_another_process_opens_and_does_not_use_leaves_no_path_behind(
    world: World, version: V
) -> None:
    def made() -> Any:
        return serving(world, world.ca, mode=ssl.CERT_OPTIONAL)

    server = made()
    victim, thief = attacker(world, world.client), attacker(world)
    victim.maximum_version = thief.maximum_version = version
    stolen = meet("sockets", server, victim, "a.example").client.session
    own = meet("sockets", server, thief, "a.example").client.session
    exchange(stolen, own)
    met = meet_elsewhere(made, thief, "b.example", own)
    assert (met.server.error, met.client.error) == (None, None)
    assert not met.client.reused
    assert (met.server.peer, met.server.path) == (None, [])


@VERSIONS
def test_what_ran_out_since_is_refused_in_another_process(tmp_path: Path, version: V) -> None:
    cases = {"a client's certificate": 10, "a client's intermediate": 10, "a CRL": 12}
    for seconds in (3, 20, 60):  # a slow machine gets more of them
        world = Brief(tmp_path, seconds)
        world.keys = _keys
        try:
            pairs = {
                (case, reverify): world.begin(case, version, "sockets", reverify=reverify)
                for case in cases
                for reverify in (True, False)
            }
            break
        except ssl.SSLError:
            continue
    tick = threading.Event()
    while not all(map(world.is_over, (world.brief_client, world.below))):
        tick.wait(0.05)

    def made(case: str, reverify: bool) -> Any:
        server = world.contexts(case)[0]
        server.reverify_on_resumption = reverify
        return server

    for (case, reverify), pair in pairs.items():
        met = meet_elsewhere(partial(made, case, reverify), pair.client, "a.example", pair.session)
        if reverify:
            assert isinstance(met.server.error, Refusal) and met.server.error.verify_code == cases[case]
            assert "alert" in str(met.client.error)
            continue
        # It outlives the dates, and not the day.
        assert met.server.reused and met.client.reused
        keys = Keys.shared(pair.server, SECRET)
        rewrite(met.client.session, partial(keys.moved, since=int(time.time()) - DAY))
        met = meet_elsewhere(partial(made, case, reverify), pair.client, "a.example", met.client.session)
        assert isinstance(met.server.error, Refusal) and met.server.error.verify_code == cases[case]
