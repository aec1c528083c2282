"""python -m tests.limbo [FILE] [--write]: runs a limbo.json; exits 1 where an outcome is not explained."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from tests.limbo.corpus import default_file, load
from tests.limbo.table import DOCUMENT, document, problems, run_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.limbo", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=default_file())
    parser.add_argument("--write", action="store_true", help="write docs/limbo.md")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = run_all(load(arguments.file))
    text = document(results)
    if arguments.write:
        DOCUMENT.write_text(text)
    else:
        print(text)
    slowest = max(results, key=lambda both: both.strict.seconds)
    print(f"slowest: {slowest.case.id}, {slowest.strict.seconds:.3f} s")
    found = problems(results)
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
