"""What a context with a trust set costs: the first of a process, and those after it."""

from __future__ import annotations

import importlib

from bench.harness import Case, Entrant
from bench.measurements.cold_start import reads_the_systems_trust
from bench.measurements.plan import Measurement, Plan
from bench.user_programs import LAUNCHER, Program, making_contexts

SYSTEM, CERTIFI = "create_default_context()", "create_default_context(cafile=certifi.where())"
FIRST, AGAIN = "first", "again"
_NAMES = ("ssl", "veritls", "rtls", "utls")
_PROCESSES, _USES = 3, 10


def certifi_file() -> str | None:
    """certifi's file of trust anchors; None where certifi is not installed."""
    try:
        found: str = importlib.import_module("certifi").where()
    except ImportError:
        return None
    return found


def _cases(plan: Plan) -> list[Case]:
    cases = []
    for kind, cafile in ((SYSTEM, None), (CERTIFI, certifi_file())):
        for when in (FIRST, AGAIN):
            entrants: list[Entrant] = []
            for name in plan.wanted(_NAMES):
                job = {
                    "count": 1 if plan.quick else _PROCESSES,
                    "arguments": [1 if when == FIRST else 3 if plan.quick else _USES],
                    "program": making_contexts(name, cafile),
                    "measure": when,
                    "what": "wall",
                }
                entrants.append(Program(name, LAUNCHER, job))
                if kind == SYSTEM:
                    entrants[-1].qualify = reads_the_systems_trust
            case = Case(f"{kind}: {when}", entrants, tags={"kind": kind, "when": when})
            if kind == CERTIFI and cafile is None:
                case.absent = {each.label: "certifi is not installed" for each in entrants}
            cases.append(case)
    return cases


CONTEXTS = Measurement(
    "contexts",
    "Contexts with a trust set: the first of a process, and again",
    "ms",
    _cases,
    more_is_better=False,
    notes=(
        "By the clock of the process itself, after its imports. Again: the median of all but the first.",
        "The system's trust is that of this machine, without SSL_CERT_FILE and SSL_CERT_DIR.",
    ),
)
