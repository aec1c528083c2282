"""python -m tests.bogo [PATTERNS] [--transport KIND] [--write]: runs BoGo; 1: a reason is missing."""

from __future__ import annotations

import argparse

from tests.bogo.runner import run
from tests.bogo.table import DOCUMENT, Report, document
from tests.bogo.transports import TRANSPORTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bogo", description=__doc__)
    parser.add_argument("patterns", nargs="?", default="", help="names of tests, * in them, separated by ;")
    parser.add_argument("--transport", choices=TRANSPORTS, help="one of them; all by default")
    parser.add_argument("--write", action="store_true", help=f"write docs/{DOCUMENT.name}")
    arguments = parser.parse_args()
    if arguments.write and (arguments.patterns or arguments.transport):
        parser.error("the page is about all tests")
    reports, found = {}, []
    for transport in [arguments.transport] if arguments.transport else TRANSPORTS:
        results = run(arguments.patterns, transport=transport)
        report = reports[transport] = Report(results, whole=not arguments.patterns and transport == "socket")
        passed, failed, unimplemented = report.counts()
        print(f"{transport}: {passed} passed, {failed} failed, {unimplemented} unimplemented")
        found += [f"{transport}: {problem}" for problem in report.problems()]
    print(*found, sep="\n")
    if arguments.write and not found:
        DOCUMENT.write_text(document(reports))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
