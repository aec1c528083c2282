"""The mutants of a Python file, made on its syntax tree. Line numbers stay those of the source.

The tools that exist start a pytest for each mutant, which costs more here than the tests that a mutant needs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from campaign.mutants.mutant import Mutant, numbered, one_line

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass
class _Site:
    """A place and what can be done to it; `apply` changes the tree that it was found in."""

    line: int
    function: str
    outermost: str
    at_import: bool
    change: str
    apply: Callable[[], None]


def _sites(tree: ast.Module) -> Iterator[_Site]:
    yield from _Finder().block(tree, "body")


class _Finder:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.functions: list[str] = []
        self.booleans: list[bool] = []

    def _site(self, node: ast.AST, before: str, after: str, apply: Callable[[], None]) -> _Site:
        return _Site(
            line=getattr(node, "lineno", 1),
            function=".".join(self.names),
            outermost=self.functions[0] if self.functions else "",
            at_import=not self.functions,
            change=f"{one_line(before)} -> {one_line(after)}",
            apply=apply,
        )

    def _swap(
        self, owner: ast.AST, field: str, index: int | None, new: ast.expr | ast.stmt
    ) -> Callable[[], None]:
        def apply() -> None:
            old = getattr(owner, field) if index is None else getattr(owner, field)[index]
            ast.copy_location(new, old)
            ast.fix_missing_locations(new)
            if index is None:
                setattr(owner, field, new)
            else:
                getattr(owner, field)[index] = new

        return apply

    def block(self, owner: ast.AST, field: str) -> Iterator[_Site]:
        for index, statement in enumerate(getattr(owner, field)):
            yield from self.statement(owner, field, index, statement)

    def statement(self, owner: ast.AST, field: str, index: int, node: ast.stmt) -> Iterator[_Site]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._function(node)
                return
            case ast.ClassDef():
                self.names.append(node.name)
                yield from self.block(node, "body")
                self.names.pop()
                return
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Global() | ast.Nonlocal():
                return
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return
            case ast.Expr(value=ast.Constant()):
                return
            case ast.Raise():
                yield self._drop(owner, field, index, node)
            case ast.Expr(value=ast.Call() | ast.Await()):
                yield self._drop(owner, field, index, node)
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign() | ast.Delete():
                yield self._drop(owner, field, index, node)
            case ast.Return(value=ast.expr() as value) if not (
                isinstance(value, ast.Constant) and value.value in (None, True, False)
            ):
                values: tuple[bool | None, ...] = (
                    (True, False) if self.booleans and self.booleans[-1] else (None,)
                )
                for each in values:
                    new = ast.Return(ast.Constant(each))
                    yield self._site(
                        node, ast.unparse(node), f"return {each}", self._swap(owner, field, index, new)
                    )
            case ast.Break():
                yield self._site(node, "break", "continue", self._swap(owner, field, index, ast.Continue()))
            case ast.Continue():
                yield self._site(node, "continue", "break", self._swap(owner, field, index, ast.Break()))
        if isinstance(node, ast.If | ast.While):
            yield from self._condition(node, "test", None, node.test, loop=isinstance(node, ast.While))
        yield from self._children(node)

    def _drop(self, owner: ast.AST, field: str, index: int, node: ast.stmt) -> _Site:
        return self._site(node, ast.unparse(node), "pass", self._swap(owner, field, index, ast.Pass()))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[_Site]:
        if any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list):
            return
        self.names.append(node.name)
        yield from self._fields(node.args, "defaults")
        yield from self._fields(node.args, "kw_defaults")
        yield from self._fields(node, "decorator_list")
        self.functions.append(".".join(self.names))
        self.booleans.append(isinstance(node.returns, ast.Name) and node.returns.id == "bool")
        yield from self.block(node, "body")
        self.booleans.pop()
        self.functions.pop()
        self.names.pop()

    def _condition(
        self, owner: ast.AST, field: str, index: int | None, node: ast.expr, loop: bool = False
    ) -> Iterator[_Site]:
        for value in (False,) if loop else (True, False):
            new = ast.Constant(value)
            yield self._site(
                node, f"if {ast.unparse(node)}", f"if {value}", self._swap(owner, field, index, new)
            )

    def _children(self, node: ast.AST) -> Iterator[_Site]:
        for field in node._fields:
            if field not in ("annotation", "returns", "type_params"):
                yield from self._fields(node, field)

    def _fields(self, owner: ast.AST, field: str) -> Iterator[_Site]:
        value = getattr(owner, field)
        if isinstance(value, list):
            for index, each in enumerate(value):
                yield from self._one(owner, field, index, each)
        else:
            yield from self._one(owner, field, None, value)

    def _one(self, owner: ast.AST, field: str, index: int | None, node: object) -> Iterator[_Site]:
        if isinstance(node, ast.stmt):
            assert index is not None
            yield from self.statement(owner, field, index, node)
            return
        if isinstance(node, ast.pattern | ast.JoinedStr) or not isinstance(node, ast.AST):
            return
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "cast", "TypeVar"):
            return
        if isinstance(node, ast.expr):
            yield from self._expression(owner, field, index, node)
        elif isinstance(node, ast.comprehension):
            for place, condition in enumerate(node.ifs):
                yield from self._condition(node, "ifs", place, condition)
        yield from self._children(node)

    def _expression(self, owner: ast.AST, field: str, index: int | None, node: ast.expr) -> Iterator[_Site]:
        new: ast.expr
        if field == "test" and _is_negation(node):
            return
        match node:
            case ast.Compare(left=left, ops=[operator], comparators=comparators):
                new = ast.Compare(left, [_COMPARISONS[type(operator)]()], comparators)
            case ast.BoolOp(op=ast.And(), values=values):
                new = ast.BoolOp(ast.Or(), values)
            case ast.BoolOp(op=ast.Or(), values=values):
                new = ast.BoolOp(ast.And(), values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                new = operand
            case ast.BinOp(left=left, op=operation, right=right) if (
                self.functions and type(operation) in _ARITHMETIC
            ):
                new = ast.BinOp(left, _ARITHMETIC[type(operation)](), right)
            case ast.Constant(value=bool() as flag):
                new = ast.Constant(not flag)
            case ast.Constant(value=int() as number):
                new = ast.Constant(number + 1)
            case ast.IfExp(test=test):
                yield from self._condition(node, "test", None, test)
                return
            case _:
                return
        if isinstance(node, ast.Constant):
            # A bare constant says too little: its surroundings are part of what is changed.
            around = (
                ast.unparse(owner)
                if isinstance(owner, ast.expr | ast.keyword | ast.stmt)
                else ast.unparse(node)
            )
            yield self._site(
                node,
                f"{ast.unparse(node)} in {one_line(around, 60)}",
                ast.unparse(new),
                self._swap(owner, field, index, new),
            )
        else:
            yield self._site(node, ast.unparse(node), ast.unparse(new), self._swap(owner, field, index, new))


def _is_negation(test: ast.expr) -> bool:
    """Whether its change would only turn it round: `if True` and `if False` ask for more."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return not isinstance(test.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
    return isinstance(test, ast.UnaryOp)


def mutants_of(root: Path, file: str) -> list[Mutant]:
    """The mutants of a file, in the order of its source."""
    tree = ast.parse((root / file).read_text())
    return numbered(
        Mutant(file, each.function, each.change, 0, each.line, number, each.at_import)
        for number, each in enumerate(_sites(tree))
    )


def mutated(source: str, number: int) -> tuple[ast.Module, str]:
    """The tree with one mutant in it, and the qualified name of the outermost function around it."""
    tree = ast.parse(source)
    site = list(_sites(tree))[number]
    site.apply()
    return tree, site.outermost
