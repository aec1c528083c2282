"""``python -m veritls run program args…``: runs a Python program with veritls in the place of `ssl`."""

from __future__ import annotations

import multiprocessing
import multiprocessing.spawn
import os
import runpy
import shutil
import sys
from collections.abc import Callable
from typing import Any

from veritls._compat.injection import inject

USAGE = "usage: veritls run (program | -m module) [arguments …]"


class _InjectWhenUnpickled:
    """A child process unpickles it first, before it imports the program, and injects there too."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _inject_everywhere, ()


def _inject_everywhere() -> None:
    """Injects, here and in every fresh interpreter that `multiprocessing` starts from here."""
    inject()
    # Else a fork server imports the program before veritls is injected there.
    multiprocessing.set_forkserver_preload([])
    prepare = multiprocessing.spawn.get_preparation_data

    def prepare_injected(name: str) -> dict[str, Any]:
        return {"veritls": _InjectWhenUnpickled(), **prepare(name)}

    multiprocessing.spawn.get_preparation_data = prepare_injected


def run(arguments: list[str]) -> None:
    """Runs a script, a command of this environment by its name, or ``-m module``, as ``python`` would.

    `arguments`: the program, then its own arguments. Processes that it starts with `multiprocessing` are
    injected too; commands that it runs are not. Raises SystemExit: 0 after ``--help``, 2 with a message on
    stderr for wrong usage or a program that does not exist; and whatever the program raises.
    """
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(USAGE, file=sys.stdout if "-h" in arguments or "--help" in arguments else sys.stderr)
        raise SystemExit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, os.getcwd())
        _inject_everywhere()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    program = arguments[0] if os.path.exists(arguments[0]) else shutil.which(arguments[0])
    if program is None:
        print(
            f"veritls run: no file and no command on PATH is named {arguments[0]!r};"
            " give the path of a script, a command, or -m MODULE",
            file=sys.stderr,
        )

        raise SystemExit(2)
    sys.argv = [program, *arguments[1:]]
    sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
    _inject_everywhere()
    runpy.run_path(program, run_name="__main__")
