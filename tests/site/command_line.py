"""The page of the command line: what each command says of itself with `--help`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

COLUMNS = "80"
WITHOUT_TYPER = ("run", "doctor")
"""Commands that need no extra, and that the program's help need not list."""


def _helps(names: list[str], src: Path) -> list[str]:
    """What the commands say, all asked at once; an empty name is the program itself."""
    environment = os.environ | {
        "COLUMNS": COLUMNS,
        "TERMINAL_WIDTH": COLUMNS,
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PYTHONPATH": str(src),
        "PYTHONUTF8": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "veritls", *name.split(), "--help"],
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        for name in names
    ]
    said = [process.communicate(timeout=60)[0] for process in started]
    for name, process in zip(names, started, strict=True):
        if process.returncode:
            raise RuntimeError(f"veritls {name} --help ended with {process.returncode}")
    return ["\n".join(line.rstrip() for line in text.split("\n")).strip("\n") for text in said]


def commands(said: str) -> list[str]:
    """The names of the commands that the program's help lists."""
    return re.findall(r"^  ([a-z][a-z-]*)  ", said.partition("\nCommands:\n")[2], re.M)


def blocks(src: Path) -> list[str]:
    """The page's blocks of Markdown. Raises RuntimeError where a command, or every one, has no help."""
    (program,) = _helps([""], src)
    names = commands(program)
    if not names:
        raise RuntimeError("veritls --help lists no commands")
    names = list(dict.fromkeys([*names, *WITHOUT_TYPER]))
    helps = zip(names, _helps(names, src), strict=True)
    return [
        f"```text\n{program}\n```",
        *(f"## veritls {name}\n\n```text\n{text}\n```" for name, text in helps),
    ]
