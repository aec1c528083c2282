"""What is expected: a floor for each library, and why each test that passes with `ssl` alone does."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.suites.environment import VERSION
from tests.suites.runner import Comparison

EXPECTED = Path(__file__).with_name("expected.toml")


@dataclass(frozen=True)
class Expected:
    """Of one library: how many pass with `ssl` and with veritls, why others do not, which may do either."""

    ssl: int
    floor: int
    reasons: dict[str, str]
    flaky: frozenset[str]


def measured() -> bool:
    """Whether expected.toml stands for the Python that runs."""
    return VERSION in tomllib.loads(EXPECTED.read_text())["floor"]


def expected(library: str) -> Expected:
    """Reads expected.toml. A reason is a string, or a table with `reason` and `flaky`."""
    content: dict[str, Any] = tomllib.loads(EXPECTED.read_text())
    counts = content["floor"].get(VERSION, {}).get(library, {})
    entries = content["reasons"].get(library, {})
    reasons = {test: entry if isinstance(entry, str) else entry["reason"] for test, entry in entries.items()}
    flaky = frozenset(test for test, entry in entries.items() if not isinstance(entry, str))
    return Expected(counts.get("ssl", 0), counts.get("veritls", 0), reasons, flaky)


def problems(comparison: Comparison) -> Iterator[str]:
    """Whatever is not as expected, one sentence each.

    A test of theirs with a timeout of its own can fail with `ssl` on a busy machine: so the first floor is of
    the tests that ran with `ssl`, however they ended, and the second of those that pass with veritls.
    """
    wanted = expected(comparison.library.name)
    missed, counted = comparison.missed(), comparison.counted()
    ran = sum(result.outcome != "skipped" for result in comparison.baseline.values())
    if ran < wanted.ssl:
        yield f"{ran} tests ran with ssl, fewer than the {wanted.ssl} that have passed before"
    passed = sum(result.outcome == "passed" for result in comparison.results.values())
    if passed < wanted.floor - len(wanted.flaky):
        yield f"{passed} tests pass with veritls, fewer than the {wanted.floor} that have passed before"
    for test, result in missed.items():
        if test not in wanted.reasons:
            yield f"{test} {result.outcome}, and expected.toml has no reason why: {result.reason}"
    for test in wanted.reasons:
        if test in counted and test not in missed and test not in wanted.flaky:
            yield f"{test} passes: take it out of expected.toml and raise the floor"
