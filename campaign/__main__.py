"""``python -m campaign``: load and faults, for as long as there is time; ``mutants`` is its own command."""

from __future__ import annotations

import argparse
import sys

from campaign import page, records
from campaign.part import QUICK, Scale
from campaign.parts import PARTS, find


def _arguments() -> argparse.Namespace:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="python -m campaign", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"these alone: {', '.join(names)}")
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--minutes", type=float, default=1.0, help="about as long for each part (default: 1)")
    much.add_argument("--quick", action="store_true", help="a few seconds each, as in the tests")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of a part, as its module says",
    )
    parser.add_argument("--write", action="store_true", help="keep what was seen, and write docs/campaign.md")
    parser.add_argument(
        "--draw", action="store_true", help="run nothing: docs/campaign.md and its pictures anew"
    )
    parser.add_argument("--list", action="store_true", help="the parts, a line each")
    options = parser.parse_args()
    for name in options.names:
        if name not in names:
            parser.error(f"there is no part {name!r}; there are {', '.join(names)}")
    for each in options.set:
        if "=" not in each:
            parser.error(f"--set takes NAME=VALUE, not {each!r}")
    if options.minutes <= 0:
        parser.error("--minutes must be more than 0")
    return options


def main() -> int:
    if sys.argv[1:2] == ["mutants"]:
        from campaign.mutants.__main__ import main as mutants  # its libraries are those of the extra `dev`

        return mutants(sys.argv[2:])
    options = _arguments()
    if options.list:
        print("\n".join(f"{part.name:<16}{part.title}" for part in PARTS))
        return 0
    if options.draw:
        page.write()
        return 0
    given = dict(each.split("=", 1) for each in options.set)
    scale = Scale(QUICK.seconds if options.quick else options.minutes * 60, options.quick, given)
    failed = []
    for part in [find(name) for name in options.names] or PARTS:
        print(f"{part.name}: {part.title}", flush=True)
        result, record = records.run(part, scale)
        print(page.text(result), flush=True)
        if result.failures:
            failed.append(part.name)
        if options.write:
            records.save(part.name, record)
    if options.write:
        page.write()
    if failed:
        print(f"Not as promised: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
