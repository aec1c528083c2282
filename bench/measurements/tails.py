"""The slowest of many round trips: 200 busy connections, on a quiet machine and on a loaded one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from bench.harness import Case, Entrant, Pairs
from bench.measurements.event_loops import SELECTOR_SSL, UVLOOP_SSL
from bench.measurements.plan import Measurement, Plan
from bench.measurements.records import SMALL_MESSAGE
from bench.work import Job

QUIET, LOADED = "quiet", "loaded"
LOOP, UVLOOP, THREADS = "asyncio's selector loop", "uvloop", "threads"
WAYS: dict[str, dict[str, str]] = {
    LOOP: {"ssl": SELECTOR_SSL, "veritls": "veritls.aio.EventLoop"},
    UVLOOP: {"ssl": UVLOOP_SSL, "veritls": "veritls.aio.UvloopEventLoop"},
    THREADS: {"ssl": "ssl", "veritls": "veritls"},
}
"""The contestants of each way to serve, by their labels."""
OUR_LOOPS = "On the loops veritls is veritls.aio.EventLoop and veritls.aio.UvloopEventLoop."
P999 = "p99.9"
_CONNECTIONS, _CONNECTIONS_QUICK = 200, 40
_BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    sum(range(100_000))
"""


@contextlib.contextmanager
def _busy_cores() -> Iterator[None]:
    """A process for each core that takes what it gets."""
    with contextlib.ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", _BUSY]))
            stack.callback(process.kill)
        yield


class _Tail(Entrant):
    """The figure is the 99th percentile, in milliseconds; p99.9 and others beside it."""

    def turn(self, pairs: Pairs, seconds: float) -> Job:
        with _busy_cores() if self.job["loaded"] else contextlib.nullcontext():
            turn = super().turn(pairs, seconds)
        times = {name: 1000 * turn[name] for name in ("p50", P999, "worst")}
        return times | {"value": 1000 * turn["p99"], "rate": turn["value"]}


def _cases(plan: Plan) -> list[Case]:
    cases = []
    for load in (QUIET, LOADED):
        for way, names in WAYS.items():
            job = {
                "do": "tails",
                "recipe": plan.certificates.recipe().fields(),
                "size": SMALL_MESSAGE,
                "connections": _CONNECTIONS_QUICK if plan.quick else _CONNECTIONS,
                "loaded": load == LOADED,
            }
            entrants = [
                _Tail(label, name, job, first=1000) for label, name in names.items() if plan.wanted([name])
            ]
            if entrants:
                cases.append(Case(f"{way}, {load}", entrants, tags={"way": way, "load": load}))
    return cases


TAILS = Measurement(
    "tails",
    f"The slowest of {SMALL_MESSAGE}-byte round trips over {_CONNECTIONS} busy connections: p99",
    "ms",
    _cases,
    more_is_better=False,
    notes=(
        "Percentiles of all round trips of a turn, none left out. Each connection always has one under way.",
        OUR_LOOPS,
        "Loaded: a busy process for each core beside both ends.",
        "Threads: the server has one for each connection; its client asks over all of them from one thread.",
    ),
    most_rounds=5,
    time=6.0,
)
