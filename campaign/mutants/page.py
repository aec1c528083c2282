"""Writes docs/mutants.md."""

from __future__ import annotations

from collections import Counter

from campaign.mutants import copies, verdicts
from campaign.mutants.mutant import Mutant
from campaign.mutants.results import Results

PAGE = copies.ROOT / "docs/mutants.md"
COLUMNS = ("made", "tried", "killed", "equivalent", "surviving")


def write(results: Results, python: list[Mutant], rust: list[Mutant]) -> None:
    """The page from what is known."""
    parts = [
        HEAD,
        *_language("Python", python, results),
        *_language("The engine", rust, results),
        *_reasons(),
    ]
    parts += _others([*python, *rust], results)
    PAGE.write_text("\n".join(parts) + "\n")


HEAD = """# Mutants

Written by `python -m campaign mutants --write`; do not edit. A mutant is one small change of a line that
decides. It is killed where a test fails that reaches the line. Of each file, a run tries all mutants or as
many as it draws with the seed 13. Equivalent are the survivors of which `campaign/mutants/verdicts.toml` says
why nobody could tell them from the original. A mutant that no test reaches counts as surviving. The
engine's constants, patterns and what is inside its macros are left out.
"""


def _language(title: str, mutants: list[Mutant], results: Results) -> list[str]:
    named = verdicts.load()
    rows: dict[str, Counter[str]] = {}
    for each in mutants:
        row = rows.setdefault(each.file, Counter())
        row["made"] += 1
        known = results.of(each)
        if known is None:
            continue
        row["tried"] += 1
        said = named.get(each.name)
        if known["verdict"] == "killed":
            row["killed"] += 1
        elif said is not None and said.equivalent:
            row["equivalent"] += 1
        else:
            row["surviving"] += 1
    total = sum(rows.values(), Counter())
    answered = total["killed"] + total["equivalent"]
    share = f"{100 * answered / total['tried']:.1f} %" if total["tried"] else "none"
    lines = [f"## {title}", "", f"Of {total['tried']} tried, {share} are killed or equivalent.", ""]
    lines += [f"| file | {' | '.join(COLUMNS)} |", f"| --- |{' ---: |' * len(COLUMNS)}"]
    for file, row in (*rows.items(), ("all", total)):
        lines.append(f"| {file} | {' | '.join(str(row[each]) for each in COLUMNS)} |")
    return [*lines, ""]


def _reasons() -> list[str]:
    grouped: dict[verdicts.Verdict, list[str]] = {}
    for name, verdict in verdicts.load().items():
        grouped.setdefault(verdict, []).append(name)
    lines = ["## Survivors that were looked at", ""]
    for verdict, names in sorted(grouped.items(), key=lambda item: not item[0].equivalent):
        lines.append(
            f"- {'Equivalent' if verdict.equivalent else 'Survives'} ({len(names)}): {verdict.reason}"
        )
    return lines


def _others(mutants: list[Mutant], results: Results) -> list[str]:
    named = verdicts.load()
    left = [
        each.name
        for each in mutants
        if (known := results.of(each)) is not None and known["verdict"] != "killed" and each.name not in named
    ]
    lines = ["", "## Survivors that were not looked at", ""]
    lines += [
        "Each says that a test is missing, that the tests chosen were too few, or nothing.",
        "",
        "```text",
    ]
    return [*lines, *left, "```"]
