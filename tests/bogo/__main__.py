"""python -m tests.bogo [PATTERNS] [--transport KIND] [--write]: runs BoGo; exits 1 where something has no reason."""

from __future__ import annotations

import argparse

from tests.bogo.runner import run
from tests.bogo.table import DOCUMENT, Report
from tests.bogo.transports import TRANSPORTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bogo", description=__doc__)
    parser.add_argument("patterns", nargs="?", default="", help="names of tests, * in them, separated by ;")
    parser.add_argument("--transport", choices=TRANSPORTS, default="socket")
    parser.add_argument("--write", action="store_true", help=f"write docs/{DOCUMENT.name}")
    arguments = parser.parse_args()
    report = Report(run(arguments.patterns, transport=arguments.transport), whole=not arguments.patterns)
    found = report.problems()
    if arguments.write and not found:
        DOCUMENT.write_text(report.document())
    results = report.results
    print(f"{len(results.passed)} passed, {len(results.failed)} failed, ", end="")
    print(f"{len(results.unimplemented)} unimplemented")
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
