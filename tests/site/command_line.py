"""The page of the command line: what each command says of itself with `--help`."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from unittest import mock

from veritls.cli import main

TERMINAL = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}


def _help(*command: str) -> str:
    out = io.StringIO()
    with mock.patch.dict(os.environ, TERMINAL), contextlib.redirect_stdout(out):
        try:
            main([*command, "--help"])
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"veritls {' '.join(command)} --help ended with {end.code}") from None
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n")).strip("\n")


def commands(said: str) -> list[str]:
    """The names of the commands that the program's help lists."""
    return re.findall(r"^  ([a-z][a-z-]*)  ", said.partition("\nCommands:\n")[2], re.M)


def blocks() -> Iterator[str]:
    """The page's blocks of Markdown. Raises RuntimeError where a command, or every one, has no help."""
    program = _help()
    listed = commands(program)
    if not listed:
        raise RuntimeError("veritls --help lists no commands")
    yield f"```text\n{program}\n```"
    for name in listed:
        yield f"## veritls {name}\n\n```text\n{_help(name)}\n```"
