"""Tables: of a measurement in a terminal, and docs/bench.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from bench import plots, quoted
from bench.measurements import ALL
from bench.measurements.idle_thousands import GIVEN_BACK
from bench.measurements.tails import P999
from bench.promises import PROMISES, Results
from bench.results import Ratio, Record, ratio, values
from bench.tables import number, table

_PAGE = Path("docs") / "bench.md"
_PICTURES = Path("docs") / "bench"


def _labels(record: Record) -> list[str]:
    """The entrants of all cases, in the order of their turns."""
    found: dict[str, None] = {}
    for case in record["cases"]:
        found |= dict.fromkeys(case["entrants"])
    return list(found)


def _cell(case: Record, label: str) -> str:
    figures = values(case, label)
    if not figures:
        return ""
    median = number(statistics.median(figures))
    measured = ratio(case, label) if label != case["baseline"] else None
    return f"{median}, x{measured}" if measured else median


def text(record: Record) -> str:
    """For a terminal: a block for each case, a line for each entrant."""
    lines = []
    for case in record["cases"]:
        lines.append(f"  {case['label']} ({record['unit']})")
        cells = {label: _cell(case, label) for label in case["entrants"]}
        cells |= {label: f"left out: {why}" for label, why in case["absent"].items()}
        width = max(30, 2 + max(map(len, cells), default=0))
        lines += [f"    {label:<{width}}{cell}" for label, cell in cells.items()]
    return "\n".join(lines)


def _promise_rows(results: Results) -> Iterator[list[str]]:
    for promise in PROMISES:
        found = list(promise.found(results))
        bound = f"{'at most' if promise.at_most else 'at least'} {promise.bound:g}"
        if not found:
            yield [promise.words, bound, "not measured", "", "", ""]
            continue
        worst = (max if promise.at_most else min)(found, key=lambda each: each.ratio.median)
        held = sum(promise.holds(each.ratio) for each in found)
        reached = "yes" if held == len(found) else f"in {held} of {len(found)}" if held else "no"
        others = f"{worst.ratio.median:.2f}: {worst.label}" if len(found) > 1 else ""
        processor = found[0].processor
        by_processor = f"{processor.median:.2f}" if processor else ""
        yield [promise.words, bound, str(found[0].ratio), reached, others, by_processor]


_PROMISE_HEAD = (
    "ratio",
    "wanted",
    "median (spread)",
    "reached",
    "worst of its cases",
    "by processor time",
)


def promises_text(results: Results) -> str:
    """For a terminal: what was wanted beside what was measured."""
    rows = [_PROMISE_HEAD, *_promise_rows(results)]
    first = 2 + max(len(row[0]) for row in rows)
    return "\n".join(
        f"{row[0]:<{first}}{row[1]:<15}{row[2]:<22}{row[3]:<10}{row[5]:<19}{row[4]}" for row in rows
    )


def _figures(record: Record) -> str:
    """A table of all medians with their ratios; the shorter dimension goes across."""
    labels, cases = _labels(record), record["cases"]
    if len(cases) > 3:
        rows = [[case["label"], *(_cell(case, label) for label in labels)] for case in cases]
        return table([record["unit"], *labels], rows)
    rows = [[label, *(_cell(case, label) for case in cases)] for label in labels]
    return table([record["unit"], *(case["label"] for case in cases)], rows)


def _cost(record: Record, case: Record, label: str) -> float:
    """What one call, handshake or connection costs: seconds, or the unit where less of it is better."""
    median = statistics.median(values(case, label))
    if not record["more_is_better"]:
        return median
    return float(case["x"]) / 1e6 / median if record["unit"] == "MB/s" else 1 / median


def _growth(record: Record) -> str:
    """How much the cost of one grew along the curve, for each entrant that has both ends of it."""
    first, last = record["cases"][0], record["cases"][-1]
    found = [
        f"{label} x{_cost(record, last, label) / _cost(record, first, label):,.2f}"
        for label in _labels(record)
        if values(first, label) and values(last, label)
    ]
    measured = f"from {first['label']} to {last['label']} the cost of one grew {', '.join(found)}"
    return f"Expected: {record['expected']} ({record['order']}). Measured: {measured}."


def _left_out(record: Record) -> Iterator[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for case in record["cases"]:
        for label, why in case["absent"].items():
            reasons.setdefault((label, why), []).append(case["label"])
    for (label, why), where in reasons.items():
        places = "" if len(where) == len(record["cases"]) else f" ({'; '.join(where)})"
        yield f"- Left out: {label}{places}: {why}."


def _suites(record: Record) -> str | None:
    found: dict[str, set[str]] = {}
    for case in record["cases"]:
        for label, entrant in case["entrants"].items():
            if "suite" in entrant:
                found.setdefault(label, set()).update(entrant["suite"].split(", "))
    if not found or len(record["cases"]) > 6:
        return None
    return (
        "Suites: "
        + "; ".join(f"{label} {', '.join(sorted(suites))}" for label, suites in found.items())
        + "."
    )


def _processor_time(record: Record) -> str:
    """Milliseconds of processor a handshake, the client's and the server's."""
    labels = _labels(record)
    rows = []
    for case in record["cases"]:
        row = [case["label"]]
        for label in labels:
            entrant = case["entrants"].get(label, {})
            both = [entrant.get(side) for side in ("cpu_client", "cpu_server")]
            row.append(" + ".join(f"{1000 * each:.2f}" for each in both if each is not None))
        rows.append(row)
    return table(["ms of processor, client + server", *labels], rows)


def _memory_by_side(record: Record) -> str:
    rows = [
        [label, case["label"], f"{entrant['server_kib']:.1f}", f"{entrant['client_kib']:.1f}"]
        for case in record["cases"]
        for label, entrant in case["entrants"].items()
    ]
    return table(["", "", "server's end, KiB", "client's end, KiB"], rows)


def _slowest(record: Record) -> str:
    """The 99th percentile, where the table of figures has the median."""
    labels = _labels(record)
    rows = [
        [
            label,
            *(
                f"{each:.1f}" if (each := case["entrants"].get(label, {}).get("p99")) else ""
                for case in record["cases"]
            ),
        ]
        for label in labels
    ]
    return table([f"p99, {record['unit']}", *(case["label"] for case in record["cases"])], rows)


def _whole_processes(record: Record) -> str:
    """What the processes took that the figures are about, from their start to their end."""
    rows = [
        [
            case["label"],
            label,
            f"{1000 * entrant['process_wall']:.1f}",
            f"{1000 * entrant['process_cpu']:.1f}",
            f"{entrant['process_peak'] / 1024:.1f}",
        ]
        for case in record["cases"]
        for label, entrant in case["entrants"].items()
    ]
    return table(["the whole process", "", "ms", "ms of processor", "peak, MiB"], rows)


def _percentiles(record: Record) -> str:
    rows = []
    for case in record["cases"]:
        for label, entrant in case["entrants"].items():
            p999 = number(statistics.median(entrant[P999]))
            if label != case["baseline"] and (measured := ratio(case, label, key=P999)):
                p999 += f", x{measured}"
            others = [number(entrant[key]) for key in ("p50", "worst", "rate")]
            rows.append([case["label"], label, others[0], p999, *others[1:]])
    return table(["", "", "p50, ms", "p99.9, ms", "the slowest, ms", "round trips/s"], rows)


def _given_back(record: Record) -> str:
    rows = []
    for case in record["cases"]:
        for label in case["entrants"]:
            shares, waits = values(case, label, GIVEN_BACK), values(case, label, "waited")
            rows.append(
                [case["label"], label, str(Ratio.of(shares, [1.0] * len(shares))), f"{max(waits):.1f}"]
            )
    return table(["", "", "memory after all ended, over the first", "after at most, s"], rows)


_MORE = {
    "cold-start": _whole_processes,
    "idle-thousands": _given_back,
    "tails": _percentiles,
    "handshakes": _processor_time,
    "memory": _memory_by_side,
    "first-request": _slowest,
}


def _section(name: str, record: Record) -> Iterator[str]:
    yield f"## {record['title']}"
    load = record["machine"]["load"]
    yield f"`python -m bench --only {name}`: {record['rounds']} rounds, {record['taken']}, load {load}."
    if name in plots.PICTURES:
        yield f"![{record['title']}](bench/{name}.svg)"
    yield _figures(record)
    if record["x"] is not None:
        yield _growth(record)
    if name in _MORE:
        yield _MORE[name](record)
    notes = [f"- {note}" for note in record.get("notes", ())]
    if suites := _suites(record):
        notes.append(f"- {suites}")
    notes += _left_out(record)
    if notes:
        yield "\n".join(notes)


def _machines(results: Results) -> Iterator[str]:
    seen: list[dict[str, str]] = []
    for record in results.values():
        machine = {key: value for key, value in record["machine"].items() if key != "load"}
        if machine not in seen:
            seen.append(machine)
            where = ", ".join(
                name for name, each in results.items() if machine.items() <= each["machine"].items()
            )
            yield table(["taken on", where], list(machine.items()))


_INTRODUCTION = """# The benchmark

`python -m bench` (with the extra `bench`; `--quick` for a glance, `--only NAME` for a part, `--draw` for
this page alone) measures veritls, its rivals and its limits. What is measured runs in two processes over
loopback, both with the same module; the entrants of a case take turns, a fraction of a second each, for
several rounds. Figures are medians of the rounds. A ratio is taken within each round: in `x1.84 (1.53 to
1.95)` stand the median of the ratios to the first entrant, the least and the greatest. "By processor time"
compares what both ends took of the processor, which other work on the machine disturbs less.

Every entrant has its defaults, so suites differ; a table of AES-256-GCM alone is there for bulk. A rival
takes part where it does the work, which is checked at both ends: that a client without a certificate is
refused, that a session is or is not resumed, that version and suite are those wanted. TCP is the
same harness without TLS; rustls is the program in bench/rustls/, without Python. Servers that are programs
of their own (bench/servers.py) all have the same client. Whole processes (bench/user_programs.py) are started
by turns by one small process and have one server, of `ssl`; their compiled modules are cached, and variables
of the environment that change trust, proxies or Python are not passed on. What is not installed is left out
by its name."""


def page(results: Results) -> str:
    """docs/bench.md, its sections in the order of ALL."""
    parts = [
        _INTRODUCTION,
        "## What is wanted, and what is reached",
        table(_PROMISE_HEAD, list(_promise_rows(results))),
        "![Ratios to ssl](bench/overview.svg)",
    ]
    for measurement in ALL:
        if measurement.name in results:
            parts += _section(measurement.name, results[measurement.name])
    parts += ["## Machine and versions", *_machines(results)]
    return "\n\n".join(parts) + "\n"


def write(results: Results, root: Path) -> None:
    """The page, the pictures, and what other pages quote."""
    plots.draw(results, root / _PICTURES)
    (root / _PAGE).write_text(page(results))
    quoted.write(results, root)
