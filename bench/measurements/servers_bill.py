"""What a server pays: the processor time of its process for a new connection, and for a request."""

from __future__ import annotations

from bench.harness import Case, Entrant, Failed, Pairs
from bench.measurements.handshakes import FULL, MUTUAL
from bench.measurements.plan import Measurement, Plan
from bench.recipe import TLS12, TLS13
from bench.servers import GO, NGINX, UVICORN_PLAIN, UVICORN_SSL, UVICORN_VERITLS, WITHOUT_TLS
from bench.work import Job

NEW, KEPT = "a new connection", "a request on a kept connection"
NAMES = (NGINX, GO, UVICORN_SSL, UVICORN_VERITLS)
_CLIENT, _PLAIN_CLIENT = "veritls", "TCP"
_AT_ONCE = 4
_GROUP = "X25519"
_GROUPS = f"{_GROUP}:secp256r1"
"""With the certificate's curve, without which OpenSSL has no ECDSA in TLS 1.2."""


class _Billed(Entrant):
    """The figure is what the server's process takes, in microseconds of processor."""

    def turn(self, pairs: Pairs, seconds: float) -> Job:
        turn = super().turn(pairs, seconds)
        bill = {"value": 1e6 * turn["cpu_server"]}
        return bill | {"suite": turn["suite"]} if "suite" in turn else bill


def _requires_a_certificate(pairs: Pairs, entrant: Entrant) -> None:
    """Raises Failed where the server answers a client that shows none."""
    job = entrant.job | {"warm": 1, "count": 1}
    job["recipe"] = job["recipe"] | {"shows_certificate": False}
    try:
        pairs.run(entrant.contestant, job, 60, server=entrant.server)
    except Failed:
        return
    raise Failed("lets in clients without a certificate")


def _case(plan: Plan, label: str, names: tuple[str, ...], version: str, kind: str, what: str) -> Case:
    mutual = kind == MUTUAL
    job = {
        "do": "requests",
        "recipe": plan.certificates.recipe(version=version, mutual=mutual).fields(),
        "keeps": what == KEPT,
        "at_once": _AT_ONCE,
        "groups": _GROUPS,
    }
    qualify = _requires_a_certificate if mutual else None
    entrants = [
        _Billed(name, _PLAIN_CLIENT if name in WITHOUT_TLS else _CLIENT, job, server=name, qualify=qualify)
        for name in plan.wanted(names)
    ]
    tags = {"what": what, "kind": kind, "version": version}
    return Case(label, entrants, baseline=names[0], tags=tags)


def _cases(plan: Plan) -> list[Case]:
    cases = []
    for kind in (FULL, MUTUAL):
        for version in (TLS13,) if plan.quick else (TLS13, TLS12):
            cases.append(_case(plan, f"{NEW}, {kind}, {version}", NAMES, version, kind, NEW))
    names = (UVICORN_PLAIN, *NAMES)
    cases.append(_case(plan, f"{KEPT}, {TLS13}", names, TLS13, FULL, KEPT))
    return cases


SERVERS_BILL = Measurement(
    "servers-bill",
    f"The server's processor time, one worker each, {_AT_ONCE} connections at a time, P-256, {_GROUP}",
    "us of the server's processor",
    _cases,
    more_is_better=False,
    notes=(
        "The client is veritls over blocking sockets, the same for all; it resumes nothing and ends each new "
        "connection after one request. In TLS 1.3 Go sends one ticket, the others two.",
        "A client certificate is the same in each connection, as when a client comes again; veritls keeps "
        "successful checks of signatures (decision 0037), the others check each time.",
        "nginx has one worker and its master, Go's net/http runs with GOMAXPROCS=1, uvicorn with httptools "
        "and without an access log.",
    ),
    time=2.0,
)
