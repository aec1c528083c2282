"""What an idle connection costs: the growth of both processes, by the number of connections."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from bench.contestants import RUSTLS
from bench.harness import Case, Entrant, Pairs
from bench.measurements.plan import CONSTANT, Measurement, Plan
from bench.work import Job

NAMES = ("ssl", "veritls", "rtls", "utls", "pyOpenSSL", "TCP", RUSTLS)
USUAL = 1000
_FAR = ("ssl", "veritls", RUSTLS)
_STEPS = (100, USUAL, 10_000)
_STEPS_QUICK = (200,)
_OTHER_FILES = 100


class _Idle(Entrant):
    """Measures once in new processes: what an earlier job left behind must not serve this one."""

    def turn(self, pairs: Pairs, seconds: float) -> Job:
        key = (self.contestant, self.contestant)
        pairs.give_up(key)
        try:
            server, client = pairs.run(self.contestant, self.job, 180)
        finally:
            pairs.give_up(key)
        server_kib, client_kib = server["each"][0] / 1024, client["each"][0] / 1024
        return {
            "value": (server_kib + client_kib) / 2,
            "server_kib": server_kib,
            "client_kib": client_kib,
        }


def beyond_the_limit(connections: int, names: Sequence[str]) -> dict[str, str]:
    """Why none of `names` takes part, where a process may not open so many; else nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or connections + _OTHER_FILES <= most:
        return {}
    return dict.fromkeys(names, f"a process may open only {most} files here")


def _cases(plan: Plan) -> list[Case]:
    recipe = plan.certificates.recipe()
    cases = []
    for step in _STEPS_QUICK if plan.quick else _STEPS:
        names = plan.wanted(_FAR if step > USUAL else NAMES)
        job = {"do": "idle", "recipe": recipe.fields(), "warm": 20, "steps": [step]}
        case = Case(f"{step:,} connections", [_Idle(name, name, job) for name in names], x=step)
        case.absent = beyond_the_limit(step, names)
        cases.append(case)
    return cases


MEMORY = Measurement(
    "memory",
    "Memory of an idle connection's end, after 16 KiB each way",
    "KiB an end",
    _cases,
    more_is_better=False,
    x="connections",
    order=CONSTANT,
    expected="constant for each connection",
    most_rounds=2,
)
