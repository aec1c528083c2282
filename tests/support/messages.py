"""The messages in a module's code: each string of words, as a pattern of the text that users see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_WORDS = re.compile(r"[A-Za-z*]+[,:;.]? +\S|\S +[A-Za-z]+")
"""What tells a message from a key: letters, and a space between words."""
_NO_MESSAGE = {"compile", "getLogger", "TypeVar"}
"""Calls whose strings no user sees."""


def _pattern(node: ast.Constant | ast.JoinedStr) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [str(each.value) if isinstance(each, ast.Constant) else None for each in parts]
    # A "{}" is filled in by str.format.
    quoted = (".*" if each is None else re.escape(each).replace(r"\{\}", ".*") for each in texts)
    return "".join(quoted)


def _literal(node: ast.Constant | ast.JoinedStr) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(each.value) if isinstance(each, ast.Constant) else "x" for each in parts)


def _strings(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # documentation
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in _NO_MESSAGE:
        return
    if isinstance(node, ast.JoinedStr):
        yield node
        for each in node.values:
            if isinstance(each, ast.FormattedValue):
                yield from _strings(each.value)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
        return
    # The keys of a table are codes.
    for child in node.values if isinstance(node, ast.Dict) else ast.iter_child_nodes(node):
        yield from _strings(child)


def messages(file: Path) -> dict[str, int]:
    """The pattern of each message of a module, with its line."""
    found: dict[str, int] = {}
    for node in _strings(ast.parse(file.read_text())):
        if _WORDS.search(_literal(node)):
            found.setdefault(_pattern(node), node.lineno)
    return found


def raised(file: Path) -> dict[str, int]:
    """The same of the exceptions that a module raises, by whatever name the text went before."""
    tree = ast.parse(file.read_text())
    named: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            named.setdefault(node.targets[0].id, []).append(node.value)
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
            continue
        for given in node.exc.args:
            for each in [given, *named.get(given.id, [])] if isinstance(given, ast.Name) else [given]:
                for text in _strings(each):
                    if _WORDS.search(_literal(text)):
                        found.setdefault(_pattern(text), text.lineno)
    return found
