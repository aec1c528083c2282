"""The values of expressions that a program's text tells, evaluated within bounds; nothing of it is run."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

UNKNOWN = object()
"""The value of what the text does not tell."""

LONGEST = 10_000
"""Characters or items of a value."""

_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}


def value(node: ast.expr, of_name: Callable[[ast.expr], object], depth: int = 50) -> object:
    """The value of a constant, of flags, texts and lists of them. `of_name` gives that of a name."""
    if depth <= 0:
        return UNKNOWN
    if isinstance(node, ast.Constant):
        return (
            node.value if not isinstance(node.value, str | bytes) or len(node.value) <= LONGEST else UNKNOWN
        )
    if isinstance(node, ast.Name | ast.Attribute):
        return of_name(node)
    if isinstance(node, ast.List | ast.Tuple):
        items = [value(each, of_name, depth - 1) for each in node.elts[: LONGEST + 1]]
        return UNKNOWN if UNKNOWN in items or len(items) > LONGEST else items
    if isinstance(node, ast.UnaryOp):
        operand = value(node.operand, of_name, depth - 1)
        if isinstance(node.op, ast.Invert) and isinstance(operand, int):
            return ~operand
        return not operand if isinstance(node.op, ast.Not) and operand is not UNKNOWN else UNKNOWN
    if isinstance(node, ast.BinOp):
        return binary(node.op, value(node.left, of_name, depth - 1), value(node.right, of_name, depth - 1))
    if isinstance(node, ast.Call):
        joined = _joined(node, of_name, depth - 1)
        return of_name(node) if joined is UNKNOWN else joined  # getattr(ssl, "CERT_NONE")
    return UNKNOWN


def binary(operation: ast.operator, left: object, right: object) -> object:
    """Flags combined, texts put together."""
    if isinstance(left, int) and isinstance(right, int) and type(operation) in _OPERATIONS:
        return _OPERATIONS[type(operation)](left, right)
    if isinstance(operation, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return left + right if len(left) + len(right) <= LONGEST else UNKNOWN
    return UNKNOWN


def _joined(node: ast.Call, of_name: Callable[[ast.expr], object], depth: int) -> object:
    """``":".join([...])``, as lists of cipher suites are written."""
    function = node.func
    if not (isinstance(function, ast.Attribute) and function.attr == "join" and len(node.args) == 1):
        return UNKNOWN
    between = value(function.value, of_name, depth)
    items = value(node.args[0], of_name, depth)
    if not (isinstance(between, str) and isinstance(items, list)):
        return UNKNOWN
    texts = [each for each in items if isinstance(each, str)]
    length = sum(map(len, texts)) + len(between) * len(texts)
    return between.join(texts) if len(texts) == len(items) and length <= LONGEST else UNKNOWN
