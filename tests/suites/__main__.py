"""`python -m tests.suites [NAME ...] [--write]`: libraries' own tests with veritls in place of `ssl`."""

from __future__ import annotations

import argparse
import time

from tests.suites.libraries import LIBRARIES
from tests.suites.page import write
from tests.suites.runner import Comparison, compare
from tests.suites.table import problems


def summary(comparison: Comparison, seconds: float) -> str:
    """One line of numbers, and one for each thing that is not as expected."""
    name, counted = comparison.library.name, comparison.counted()
    neither = ", ".join(sorted(comparison.not_with_ssl()))
    lines = [f"{name}: {comparison.passed()} of {len(counted)} that pass with ssl; {seconds:.0f} s"]
    lines += [f"  fails with ssl here: {neither}"] if neither else []
    return "\n".join([*lines, *(f"  {problem}" for problem in problems(comparison))])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.suites", description=__doc__)
    parser.add_argument("libraries", nargs="*", metavar="NAME", help=", ".join(LIBRARIES))
    parser.add_argument("--write", action="store_true", help="write docs/suites.md from expected.toml")
    arguments = parser.parse_args()
    unknown = set(arguments.libraries) - set(LIBRARIES)
    if unknown:
        parser.error(f"no library {', '.join(sorted(unknown))}: there are {', '.join(LIBRARIES)}")
    failed = False
    for name in arguments.libraries or LIBRARIES:
        began = time.monotonic()
        comparison = compare(LIBRARIES[name])
        print(summary(comparison, time.monotonic() - began), flush=True)
        failed = failed or any(problems(comparison))
    if arguments.write:
        write()
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
