"""What was found in a program."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

Severity = Literal["breaks", "may", "note"]

BREAKS: Severity = "breaks"
"""Raises with veritls where `ssl` does not, or passes veritls by."""
MAY: Severity = "may"
"""May fail or do something else, depending on the peer, on data, or on code that was not followed."""
NOTE: Severity = "note"
"""Works; is to be known."""


@dataclass(frozen=True)
class Finding:
    """One place of a program. `column` counts from 1, as `line` does."""

    file: str
    line: int
    column: int
    rule: str
    severity: Severity
    what: str
    do: str


_LONGEST = 70


def shown(node: ast.AST) -> str:
    """A piece of a program in one short line."""
    try:
        text = ast.unparse(node).replace("\n", " ")
    except ValueError:  # a number with more digits than Python prints, a backslash in an f-string
        return "this"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
