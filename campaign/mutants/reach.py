"""Which test reaches what: recorded once, kept in the scratch folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaign.mutants import copies

NEAR = 15
"""Lines, or switches, before and after a mutant that tell one way through a function from another."""


@dataclass(frozen=True)
class Reach:
    """What was recorded: a place is a line of a Python file, or the number of a switch of the engine."""

    seconds: dict[str, float]
    """Test -> how long it took."""
    by_place: dict[tuple[str, int], list[str]]
    """(file, place) -> tests. The engine's numbers are one file, ""."""
    by_test: dict[tuple[str, str], list[int]]
    """(test, file) -> places, in order."""

    def chosen(self, file: str, place: int, about: str, tests: Iterable[str], seconds: float) -> list[str]:
        """As many tests as fit, the most promising first.

        Those are the tests whose names share a word with `about`, where the mutant stands, and of the tests
        that take the same way near the place the fastest few. The rarest way comes first: a test that goes on
        where others turn back was written for that.
        """
        words = {each for each in re.findall("[a-z]{4,}", about.lower()) if each not in _SAY_NOTHING}
        near: dict[tuple[int, ...], list[str]] = {}
        for test in sorted(tests, key=lambda each: self.seconds[each]):
            places = self.by_test.get((test, file), [])
            way = places[bisect_left(places, place - NEAR) : bisect_right(places, place + NEAR)]
            near.setdefault(tuple(way), []).append(test)
        ranked = []
        for same in near.values():
            files: Counter[str] = Counter()
            for turn, test in enumerate(same):
                name = test.split("::")[0]
                named = any(word in test.lower() for word in words)
                # Those first, then one of each test file, then another one of each.
                ranked.append(
                    (0 if turn < FEW or named else 1 + files[name], len(same), self.seconds[test], test)
                )
                files[name] += 1
        return list(_fitting(sorted(ranked), seconds))


FEW = 3
_SAY_NOTHING = {
    "engine",
    "veritls",
    "test",
    "tests",
    "self",
    "with",
    "from",
    "context",
    "connection",
    "verify",
}


def _fitting(ranked: Iterable[tuple[int, int, float, str]], seconds: float) -> Iterator[str]:
    for _, _, took, test in ranked:
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


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        for line in file.read_text().splitlines(keepends=True):
            # The last one may be half written: the recording may still run.
            if line.endswith("\n"):
                yield json.loads(line)


_IMPORT = """
import coverage, json, os
measured = coverage.Coverage(data_file=None, source=[f"{os.getcwd()}/src/veritls"], config_file=False)
measured.start()
import veritls.aio
measured.stop()
data = measured.get_data()
print(json.dumps({os.path.relpath(file): data.lines(file) for file in data.measured_files()}))
"""


def at_import(folder: Path) -> set[tuple[str, int]]:
    """The lines that run when a copy's veritls is imported."""
    _, environment = copies.pytest_command(folder)
    command = [sys.executable, "-c", _IMPORT]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return {(file, line) for file, lines in json.loads(ended.stdout).items() for line in lines}


def load(of: str) -> Reach:
    """What was recorded, of the tests that pass."""
    reach = Reach({}, {}, {})
    target = copies.scratch() / f"reach-{of}.jsonl"
    rows = {row["test"]: row for row in (*_rows(target), *_rows(target.with_suffix(".new")))}
    for test, row in rows.items():
        if not row["passed"]:
            continue
        reach.seconds[test] = row["seconds"]
        for file, places in ({"": row["reached"]} if of == "rust" else row["reached"]).items():
            reach.by_test[test, file] = places
            for each in places:
                reach.by_place.setdefault((file, each), []).append(test)
    return reach
