"""Handshakes, one after the other: in full, with a client certificate, resumed."""

from __future__ import annotations

from bench.certificates import KEYS, P256
from bench.contestants import RUSTLS
from bench.harness import Case, Entrant, Failed, Pairs
from bench.measurements.plan import Measurement, Plan
from bench.recipe import TLS12, TLS13

FULL, MUTUAL, RESUMED = "server certificate only", "client certificate required", "resumed"

_NAMES = ("ssl", "veritls", "rtls", "utls", "pyOpenSSL", RUSTLS)
_TLS_ITSELF = ("ssl", RUSTLS)


class _Qualification:
    """Whether contestants do the work, seen from `ssl`'s end, which tells the truth; asked once of each."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Failed | None] = {}

    def __call__(self, pairs: Pairs, entrant: Entrant) -> None:
        recipe = entrant.job["recipe"]
        key = (entrant.contestant, entrant.job["kind"], recipe["version"])
        if key not in self._known:
            try:
                self._ask(pairs, entrant)
                self._known[key] = None
            except Failed as why:
                self._known[key] = why
        if (known := self._known[key]) is not None:
            raise Failed(str(known))

    def _ask(self, pairs: Pairs, entrant: Entrant) -> None:
        name, job = entrant.contestant, entrant.job | {"warm": 3, "count": 1}
        if entrant.job["kind"] == MUTUAL:
            job["recipe"] = job["recipe"] | {"shows_certificate": False}
            try:
                pairs.run(name, job, 30)
            except Failed:
                return
            raise Failed("its server lets in clients without a certificate")
        if name in _TLS_ITSELF:
            return
        pairs.run(name, job, 30, server="ssl")
        if entrant.job["kind"] == RESUMED:
            pairs.run("ssl", job, 30, server=name)


def _cases(plan: Plan) -> list[Case]:
    cases = []
    qualify = _Qualification()
    for kind in (FULL, MUTUAL, RESUMED):
        for key in KEYS if not plan.quick else (P256,):
            for version in (TLS13, TLS12) if not plan.quick else (TLS13,):
                recipe = plan.certificates.recipe(key, version, mutual=kind == MUTUAL)
                job = {
                    "do": "handshakes",
                    "kind": kind,
                    "resume": kind == RESUMED,
                    "recipe": recipe.fields(),
                }
                entrants = [Entrant(name, name, job, qualify=qualify) for name in plan.wanted(_NAMES)]
                if kind == FULL and key == P256 and version == TLS13:
                    entrants += [Entrant(name, name, job) for name in plan.wanted(["TCP"])]
                tags = {"kind": kind, "key": key, "version": version}
                cases.append(Case(f"{kind}, {key}, {version}", entrants, tags=tags))
    return cases


HANDSHAKES = Measurement("handshakes", "Handshakes, one after the other", "handshakes/s", _cases, time=0.8)
