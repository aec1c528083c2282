"""docs/campaign.md and its pictures, made of the records of all parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.plots import finish
from bench.tables import table
from campaign.part import Part, Picture, Result
from campaign.parts import PARTS
from campaign.records import FOLDER, Record, load, result_of

PAGE = FOLDER.parent / "campaign.md"

_INTRODUCTION = """# The campaign

`python -m campaign [NAME ...]` runs load, faults and mutants against veritls, where it makes sense beside the
standard `ssl` in the same run: `--minutes N` for each part, `--quick` as the tests in tests/campaign/ do it,
`--write` to keep what was seen (docs/campaign/NAME.json) and to write this page, `--draw` for the page alone.
A part that sees something that is not as promised ends the command with an error."""


def _width(rows: list[tuple[str, ...]], column: int) -> int:
    return max(len(row[column]) for row in rows)


def text(result: Result) -> str:
    """For a terminal."""
    lines: list[str] = []
    for each in result.tables:
        rows = [tuple(row) for row in (each.head, *each.rows)]
        widths = [_width(rows, column) for column in range(len(each.head))]
        lines.append(f"  {each.title}")
        lines += [
            "    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
    lines += [f"  {note}" for note in result.notes]
    lines += [f"  FAILED: {failure}" for failure in result.failures]
    return "\n".join(lines)


def _escaped(cells: Any) -> list[str]:
    return [str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells]


def _section(part: Part, record: Record) -> Iterator[str]:
    result = result_of(record)
    yield f"## {part.title}"
    yield part.promise
    yield (
        f"`{record['command']}`: {_time(record['seconds'])}, {record['taken']}, "
        f"load {record['machine']['load']} at the start."
    )
    for picture in result.pictures:
        yield f"![{picture.title}](campaign/{part.name}-{picture.name}.svg)"
    for each in result.tables:
        yield f"{each.title}:"
        yield table(_escaped(each.head), [_escaped(row) for row in each.rows])
    if result.notes:
        yield "\n".join(f"- {note}" for note in result.notes)
    if result.failures:
        yield "Not as promised:"
        yield "\n".join(f"- {failure}" for failure in result.failures)
    else:
        yield "All as promised."
    if part.findings:
        yield table(["found", "what became of it"], [_escaped((e.what, e.became)) for e in part.findings])


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _machines(records: Mapping[str, Record]) -> Iterator[str]:
    seen: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, record in records.items():
        where = tuple(each for each in record["machine"].items() if each[0] != "load")
        seen.setdefault(where, []).append(name)
    for where, names in seen.items():
        yield table(["ran on", ", ".join(names)], [list(each) for each in where])


def page(records: Mapping[str, Record]) -> str:
    """docs/campaign.md."""
    sections = [_INTRODUCTION]
    for part in PARTS:
        if part.name in records:
            sections += _section(part, records[part.name])
    sections += ["## Machines", *_machines(records)]
    return "\n\n".join(sections) + "\n"


def _draw(pyplot: Any, picture: Picture, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(7, 3.2))
    for name, line in picture.lines.items():
        axes.plot([x for x, _ in line], [y for _, y in line], linewidth=1, label=name)
    axes.set_xlabel(picture.x, fontsize=8)
    axes.set_ylabel(picture.y, fontsize=8)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False)
    finish(figure, axes, picture.title, path)
    pyplot.close(figure)


def draw(records: Mapping[str, Record], folder: Path = FOLDER) -> None:
    """The pictures. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "veritls"
    from matplotlib import pyplot

    for name, record in records.items():
        for picture in result_of(record).pictures:
            _draw(pyplot, picture, folder / f"{name}-{picture.name}.svg")


def write() -> None:
    """The page and the pictures, of all that is kept."""
    records = load()
    draw(records)
    PAGE.write_text(page(records), "utf-8")
