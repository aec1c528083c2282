"""TLS on event loops, with protocols: connections, bulk, round trips."""

from __future__ import annotations

from typing import Any

from bench.harness import Case, Entrant
from bench.loops import LOOPS
from bench.measurements.plan import Measurement, Plan
from bench.measurements.records import BULK_MESSAGE, DOWN, SMALL_MESSAGE, UP

SELECTOR_SSL, UVLOOP_SSL = "ssl, asyncio", "ssl, uvloop"
AT_ONCE = 8
_RARE = ("rtls, asyncio", "utls, asyncio", "veritls, uvloop")


def _entrants(plan: Plan, job: dict[str, Any], **more: Any) -> list[Entrant]:
    job = job | {"recipe": plan.certificates.recipe().fields()}
    names = [name for name in plan.wanted(list(LOOPS)) if not (plan.quick and name in _RARE)]
    return [Entrant(name, name, job, **more) for name in names]


def _connections(plan: Plan) -> list[Case]:
    job = {"do": "loop-connections", "at_once": AT_ONCE}
    return [Case("connections", _entrants(plan, job), SELECTOR_SSL)]


def _bulk(plan: Plan) -> list[Case]:
    cases = []
    for direction in (UP, DOWN):
        job = {"do": "loop-transfer", "size": BULK_MESSAGE, "up": direction == UP}
        entrants = _entrants(plan, job, per_unit=BULK_MESSAGE / 1_000_000, first=10)
        cases.append(Case(direction, entrants, SELECTOR_SSL, tags={"direction": direction}))
    return cases


def _round_trips(plan: Plan) -> list[Case]:
    job = {"do": "loop-echo", "size": SMALL_MESSAGE}
    return [Case("64 bytes", _entrants(plan, job, first=100), SELECTOR_SSL)]


CONNECTIONS = Measurement(
    "loop-connections",
    f"Event loops: connections, {AT_ONCE} at a time, TLS 1.3, P-256",
    "connections/s",
    _connections,
)
BULK = Measurement("loop-bulk", "Event loops: bulk, 256 KiB a write", "MB/s", _bulk)
ROUND_TRIPS = Measurement(
    "loop-roundtrips", "Event loops: 64-byte round trips", "round trips/s", _round_trips
)
