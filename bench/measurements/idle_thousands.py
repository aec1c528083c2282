"""Thousands of connections that idle at a server: what each costs, and the memory after they have ended."""

from __future__ import annotations

from bench.harness import Case, Entrant, Pairs
from bench.measurements.memory import beyond_the_limit
from bench.measurements.plan import Measurement, Plan
from bench.measurements.records import SMALL_MESSAGE
from bench.measurements.tails import LOOP, OUR_LOOPS, THREADS, UVLOOP, WAYS
from bench.work import Job

_CONNECTIONS = {LOOP: 10_000, UVLOOP: 10_000, THREADS: 1000}
_QUICK = 200
_CLIENT = "veritls"
GIVEN_BACK = "given_back"
SHARE = 1.2
"""Of the memory before the first connection: what the server may still hold a minute after the last."""
_PATIENCE, _PATIENCE_QUICK = 60.0, 0.1


class _Idle(Entrant):
    """In new processes: what an earlier job left behind must not serve this one."""

    def turn(self, pairs: Pairs, seconds: float) -> Job:
        assert self.server is not None
        key = (self.server, self.contestant)
        pairs.give_up(key)
        try:
            server, _ = pairs.run(self.contestant, self.job, 400, server=self.server)
        finally:
            pairs.give_up(key)
        return {"value": server["each"] / 1024, GIVEN_BACK: server[GIVEN_BACK], "waited": server["waited"]}


def _cases(plan: Plan) -> list[Case]:
    cases = []
    for way, names in WAYS.items():
        number = _QUICK if plan.quick else _CONNECTIONS[way]
        job = {
            "do": "idle-thousands",
            "recipe": plan.certificates.recipe(mutual=True).fields(),
            "size": SMALL_MESSAGE,
            "warm": 20,
            "connections": number,
            "share": SHARE,
            "patience": _PATIENCE_QUICK if plan.quick else _PATIENCE,
        }
        entrants = [
            _Idle(label, _CLIENT, job, server=name) for label, name in names.items() if plan.wanted([name])
        ]
        if entrants:
            case = Case(f"{way}, {number:,} connections", entrants, tags={"way": way})
            case.absent = beyond_the_limit(number, tuple(names))
            cases.append(case)
    return cases


IDLE_THOUSANDS = Measurement(
    "idle-thousands",
    f"Memory of a server's idle connection, mutual TLS 1.3, after {SMALL_MESSAGE} bytes each way",
    "KiB",
    _cases,
    more_is_better=False,
    notes=(
        OUR_LOOPS,
        "Resident memory of the server's process alone. All have the same client, veritls over blocking "
        "sockets. Threads: the server has one for each connection.",
        "After all ended: what the server holds over what it held before the first connection; it has up to "
        f"{_PATIENCE:.0f} seconds to come down to {SHARE:g}.",
    ),
    most_rounds=2,
)
