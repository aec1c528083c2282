"""HTTP clients that make their own contexts: a client made and used once against a local server."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.harness import Case, Entrant
from bench.measurements.contexts import AGAIN, FIRST, certifi_file
from bench.measurements.plan import Measurement, Plan
from bench.user_programs import LAUNCHER, LIBRARIES, Program, using_a_library

PROCESS = "whole process"
"""From the start of the interpreter to its end, imports included."""
WHEN = {
    PROCESS: "first of a process, with its start and imports",
    FIRST: "first of a process, without imports",
    AGAIN: "again",
}
_NAMES = ("ssl", "veritls")
_PROCESSES = {PROCESS: 3, FIRST: 3, AGAIN: 1}
_USES, _USES_QUICK = 10, 3


def _environment(plan: Plan, cafile: str) -> dict[str, str]:
    """certifi's trust anchors and the server's CA, in the variables that the libraries know."""
    bundle = plan.certificates.folder / "certifi-and-ca.pem"
    if not bundle.exists():
        content = Path(cafile).read_bytes() + Path(plan.certificates.recipe().ca).read_bytes()
        bundle.write_bytes(content)
    return {"SSL_CERT_FILE": str(bundle), "REQUESTS_CA_BUNDLE": str(bundle)}


def _missing(library: str) -> str | None:
    for needed in (library, "certifi"):
        if find_spec(needed) is None:
            return f"{needed} is not installed"
    return None


def _cases(plan: Plan) -> list[Case]:
    cafile = certifi_file()
    environment = _environment(plan, cafile) if cafile else {}
    recipe = plan.certificates.recipe().fields()
    cases = []
    for library in LIBRARIES:
        for when, words in WHEN.items():
            uses = 1 if when != AGAIN else _USES_QUICK if plan.quick else _USES
            job: dict[str, Any] = {
                "count": 1 if plan.quick else _PROCESSES[when],
                "measure": "process" if when == PROCESS else when,
                "what": "wall",
                "recipe": recipe,
                "arguments": [uses],
                "requests": uses,
                "environment": environment,
            }
            entrants: list[Entrant] = [
                Program(name, LAUNCHER, job | {"program": using_a_library(library, name)})
                for name in plan.wanted(_NAMES)
            ]
            case = Case(f"{library}: {words}", entrants, tags={"library": library, "when": when})
            if why := _missing(library):
                case.absent = {each.label: why for each in entrants}
            cases.append(case)
    return cases


LIBRARY_USES = Measurement(
    "libraries",
    "HTTP clients made and used once: `httpx.Client()`, `requests.get`, `aiohttp.ClientSession()`",
    "ms",
    _cases,
    more_is_better=False,
    notes=(
        "veritls is there by `veritls.inject()`, before the library is imported.",
        "SSL_CERT_FILE and REQUESTS_CA_BUNDLE name certifi's certificates with the server's CA added.",
        "aiohttp makes its contexts when it is imported: only its whole process has one in it.",
    ),
)
