"""Handshakes in several threads of one process, both ends in each thread, in memory."""

from __future__ import annotations

from bench.contestants import RUSTLS
from bench.harness import Case, Entrant
from bench.measurements.plan import LINEAR, Measurement, Plan

ONE, TWO = "1 thread", "2 threads"
_COUNTS = {ONE: 1, TWO: 2, "4 threads": 4}
_NAMES = ("ssl", "veritls", "rtls", "utls", "pyOpenSSL", RUSTLS)


def _cases(plan: Plan) -> list[Case]:
    cases = []
    for name in plan.wanted(_NAMES):
        entrants = []
        for label, count in _COUNTS.items():
            job = {"do": "threads", "recipe": plan.certificates.recipe().fields(), "threads": count}
            entrants.append(Entrant(label, name, job, alone=True))
        cases.append(Case(name, entrants, baseline=ONE, tags={"contestant": name}))
    return cases


THREADS = Measurement(
    "threads",
    "Handshakes in threads: in memory, both ends in each thread, P-256, TLS 1.3",
    "handshakes/s",
    _cases,
    order=LINEAR,
    expected="in proportion to the threads, up to the number of cores",
)
