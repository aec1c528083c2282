"""`python -m tests.cpython [suite ...] [--table] [--json FILE]`: how much of CPython's suites passes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import time
from pathlib import Path

from tests.cpython.runner import Comparison, compare
from tests.cpython.suites import SUITES
from tests.cpython.table import grouped


def summary(comparison: Comparison, seconds: float) -> str:
    """One line of numbers."""
    counted = comparison.counted()
    outcomes = [result.outcome for result in counted.values()]
    others = {kind: outcomes.count(kind) for kind in ("failed", "skipped", "hang", "crash")}
    words = ", ".join(f"{count} {kind}" for kind, count in others.items())
    return (
        f"{platform.python_version()} {comparison.suite.key}: {comparison.passed()} of {len(counted)} "
        f"that pass with ssl; {words}; {seconds:.0f} s"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.cpython", description=__doc__)
    parser.add_argument("suites", nargs="*", default=["test_ssl"], metavar="suite", help=", ".join(SUITES))
    parser.add_argument("--table", action="store_true", help="list what fails, by the error's last line")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result with its traceback")
    arguments = parser.parse_args()
    unknown = set(arguments.suites) - set(SUITES)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}: there are {', '.join(SUITES)}")
    everything = {}
    for name in arguments.suites:
        if not SUITES[name].available:
            print(f"{name}: this interpreter does not have it")
            continue
        began = time.monotonic()
        comparison = compare(SUITES[name])
        print(summary(comparison, time.monotonic() - began), flush=True)
        if arguments.table:
            print(grouped(comparison))
        everything[name] = {
            "missed": {test: dataclasses.asdict(result) for test, result in comparison.missed().items()},
            "baseline": {test: result.outcome for test, result in comparison.baseline.items()},
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
