"""The imports of a Python package, read from its syntax trees: nothing is imported to find them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.graph import Arrow, Kind, Tree

_BY_NAME = ("import_module", "__import__")


class _Imports(ast.NodeVisitor):
    """Collects the dotted names that one module imports, each with the place where it does."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.kind: Kind = "module"
        self.found: list[tuple[str, tuple[str, ...], Kind, int]] = []

    def _within(self, kind: Kind, nodes: list[ast.stmt]) -> None:
        outer = self.kind
        self.kind = outer if outer == "function" else kind
        for node in nodes:
            self.visit(node)
        self.kind = outer

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in (*node.decorator_list, node.args):
            self.visit(outside)
        self._within("function", node.body)

    visit_FunctionDef = _function
    visit_AsyncFunctionDef = _function

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        self._within("function", [ast.Expr(node.body)])

    def visit_If(self, node: ast.If) -> None:
        if _names(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)
            return
        self._within("types", node.body)
        for other in node.orelse:
            self.visit(other)

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            self.found.append((name.name, (), self.kind, node.lineno))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = self._absolute(node.level, node.module or "")
        self.found.append((module, tuple(name.name for name in node.names), self.kind, node.lineno))

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        first = node.args[0] if node.args else None
        if _names(node.func) in _BY_NAME and isinstance(first, ast.Constant) and isinstance(first.value, str):
            name = first.value.lstrip(".")
            module = self._absolute(len(first.value) - len(name), name)
            self.found.append((module, (), self.kind, node.lineno))

    def _absolute(self, level: int, name: str) -> str:
        if not level:
            return name
        parts = self.package.split(".")
        return ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])


def _names(node: ast.expr) -> str:
    """The last part of `a.b.c`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _modules(root: Path) -> dict[str, Path]:
    found = {}
    # A stub without a source describes an extension module.
    for path in [*sorted(root.rglob("*.pyi")), *sorted(root.rglob("*.py"))]:
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _resolved(module: str, names: tuple[str, ...], known: dict[str, Path]) -> Iterator[str]:
    for name in names or ("",):
        target = f"{module}.{name}" if name and f"{module}.{name}" in known else module
        while target and target not in known:
            target = target.rpartition(".")[0]
        if target:
            yield target


def read(root: Path) -> Tree:
    """The package in the folder `root`. Modules are named within it: `aio.loop`; the package: `__init__`."""
    known = _modules(root)

    def short(module: str) -> str:
        return module.removeprefix(root.name).removeprefix(".") or "__init__"

    arrows: set[Arrow] = set()
    for module, path in known.items():
        if path.suffix == ".pyi":
            continue
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        imports = _Imports(package)
        imports.visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
        for name, names, kind, line in imports.found:
            for target in _resolved(name, names, known):
                if target != module:
                    arrows.add(Arrow(short(module), short(target), kind, line))
    return Tree(tuple(sorted(short(module) for module in known)), tuple(sorted(arrows)), ".")
