"""``python -m veritls run program args…``: runs a Python program with veritls in the place of `ssl`."""

from __future__ import annotations

import os
import runpy
import shutil
import sys

from veritls.substitution import inject

USAGE = "usage: python -m veritls run (program | -m module) [arguments …]"


def run(arguments: list[str]) -> None:
    """Runs a script, a command of this environment by its name, or ``-m module``, as ``python`` would.

    Exits with 2 and a sentence where there is no such program.
    """
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(USAGE, file=sys.stdout if "-h" in arguments or "--help" in arguments else sys.stderr)
        raise SystemExit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, os.getcwd())
        inject()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    program = arguments[0] if os.path.exists(arguments[0]) else shutil.which(arguments[0])
    if program is None:
        print(f"veritls run: there is no program {arguments[0]!r}", file=sys.stderr)
        raise SystemExit(2)
    sys.argv = [program, *arguments[1:]]
    sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
    inject()
    runpy.run_path(program, run_name="__main__")
