"""The disagreements that have a reason, and docs/limbo.md, which shows them with the counts."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.limbo.corpus import ROOT, Case
from tests.limbo.runner import Outcome, run

EXPECTED = Path(__file__).with_name("expected.toml")
DOCUMENT = ROOT / "docs" / "limbo.md"


@dataclass(frozen=True)
class Both:
    """One case's outcomes: with VERIFY_X509_STRICT and without."""

    strict: Outcome
    plain: Outcome

    @property
    def case(self) -> Case:
        return self.strict.case

    @property
    def only_the_flag_refuses(self) -> bool:
        return self.plain.accepted is True and self.strict.accepted is False


def run_all(cases: Iterable[Case]) -> list[Both]:
    """Every case, with the flag and without."""
    return [Both(run(case, strict=True), run(case, strict=False)) for case in cases]


def reasons() -> dict[str, str]:
    """The cases that may disagree, each with why."""
    table = tomllib.loads(EXPECTED.read_text())
    return {**table["refused"], **table["accepted"]}


def _wrongly(outcome: Outcome) -> str:
    return "accepted" if outcome.accepted else "refused" if outcome.accepted is False else "not asked"


def problems(results: list[Both]) -> list[str]:
    """What is not as expected.toml says, in words."""
    table = tomllib.loads(EXPECTED.read_text())
    found = []
    for both in results:
        name, listed = both.case.id, {kind for kind, ids in table.items() if both.case.id in ids}
        is_now = set() if both.strict.agrees else {_wrongly(both.strict)}
        if is_now != listed:
            found.append(f"{name}: disagrees by {is_now or 'nothing'}, the table says {listed or 'nothing'}")
        explained = both.only_the_flag_refuses or name in reasons()
        if not both.plain.agrees and not explained:
            found.append(f"{name}: without the flag {_wrongly(both.plain)}: {both.plain.why}")
    return found


def _agreeing(outcomes: Iterable[Outcome]) -> str:
    whole = list(outcomes)
    return f"{sum(outcome.agrees for outcome in whole)} of {len(whole)}"


def _groups(results: list[Both]) -> dict[str, list[Both]]:
    return {
        "servers, not marked pedantic, CRL or denial-of-service": [b for b in results if b.case.is_common],
        "pedantic": [b for b in results if any(f.startswith("pedantic") for f in b.case.features)],
        "denial-of-service": [b for b in results if "denial-of-service" in b.case.features],
        "CRL": [b for b in results if "has-crl" in b.case.features],
        "clients": [b for b in results if b.case.purpose == "client"],
        "all": results,
    }


def document(results: list[Both]) -> str:
    """docs/limbo.md."""
    lines = [
        "# The conformance corpus x509-limbo",
        "",
        "[x509-limbo](https://x509-limbo.com) (C2SP, Apache-2.0) is a corpus of certificate chains with the",
        "result that a validator should reach. `python -m tests.limbo FILE` runs any limbo.json through",
        "`SSLContext.verify_chain`; `--write` makes this page of it. Each certificate of a case's trust set",
        "is an anchor (VERIFY_X509_PARTIAL_CHAIN); a depth limit is applied to the path that was found.",
        "",
        f"## {len(results)} cases: how many agree",
        "",
        "| cases | with VERIFY_X509_STRICT | without |",
        "| --- | --- | --- |",
    ]
    for name, group in _groups(results).items():
        strict, plain = _agreeing(b.strict for b in group), _agreeing(b.plain for b in group)
        lines.append(f"| {name} | {strict} | {plain} |")
    lines += [
        "",
        "## Where they disagree with VERIFY_X509_STRICT, and why",
        "",
        "| case | here | reason |",
        "| --- | --- | --- |",
    ]
    why = reasons()
    for both in results:
        if not both.strict.agrees:
            lines.append(f"| {both.case.id} | {_wrongly(both.strict)} | {why.get(both.case.id, '')} |")
    lines += [
        "",
        "## Accepted without the flag, against the corpus",
        "",
        "Nothing of it is wrong in signature, validity, path length, name constraint, purpose or name: what",
        "refuses it is one of the flag's own checks, here in OpenSSL's words.",
        "",
        "| case | what the flag finds |",
        "| --- | --- |",
    ]
    for both in results:
        if both.plain.accepted and not both.case.succeeds and both.only_the_flag_refuses:
            lines.append(f"| {both.case.id} | {both.strict.why} |")
    return "\n".join(lines) + "\n"
