"""Which test reaches what: recorded once, kept in the scratch folder."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from campaign.mutants import copies


@dataclass(frozen=True)
class Reach:
    """What was recorded."""

    seconds: dict[str, float]
    """Test -> how long it took."""
    by_line: dict[tuple[str, int], list[str]]
    """(file, line) -> tests, for Python."""
    by_number: dict[int, list[str]]
    """Number of a mutant of the engine -> tests."""

    def chosen(self, tests: Iterable[str], seconds: float) -> list[str]:
        """As many tests as fit, the fastest of each test file first, then the second of each, and so on."""
        turns: dict[str, int] = {}
        ranked = []
        for test in sorted(tests, key=lambda each: self.seconds[each]):
            file = test.split("::")[0]
            turns[file] = turns.get(file, -1) + 1
            ranked.append((turns[file], self.seconds[test], test))
        return list(_fitting(sorted(ranked), seconds))


def _fitting(ranked: Iterable[tuple[int, float, str]], seconds: float) -> Iterator[str]:
    for _, took, test in ranked:
        if took <= seconds:
            seconds -= took
            yield test


def record(of: str, folder: Path, tests: list[str]) -> None:
    """Runs the tests in a copy and records what each reaches; what other tests reached stays recorded."""
    target = copies.scratch() / f"reach-{of}.jsonl"
    fresh = target.with_suffix(".new")
    command, environment = copies.pytest_command(folder, *tests)
    environment |= {"VERITLS_MUTANTS_RECORD": str(fresh), "VERITLS_MUTANTS_OF": of}
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rows = {row["test"]: row for row in (*_rows(target), *_rows(fresh))}
    target.write_text("".join(f"{json.dumps(row)}\n" for row in rows.values()))
    os.unlink(fresh)


def _rows(file: Path) -> Iterator[dict[str, object]]:
    if file.exists():
        for line in file.read_text().splitlines():
            yield json.loads(line)


def load(of: str) -> Reach:
    """What was recorded, of the tests that pass."""
    reach = Reach({}, {}, {})
    for line in (copies.scratch() / f"reach-{of}.jsonl").read_text().splitlines():
        row = json.loads(line)
        if not row["passed"]:
            continue
        test = row["test"]
        reach.seconds[test] = row["seconds"]
        if of == "rust":
            for number in row["reached"]:
                reach.by_number.setdefault(number, []).append(test)
        else:
            for file, lines in row["reached"].items():
                for each in lines:
                    reach.by_line.setdefault((file, each), []).append(test)
    return reach
