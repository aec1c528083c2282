"""Which test reaches what: recorded once, kept in the scratch folder."""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
from bisect import bisect_left, bisect_right
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
    order: dict[str, int]
    """Test -> its rank, where those that differ most from one another come first."""

    def chosen(self, file: str, place: int, about: str, tests: Iterable[str], seconds: float) -> list[str]:
        """As many tests as fit, the most promising first.

        Of the tests that take the same way near the place the fastest few, and the rarest way first: a test
        that goes on where others turn back was written for that. Then those named like the file, `about`.
        Then as the tests differ most from one another.
        """
        near: dict[tuple[int, ...], list[str]] = {}
        for test in sorted(tests, key=lambda each: self.seconds[each]):
            places = self.by_test.get((test, file), [])
            way = places[bisect_left(places, place - NEAR) : bisect_right(places, place + NEAR)]
            near.setdefault(tuple(way), []).append(test)
        ranked = []
        for same in near.values():
            for turn, test in enumerate(same):
                group = 0 if turn < FEW else 1 if about in test else 2
                ranked.append(
                    (group, len(same) if turn < FEW else self.order[test], self.seconds[test], test)
                )
        # A busy machine makes some look slow: none counts for more than LONGEST, the first ENOUGH for none.
        ordered = sorted(ranked)
        fitting = _fitting(((min(took, LONGEST), test) for _, _, took, test in ordered[ENOUGH:]), seconds)
        return [*(test for *_, test in ordered[:ENOUGH]), *fitting]


FEW = 3
ENOUGH = 30
LONGEST = 0.3
ROUNDS = 3


def _fitting(ranked: Iterable[tuple[float, str]], seconds: float) -> Iterator[str]:
    for took, test in ranked:
        if took <= seconds:
            seconds -= took
            yield test


def _differing(reached: dict[str, int], seconds: dict[str, float]) -> dict[str, int]:
    """The tests in an order in which each adds the most that those before it do not reach, for its time.

    `reached`: test -> places as bits. Where all is covered, it begins anew with those that are left; after
    some rounds the fastest come first.
    """
    order: dict[str, int] = {}
    left = set(reached)
    for _ in range(ROUNDS):
        covered = 0
        heap = [(-reached[test].bit_count() / (0.02 + seconds[test]), test) for test in left]
        heapq.heapify(heap)
        while heap:
            _, test = heapq.heappop(heap)
            gain = -(reached[test] & ~covered).bit_count() / (0.02 + seconds[test])
            if heap and gain > heap[0][0] and gain < 0:
                heapq.heappush(heap, (gain, test))
            elif gain < 0 or not covered:
                covered |= reached[test] or 1
                order[test] = len(order)
                left.remove(test)
    for test in sorted(left, key=lambda each: seconds[each]):
        order[test] = len(order)
    return order


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
    reach = Reach({}, {}, {}, {})
    target = copies.scratch() / f"reach-{of}.jsonl"
    rows = {row["test"]: row for row in (*_rows(target), *_rows(target.with_suffix(".new")))}
    bits: dict[str, int] = {}
    offsets: dict[str, int] = {}
    for test, row in rows.items():
        if not row["passed"]:
            continue
        reach.seconds[test] = row["seconds"]
        bits[test] = 0
        for file, places in ({"": row["reached"]} if of == "rust" else row["reached"]).items():
            offset = offsets.setdefault(file, 4096 * len(offsets))
            reach.by_test[test, file] = places
            bits[test] |= sum(1 << (offset + each) for each in places)
            for each in places:
                reach.by_place.setdefault((file, each), []).append(test)
    reach.order.update(_differing(bits, reach.seconds))
    return reach
