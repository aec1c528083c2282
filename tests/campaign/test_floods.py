"""Floods: each is ended at its bound, over blocking sockets; test_campaign.py has the loop's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from campaign.floods import wrong
from campaign.floods.attacker import Files
from campaign.floods.kinds import FLOODS, KIB, Flood
from campaign.floods.measuring import Victim, certificates, measure, victim

MOST = 1200 * KIB


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[Files, Victim]]:
    with certificates() as files, victim(files, "veritls", "blocking") as made:
        yield files, made


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.label)
def test_a_flood_is_ended_at_its_bound_unless_it_is_data(flood: Flood, target: tuple[Files, Victim]) -> None:
    seen = measure(*target, flood, 64 * KIB if flood.error is None else MOST, seconds=10)
    assert wrong(flood, seen) is None
