"""What is expected: a floor for each version and suite, and why each test that fails does."""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cpython.runner import Comparison

EXPECTED = Path(__file__).with_name("expected.toml")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Expected:
    """The floor and the reasons of one suite on the running interpreter's version."""

    floor: int
    reasons: dict[str, str]
    flaky: frozenset[str]


def expected(suite: str) -> Expected:
    """Reads expected.toml.

    A reason is a string, or a table with `reason`, `only` (versions on which the test fails) and `flaky`
    (it may pass or fail).
    """
    content: dict[str, Any] = tomllib.loads(EXPECTED.read_text())
    floor: int = content["floor"].get(VERSION, {}).get(suite, 0)
    reasons: dict[str, str] = {}
    flaky: set[str] = set()
    for test, entry in content["reasons"].get(suite, {}).items():
        fields = {"reason": entry} if isinstance(entry, str) else entry
        if VERSION in fields.get("only", [VERSION]):
            reasons[test] = fields["reason"]
            if fields.get("flaky"):
                flaky.add(test)
    return Expected(floor, reasons, frozenset(flaky))


def problems(comparison: Comparison) -> Iterator[str]:
    """Whatever is not as expected, one sentence each."""
    wanted = expected(comparison.suite.key)
    missed = comparison.missed()
    if comparison.passed() < wanted.floor:
        yield f"{comparison.passed()} tests pass, fewer than the {wanted.floor} that have passed before"
    for test, result in missed.items():
        if result.outcome in ("hang", "crash"):
            yield f"{test}: {result.outcome}: {result.reason}"
        elif test not in wanted.reasons:
            yield f"{test} fails, and expected.toml has no reason why: {result.reason}"
    for test in wanted.reasons:
        if test in comparison.counted() and test not in missed and test not in wanted.flaky:
            yield f"{test} passes: take it out of expected.toml and raise the floor"


def grouped(comparison: Comparison) -> str:
    """The tests that fail, under what they have in common: the error's last line without its numbers."""
    groups: dict[str, list[str]] = defaultdict(list)
    for test, result in comparison.missed().items():
        line = re.sub(r"0x[0-9a-f]+|\d+", "N", result.reason)[:150]
        groups[f"{result.outcome}: {line}"].append(test)
    lines = []
    for cause, tests in sorted(groups.items(), key=lambda item: -len(item[1])):
        lines += [f"\n# {len(tests)}  {cause}", *(f'"{test}" = ""' for test in sorted(tests))]
    return "\n".join(lines)
