"""What a process costs that has just started: its import, and one request over a verified connection."""

from __future__ import annotations

from typing import Any

from bench.harness import Case, Entrant, Pairs
from bench.measurements.plan import Measurement, Plan
from bench.user_programs import BARE, LAUNCHER, Program, counting_trust, importing, requesting

BARE_INTERPRETER = "bare interpreter"
IMPORT, CA_FILE, SYSTEM = "import", "one request, CA file", "one request, the system's trust"
PROCESSOR, WALL = "processor time", "wall time"
_NAMES = ("ssl", "veritls", "rtls", "utls")
_EACH = 5


def reads_the_systems_trust(pairs: Pairs, entrant: Entrant) -> None:
    job = {"do": "processes", "count": 1, "program": counting_trust(entrant.label)}
    pairs.run(entrant.contestant, job, 90, alone=True)


def _entrants(plan: Plan, kind: str, job: dict[str, Any]) -> list[Entrant]:
    recipe = plan.certificates.recipe()
    job = {"count": 1 if plan.quick else _EACH, "measure": "process"} | job
    entrants: list[Entrant] = []
    for name in plan.wanted(_NAMES):
        if kind == IMPORT:
            own: dict[str, Any] = {"program": importing(name)}
        else:
            program = requesting(name, system=kind == SYSTEM)
            own = {"program": program, "arguments": [recipe.ca], "recipe": recipe.fields(), "requests": 1}
        entrants.append(Program(name, LAUNCHER, job | own))
        if kind == SYSTEM:
            entrants[-1].qualify = reads_the_systems_trust
    return entrants


def _cases(plan: Plan) -> list[Case]:
    cases = []
    for words, what in ((PROCESSOR, "cpu"), (WALL, "wall")):
        entrants = _entrants(plan, IMPORT, {"what": what, "beside": BARE})
        label = f"{IMPORT}, {words} above a bare interpreter"
        cases.append(Case(label, entrants, tags={"kind": IMPORT, "what": words}))
    for kind in (CA_FILE, SYSTEM):
        entrants = _entrants(plan, kind, {"what": "wall"})
        cases.append(Case(f"{kind}, {WALL}", entrants, tags={"kind": kind, "what": WALL}))
    return cases


def _memory(plan: Plan) -> list[Case]:
    cases = []
    for kind in (IMPORT, CA_FILE, SYSTEM):
        entrants = _entrants(plan, kind, {"what": "peak", "count": 1})
        if kind == IMPORT:
            job = {"count": 1, "measure": "process", "what": "peak", "program": BARE}
            entrants.append(Program(BARE_INTERPRETER, LAUNCHER, job))
        cases.append(Case(kind, entrants, tags={"kind": kind}))
    return cases


COLD_START = Measurement(
    "cold-start",
    "Whole processes: the import, and one request over a verified connection",
    "ms",
    _cases,
    more_is_better=False,
    notes=(
        "Each bare interpreter runs beside an import, and its median of the turn is taken off.",
        "The system's trust: `create_default_context()`, to which the server's CA is added. A contestant "
        "takes part where `get_ca_certs()` shows the system's certificates at once.",
    ),
)
COLD_MEMORY = Measurement(
    "cold-memory",
    "Peak memory of whole processes",
    "MiB",
    _memory,
    more_is_better=False,
    notes=("ru_maxrss of the process, the interpreter included.",),
    most_rounds=3,
)
