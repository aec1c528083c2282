"""How long the first response of a connection takes: every server with every client, by TCP_NODELAY."""

from __future__ import annotations

from bench.harness import Case, Entrant, Pairs
from bench.measurements.plan import Measurement, Plan
from bench.recipe import TLS12, TLS13
from bench.work import Job

SERVERS = (
    "ssl",
    "veritls",
    "ssl, asyncio",
    "veritls.aio.EventLoop",
    "veritls, asyncio",
    "ssl, uvloop",
    "veritls.aio.UvloopEventLoop",
)
CLIENTS = ("ssl", "veritls")
WITHOUT_NODELAY = "client without TCP_NODELAY"
_NODELAY: dict[str, list[str]] = {
    WITHOUT_NODELAY: [],
    "client with TCP_NODELAY": ["client"],
    "server with TCP_NODELAY": ["server"],
    "both with TCP_NODELAY": ["client", "server"],
}
_COUNT, _COUNT_QUICK = 25, 2


def pairing(server: str, client: str) -> str:
    return f"{server} <- {client}"


class _First(Entrant):
    """Takes as many connections as the job says: where a timer of TCP fires, time says nothing of work."""

    def turn(self, pairs: Pairs, seconds: float) -> Job:
        _, client = pairs.run(self.contestant, self.job, 60 + 20 * seconds, server=self.job["server"])
        return {"value": client["p50"] * 1000, "p99": client["p99"] * 1000}


def _entrants(plan: Plan, job: Job) -> list[Entrant]:
    return [
        _First(pairing(server, client), client, job | {"server": server})
        for server in plan.wanted(SERVERS)
        for client in plan.wanted(CLIENTS)
    ]


def _cases(plan: Plan) -> list[Case]:
    cases = []
    for version in (TLS13,) if plan.quick else (TLS13, TLS12):
        for kind, resume, greets, mutual in (
            ("full", False, False, False),
            ("resumed", True, False, False),
            ("full, the server speaks first", False, True, False),
            ("full, client certificate required", False, False, True),
        ):
            for words, nodelay in _NODELAY.items():
                job = {
                    "do": "first-request",
                    "recipe": plan.certificates.recipe(version=version, mutual=mutual).fields(),
                    "warm": 2,
                    "count": _COUNT_QUICK if plan.quick else _COUNT,
                    "resume": resume,
                    "greets": greets,
                    "nodelay": nodelay,
                }
                case = Case(f"{version}, {kind}, {words}", _entrants(plan, job), pairing("ssl", "ssl"))
                case.tags = {"version": version, "kind": kind, "nodelay": words}
                cases.append(case)
    return cases


FIRST_REQUEST = Measurement(
    "first-request",
    "From connect to the first response: server <- client, median",
    "ms",
    _cases,
    more_is_better=False,
    most_rounds=3,
)
