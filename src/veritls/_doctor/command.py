"""The command: its arguments, what it prints, its exit status."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from typing import Any

from veritls._doctor.findings import BREAKS, MAY, NOTE, Finding
from veritls._doctor.looking import TooMuch, look
from veritls._doctor.reading import Program, Unreadable, programs
from veritls._doctor.rules import RULES

_DESCRIPTION = """\
Reads Python programs, and says which of what they do with ssl differs with
veritls. They are neither imported nor run.
"""

_EPILOG = """\
breaks  raises with veritls where ssl does not, or passes veritls by
may     depends on the peer, on data, or on code that was not followed
note    works; is to be known

exit status: 0 nothing breaks, 1 something breaks, 2 something could not be read
or 141 what reads the output has closed it
"""


class _ListRules(argparse.Action):
    """``--rules``: prints the rules, and ends the program."""

    def __call__(self, *_: Any) -> None:
        for name, finds in RULES.items():
            print(f"{name:<18}{finds}")
        raise SystemExit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="veritls doctor",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "program",
        nargs="+",
        help="a file, a folder, the name of an installed package, or - for standard input",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-notes", action="store_true", help="leave out what is only to be known")
    parser.add_argument("--rules", nargs=0, action=_ListRules, help="print what is looked for")
    return parser


@dataclasses.dataclass
class Examination:
    """What was found in all programs."""

    files: int
    findings: list[Finding]
    unreadable: list[Unreadable]


def examine(arguments: list[str]) -> Examination:
    """Looks at files, folders and packages. Raises nothing: what cannot be read is in the result."""
    files, found, unreadable, injected = 0, list[Finding](), list[Unreadable](), False
    for each in programs(arguments):
        if isinstance(each, Program):
            try:
                findings, injects = look(each)
            except RecursionError:
                each = Unreadable(each.path, "nested too deeply")
            except TooMuch:
                each = Unreadable(each.path, "more is set in it than is tried")
            else:
                files, injected = files + 1, injected or injects
                found += findings
        if isinstance(each, Unreadable):
            unreadable.append(each)
    if injected:
        found = [each for each in found if each.rule != "own-context"]
    return Examination(files, found, unreadable)


def doctor(arguments: list[str]) -> None:
    """``veritls doctor``. `arguments`: those after the command's name.

    Raises SystemExit: 0 where nothing breaks, 1 where something does, 2 where something could not be read or
    the arguments are wrong.
    """
    options = _parser().parse_args(arguments)
    result = examine(options.program)
    if options.no_notes:
        result.findings = [each for each in result.findings if each.severity != NOTE]
    if options.json:
        print(json.dumps(dataclasses.asdict(result), indent=2))
    else:
        _print(result)
    if result.unreadable:
        raise SystemExit(2)
    raise SystemExit(1 if any(each.severity == BREAKS for each in result.findings) else 0)


def _print(result: Examination) -> None:
    for each in result.findings:
        where = f"{each.file}:{each.line}:{each.column}"
        print(_plain(f"{where}: {each.severity}: {each.what} [{each.rule}]"))
        print(_plain(f"    do: {each.do}"))
    for one in result.unreadable:
        print(_plain(f"{one.path}: cannot be read: {one.why}"), file=sys.stderr)
    counts = Counter(each.severity for each in result.findings)
    told = [f"{counts[BREAKS]} breaks", f"{counts[MAY]} may", f"{counts[NOTE]} to be known"]
    read = f"{result.files} file{'s' if result.files != 1 else ''} read"
    print(f"{read}: " + (", ".join(told) if result.findings else "nothing found"))


def _plain(text: str) -> str:
    """One line that a terminal shows as it is: names and texts of programs may contain anything."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
