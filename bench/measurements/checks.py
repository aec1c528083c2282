"""What each optional check of a peer costs, beside a handshake without it: the table is bench/checks.py."""

from __future__ import annotations

import ssl

import veritls
from bench.checks import CHECKS as TABLE, CRL_ENTRIES, Check
from bench.harness import Case, Entrant
from bench.measurements.plan import Measurement, Plan

NO_CHECK = "none"
_MODULES = {"veritls": veritls, "ssl": ssl}


def _offered(name: str, check: Check) -> bool:
    module = _MODULES[name]
    return check.needs is None or hasattr(module.SSLContext, check.needs)


def _cases(plan: Plan) -> list[Case]:
    certificates = plan.certificates
    cases = []
    for name in plan.wanted(tuple(_MODULES)):
        job = {"do": "handshakes", "recipe": certificates.recipe().fields()}
        entrants = [Entrant(NO_CHECK, name, job)]
        for check in TABLE:
            if _offered(name, check):
                path = check.file(certificates) if check.file else None
                recipe = certificates.recipe(check=check.name, check_file=path)
                entrants.append(Entrant(check.name, name, {"do": "handshakes", "recipe": recipe.fields()}))
        cases.append(Case(name, entrants, baseline=NO_CHECK, tags={"contestant": name}))
    return cases


CHECKS = Measurement(
    "checks",
    f"Optional checks of the server's certificate (revocation list of {CRL_ENTRIES:,}), P-256, TLS 1.3",
    "handshakes/s",
    _cases,
)
