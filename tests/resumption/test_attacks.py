"""No known attack on resumption gets in: in both versions, over sockets and asyncio."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.resumption.attacks import ATTACKS, Attack, Stage, World, as_markdown
from tests.resumption.meeting import Met, meet

V = ssl.TLSVersion
TABLE = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.victim}: {attack.name}")
WAYS = [
    pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3]),
    pytest.mark.parametrize("transport", ["sockets", "asyncio"]),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("resumption"))


def begun(world: World, attack: Attack, version: V, transport: str) -> tuple[Stage, Met]:
    stage = attack.set_up(world)
    stage.client.minimum_version = stage.client.maximum_version = version
    return stage, meet(transport, stage.server, stage.client, stage.name)


def assert_refused(attack: Attack, met: Met) -> None:
    error = getattr(met, attack.victim).error
    assert isinstance(error, ssl.SSLError | ValueError)
    other = met.client if attack.victim == "server" else met.server
    assert other.reused is None or not met.resumed


@TABLE
@WAYS[0]
@WAYS[1]
def test_a_session_from_before_is_not_resumed(
    world: World, attack: Attack, version: V, transport: str
) -> None:
    stage, first = begun(world, attack, version, transport)
    assert first.client.session.has_ticket
    attack.strike(stage)
    second = meet(transport, stage.server, stage.client, stage.name, first.client.session)
    if attack.refused:
        assert_refused(attack, second)
        if attack.victim == "server" and transport == "sockets":
            assert "alert" in str(second.client.error)
    else:
        assert (second.server.error, second.client.error) == (None, None)
        assert not second.resumed


@TABLE
@WAYS[0]
def test_without_the_attack_it_is(world: World, attack: Attack, version: V) -> None:
    stage, first = begun(world, attack, version, "sockets")
    second = meet("sockets", stage.server, stage.client, stage.name, first.client.session)
    assert second.resumed
    for side in ("server", "client"):
        assert getattr(second, side).peer == getattr(first, side).peer
        assert getattr(second, side).path == getattr(first, side).path


@TABLE
@WAYS[0]
def test_without_a_session_the_same_is_refused(world: World, attack: Attack, version: V) -> None:
    stage, _ = begun(world, attack, version, "sockets")
    attack.strike(stage)
    stage.client.minimum_version = stage.client.maximum_version = version
    met = meet("sockets", stage.server, stage.client, stage.name)
    assert (getattr(met, attack.victim).error is not None) is attack.refused


def test_the_documentation_is_the_table() -> None:
    assert Path("docs/resumption.md").read_text() == as_markdown()
