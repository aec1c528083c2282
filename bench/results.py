"""The figures of a run, as JSON: kept in docs/bench/results.json, merged measurement by measurement."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine
from bench.harness import Case
from bench.measurements.plan import Measurement, Plan

Record = dict[str, Any]

ROUND_BY_ROUND = ("p99.9", "given_back", "waited")
"""Figures beside the main one that are kept for each round, as it is."""


@dataclass(frozen=True)
class Ratio:
    """The median of the ratios of all rounds, and the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.greatest:.2f})"

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
        """None where a side has no figures."""
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=False) if other]
        return cls(statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def _median_of(turns: Sequence[Record], key: str) -> float | None:
    values = [turn[key] for turn in turns if key in turn]
    return statistics.median(values) if values else None


_MEDIANS = (
    *("cpu_client", "cpu_server", "server_kib", "client_kib", "p99", "p50", "worst", "rate"),
    *("process_wall", "process_cpu", "process_peak"),
)
"""What else of a turn is kept, as the median of all rounds."""


def _entrant(turns: Sequence[Record]) -> Record:
    record: Record = {"values": [turn["value"] for turn in turns]}
    if all("cpu_server" in turn for turn in turns):
        record["cpu"] = [turn["cpu_client"] + turn["cpu_server"] for turn in turns]
    elif all("cpu" in turn for turn in turns):
        record["cpu"] = [turn["cpu"] for turn in turns]
    for key in _MEDIANS:
        if (median := _median_of(turns, key)) is not None:
            record[key] = median
    for key in ROUND_BY_ROUND:
        if all(key in turn for turn in turns):
            record[key] = [turn[key] for turn in turns]
    suites = {turn["suite"] for turn in turns if turn.get("suite")}
    if suites:
        record["suite"] = ", ".join(sorted(suites))
    return record


def record(measurement: Measurement, plan: Plan, cases: Sequence[Case], seconds: float) -> Record:
    """What is kept of a measurement that took `seconds`."""
    return {
        "title": measurement.title,
        "unit": measurement.unit,
        "more_is_better": measurement.more_is_better,
        "x": measurement.x,
        "order": measurement.order,
        "expected": measurement.expected,
        "notes": list(measurement.notes),
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "took": round(seconds),
        "rounds": min(plan.rounds, measurement.most_rounds or plan.rounds),
        "seconds": plan.seconds * measurement.time,
        "machine": machine.describe(),
        "cases": [
            {
                "label": case.label,
                "tags": case.tags,
                "x": case.x,
                "baseline": case.baseline,
                "entrants": {label: _entrant(turns) for label, turns in case.turns.items()},
                "absent": case.absent,
            }
            for case in cases
        ],
    }


def load(path: Path) -> dict[str, Record]:
    """The measurements of `path` by their name; none where there is no such file."""
    if not path.exists():
        return {}
    loaded: dict[str, Record] = json.loads(path.read_text())
    return loaded


def save(path: Path, results: dict[str, Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(results), indent=1, ensure_ascii=False) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def find(results: dict[str, Record], name: str, **tags: str) -> Iterator[Record]:
    """The cases of a measurement that have these tags."""
    for case in results.get(name, {}).get("cases", ()):
        if all(case["tags"].get(key) == value for key, value in tags.items()):
            yield case


def values(case: Record, label: str, key: str = "values") -> list[float]:
    """The figures of an entrant, a round each; none where it took no part. `key`: "values", or one of
    ROUND_BY_ROUND."""
    found: list[float] = case["entrants"].get(label, {}).get(key, [])
    return found


def processor_ratio(
    case: Record, label: str, over: str | None = None, *, more_is_better: bool = True
) -> Ratio | None:
    """The same by the processor's time of both ends, which other work on the machine disturbs less."""
    mine, other = (
        case["entrants"].get(each, {}).get("cpu", []) for each in (label, over or case["baseline"])
    )
    return Ratio.of(other, mine) if more_is_better else Ratio.of(mine, other)


def ratio(case: Record, label: str, over: str | None = None, key: str = "values") -> Ratio | None:
    """An entrant's figures over another's, by default the baseline's."""
    return Ratio.of(values(case, label, key), values(case, over or case["baseline"], key))
