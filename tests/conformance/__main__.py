"""python -m tests.conformance [--only NAME] [--write]: runs the suites; 1: a reason is missing."""

from __future__ import annotations

import argparse

from tests.conformance.page import DOCUMENT, document, parts_of, row
from tests.conformance.suites import SUITES, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--only", choices=SUITES, metavar="NAME", help=f"one of {', '.join(SUITES)}")
    parser.add_argument(
        "--write", action="store_true", help="write docs/conformance.md, or the one suite's part of it"
    )
    arguments = parser.parse_args()
    known = parts_of(DOCUMENT.read_text()) if arguments.only and DOCUMENT.exists() else {}
    names = [arguments.only] if arguments.only else list(SUITES)
    if arguments.write and (missing := SUITES.keys() - known.keys() - {*names}):
        parser.error(f"docs/{DOCUMENT.name} has no {', '.join(sorted(missing))} yet: leave --only out")
    problems = []
    for name in names:
        known[name] = run(name)
        print(row(name, known[name]), flush=True)
        problems += [f"{name}: {problem}" for problem in known[name].problems]
    print(*problems, sep="\n")
    if arguments.write and not problems:
        DOCUMENT.write_text(document(known))
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
