"""The pictures: SVG files in docs/bench/, drawn from the results."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.promises import PROMISES, Results
from bench.results import Record, ratio, values

_COLOURS = {
    "ssl": "#7f7f7f",
    "veritls": "#1f6fb4",
    "veritls.aio.EventLoop": "#1f6fb4",
    "veritls.aio.UvloopEventLoop": "#1f6fb4",
    "rustls": "#b5532a",
    "TCP": "#bbbbbb",
    "TCP, asyncio": "#bbbbbb",
    "TCP, uvloop": "#bbbbbb",
    "rtls": "#c99a2e",
    "utls": "#5b9a57",
    "pyOpenSSL": "#8b6bb1",
}
_OTHERS = ("#c99a2e", "#5b9a57", "#8b6bb1", "#d0807a", "#6aa6a6", "#9c9c5a")


def _colour(label: str, place: int) -> str:
    return _COLOURS.get(label, _OTHERS[place % len(_OTHERS)])


def _labels(record: Record) -> list[str]:
    found: dict[str, None] = {}
    for case in record["cases"]:
        found |= dict.fromkeys(case["entrants"])
    return list(found)


def finish(figure: Any, axes: Any, title: str, path: Path) -> None:
    axes.set_title(title.replace("`", ""), fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _bars(pyplot: Any, record: Record, path: Path) -> None:
    """A group of bars for each case, their height the ratio to the baseline, with the spread."""
    cases, labels = record["cases"], _labels(record)
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.19 * len(labels) * len(cases)))
    height = 0.8 / len(labels)
    for place, label in enumerate(labels):
        for row, case in enumerate(cases):
            measured = ratio(case, label)
            if measured is None:
                continue
            errors = [[measured.median - measured.least], [measured.greatest - measured.median]]
            axes.barh(
                row + (place + 0.5) * height - 0.4,
                measured.median,
                height * 0.9,
                xerr=errors,
                color=_colour(label, place),
                ecolor="#444444",
                error_kw={"elinewidth": 0.6},
                label=label if row == min(_rows_of(cases, label)) else None,
            )
    axes.axvline(1, color="#444444", linewidth=0.8)
    axes.set_yticks(range(len(cases)), [case["label"] for case in cases], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{record['unit']}, as a ratio to {cases[0]['baseline']}", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    finish(figure, axes, record["title"], path)
    pyplot.close(figure)


def _rows_of(cases: list[Record], label: str) -> list[int]:
    return [row for row, case in enumerate(cases) if values(case, label)]


def _curve(pyplot: Any, record: Record, path: Path) -> None:
    """A line for each entrant over what grows, both axes logarithmic, with the expected course dotted."""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for place, label in enumerate(_labels(record)):
        points = [(case["x"], values(case, label)) for case in record["cases"] if values(case, label)]
        xs = [x for x, _ in points]
        medians = [statistics.median(figures) for _, figures in points]
        colour = _colour(label, place)
        axes.plot(xs, medians, marker="o", markersize=3, color=colour, label=label)
        low, high = ([edge(figures) for _, figures in points] for edge in (min, max))
        axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
        if record["order"] == "constant" and len(xs) > 1:
            axes.plot(xs, [medians[0]] * len(xs), ":", color=colour, linewidth=0.8)
    spread = max(case["x"] for case in record["cases"]) > 20
    if spread:
        axes.set_xscale("log")
    if record["unit"] == "MB/s":
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{record['x']}; expected: {record['expected']}".replace("`", ""), fontsize=8)
    axes.set_ylabel(record["unit"], fontsize=8)
    axes.legend(fontsize=7, frameon=False)
    finish(figure, axes, record["title"], path)
    pyplot.close(figure)


def _overview(pyplot: Any, results: Results, path: Path) -> None:
    """Every promised ratio: what was wanted as a mark, what was measured as a point with its spread."""
    ratios = [promise for promise in PROMISES if promise.is_ratio]
    found = [(promise, each[0].ratio) for promise in ratios if (each := list(promise.found(results)))]
    figure, axes = pyplot.subplots(figsize=(8, 1 + 0.27 * len(found)))
    for row, (promise, measured) in enumerate(found):
        reached = promise.holds(measured)
        axes.plot([measured.least, measured.greatest], [row, row], color="#1f6fb4", linewidth=1.2)
        axes.plot(measured.median, row, "o", color="#1f6fb4" if reached else "#b5532a", markersize=5)
        axes.plot(promise.bound, row, "|", color="#444444", markersize=12)
    axes.set_yticks(range(len(found)), [promise.words.replace("`", "") for promise, _ in found], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="#bbbbbb", linewidth=0.8)
    axes.set_xlim(left=0)
    axes.set_xlabel("ratio; the bar is what was wanted", fontsize=8)
    finish(figure, axes, "veritls beside ssl: wanted and measured", path)
    pyplot.close(figure)


PICTURES: dict[str, Callable[[Any, Record, Path], None]] = {
    "cold-start": _bars,
    "cold-memory": _bars,
    "contexts": _bars,
    "libraries": _bars,
    "handshakes": _bars,
    "bulk": _bars,
    "roundtrips": _bars,
    "sizes": _curve,
    "loop-connections": _bars,
    "loop-bulk": _bars,
    "loop-roundtrips": _bars,
    "first-request": _bars,
    "tails": _bars,
    "servers-bill": _bars,
    "memory": _curve,
    "idle-thousands": _bars,
    "threads": _bars,
    "chain": _curve,
    "anchors": _curve,
    "hosts": _curve,
    "revocation": _curve,
    "checks": _bars,
}
"""How each measurement is drawn; the picture is NAME.svg."""


def draw(results: Results, folder: Path) -> None:
    """All pictures of what was measured. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    # Without this every drawing of the same figures would be another file.
    matplotlib.rcParams["svg.hashsalt"] = "veritls"
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    for name, record in results.items():
        PICTURES[name](pyplot, record, folder / f"{name}.svg")
    _overview(pyplot, results, folder / "overview.svg")
