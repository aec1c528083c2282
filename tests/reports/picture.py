"""``python -m tests.reports.picture`` draws docs/verification.md anew, from the table of checks."""

from __future__ import annotations

from pathlib import Path

from veritls._report.checks import STEPS, Step

PAGE = Path(__file__).parents[2] / "docs" / "verification.md"
BEGIN, END = "<!-- drawn by python -m tests.reports.picture -->", "<!-- end -->"


_BOXES = {
    "before": "which trust anchors count",
    "path": "for each way up to the trust set, until one is good",
    "path found": "on the path that was found",
}
"""What each stage of the checks is."""


def _node(number: int, step: Step) -> str:
    kind = ":::asked" if step.asked_by is not None else ""
    return f'    c{number}["<b>{step.name}</b><br/>{step.asks}"]{kind}'


def picture() -> str:
    """The flow chart: which anchors count, the search for a path, what is asked of the one found."""
    numbered = list(enumerate(STEPS))
    lines = [
        "```mermaid",
        "flowchart TD",
        "  start([a chain, a purpose, a time, maybe a name]) --> c0",
    ]
    for stage, box in _BOXES.items():
        members = [number for number, step in numbered if step.stage == stage]
        lines += [f'  subgraph s{members[0]}["{box}"]', *(_node(number, STEPS[number]) for number in members)]
        lines += [f"    {' --> '.join(f'c{number}' for number in members)}", "  end"]
    firsts = [number for number, step in numbered[1:] if step.stage != STEPS[number - 1].stage]
    lines += [
        *(f"  c{first - 1} --> c{first}" for first in firsts),
        f"  c{len(STEPS) - 1} --> trusted([trusted, with a report])",
        "  classDef asked stroke-dasharray: 5 5",
        "```",
    ]
    return "\n".join(lines)


def table() -> str:
    """Every check: what it asks, what turns it on, what a failure of it is called."""
    rows = []
    for step in STEPS:
        kinds = ", ".join(f"`{kind}`" for kind in step.kinds)
        rows.append(f"| {step.name} | {step.asks} | {step.switch or 'always'} | {kinds} |")
    return "\n".join(["| check | asks | asked for by | `report.kind` |", "| --- | --- | --- | --- |", *rows])


def drawn(page: str) -> str:
    """The page with the picture and the table as they have to be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    words = "Dashed: only where a setting asks for it. Any failed check ends in a refusal, with a report."
    return f"{before}{BEGIN}\n\n{picture()}\n\n{words}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text("utf-8")), "utf-8")
