"""A report's tree for a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from veritls._report.tree import Node

_STYLES = {"passed": "green", "failed": "bold red", "not checked": "dim"}
_VERDICT = 12
NARROW = 60
"""Columns below which a table has no room: each row is a sentence of its own."""


def add_below(parent: Tree, node: Node) -> None:
    """Adds what stands below `node`, with the results of checks in their colours."""
    for each in node.below:
        line: RenderableType = Text(each.text)
        if each.verdict:
            line = Table.grid()
            line.add_column(width=_VERDICT)
            line.add_column(overflow="fold")
            line.add_row(Text(each.verdict, style=_STYLES[each.verdict]), Text(each.text))
        add_below(parent.add(line), each)
