"""A walk over a program in the order in which it binds its names; function bodies come last."""

from __future__ import annotations

import ast
import ssl
from collections import deque
from collections.abc import Callable, Iterable

from veritls._doctor.constants import UNKNOWN
from veritls._doctor.names import TLS, Caught, Constant, Kind, Member, Module, Scope, argument

_CATCH_ALL = {"Exception", "BaseException"}


class Walker:
    """Follows names; a subclass looks at what stands there, by the methods below."""

    def __init__(self) -> None:
        self.scope = Scope()
        self.caught: tuple[frozenset[str], ...] = ()
        """What the ``try`` statements around catch, by name."""
        self.guarded = False
        """Whether the place is only reached where the program found a name or version to be there."""
        self._later: deque[Callable[[], None]] = deque()

    def walk(self, tree: ast.Module) -> None:
        self._body(tree.body)
        while self._later:
            self._later.popleft()()

    def on_import(self, node: ast.stmt, module: str, names: list[str]) -> None:
        """``import module`` (no names), or ``from module import names``."""

    def on_name(self, node: ast.expr, member: Member) -> None:
        """A name of `ssl`."""

    def on_call(self, node: ast.Call) -> None:
        """Any call."""

    def on_set(
        self, node: ast.stmt, target: ast.Attribute, value: ast.expr, operation: ast.operator | None
    ) -> None:
        """Any assignment to an attribute. `operation`: that of ``|=`` and the like."""

    def on_compare(self, node: ast.Compare) -> None:
        """Any comparison."""

    def _body(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node)
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        elif isinstance(node, ast.Assign):
            self._expression(node.value)
            for target in node.targets:
                self._assign(node, target, node.value, None)
        elif isinstance(node, ast.AnnAssign):
            self._annotated(node)
        elif isinstance(node, ast.AugAssign):
            self._expression(node.value)
            self._assign(node, node.target, node.value, node.op)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                self._expression(item.context_expr)
                if item.optional_vars is not None:
                    self.scope.bind(item.optional_vars, self.scope.kind(item.context_expr))
            self._body(node.body)
        elif isinstance(node, ast.Try | ast.TryStar):
            self._try(node)
        elif isinstance(node, ast.If):
            self._if(node)
        else:
            self._other(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                self.scope.names[alias.asname or first] = Module(alias.name if alias.asname else first)
                self.on_import(node, alias.name, [])
            return
        module = node.module or ""
        if node.level:  # of the program's own package
            for alias in node.names:
                self.scope.names[alias.asname or alias.name] = None
            return
        for alias in node.names:
            self.scope.names[alias.asname or alias.name] = Member(module, alias.name)
            if module in TLS and alias.name != "*":
                self.on_name(ast.copy_location(ast.Name(alias.name), node), Member(module, alias.name))
        self.on_import(node, module, [alias.name for alias in node.names])

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        arguments = node.args
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            self._expression(default)
        scope = Scope(self.scope)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        for each in (*every, *filter(None, (arguments.vararg, arguments.kwarg))):
            scope.names[each.arg] = self.scope.declared(each.annotation)
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                self._expression(decorator)
            self.scope.names[node.name] = None
            body: list[ast.stmt] = node.body
        else:
            body = [ast.copy_location(ast.Expr(node.body), node)]
        # A function may run outside the `try` in which it is made, but not where its guard does not hold.
        self._after(body, scope, self.guarded)

    def _after(self, body: list[ast.stmt], scope: Scope, guarded: bool) -> None:
        def visit() -> None:
            self.scope, self.caught, self.guarded = scope, (), guarded
            self._body(body)

        self._later.append(visit)

    def _class(self, node: ast.ClassDef) -> None:
        for each in (*node.bases, *(keyword.value for keyword in node.keywords), *node.decorator_list):
            self._expression(each)
        self.scope.names[node.name] = None
        around = self.scope
        self.scope = Scope(around)
        # Methods do not see the names of their class.
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                inside, self.scope = self.scope, around
                shadowed = around.names.get(statement.name)
                present = statement.name in around.names
                self._function(statement)
                if present:
                    around.names[statement.name] = shadowed
                else:
                    del around.names[statement.name]
                self.scope = inside
            else:
                self._statement(statement)
        self.scope = around

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._expression(node.value)
            self._assign(node, node.target, node.value, None)
        elif isinstance(node.target, ast.Name):
            self.scope.names[node.target.id] = self.scope.declared(node.annotation)

    def _assign(
        self, node: ast.stmt, target: ast.expr, value: ast.expr, operation: ast.operator | None
    ) -> None:
        if isinstance(target, ast.Attribute):
            self._expression(target.value)
            self.on_set(node, target, value, operation)
            if operation is None:
                self.scope.bind(target, self.scope.kind(value))
        elif isinstance(target, ast.Subscript):
            self._expression(target)
        elif operation is None:
            self.scope.bind(target, self.scope.kind(value) or self._constant(value))
        else:
            self.scope.bind(target, None)

    def _constant(self, node: ast.expr) -> Kind | None:
        """A member of an enum and the like, as the constant that it is."""
        value = self.scope.constant(node)
        return None if value is UNKNOWN else Constant(value)

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        names = frozenset(name for handler in node.handlers for name in _caught_by(handler))
        before = self.caught
        self.caught = (*before, names)
        self._body(node.body)
        self.caught = before
        for handler in node.handlers:
            if handler.type is not None:
                self._expression(handler.type)
            if handler.name is not None:
                self.scope.names[handler.name] = Caught() if self._of_tls(handler.type) else None
            self._body(handler.body)
        self._body(node.orelse)
        self._body(node.finalbody)

    def _of_tls(self, node: ast.expr | None) -> bool:
        """Whether what a handler names are errors of `ssl`, and nothing else."""
        if isinstance(node, ast.Tuple):
            return bool(node.elts) and all(map(self._of_tls, node.elts))
        kind = self.scope.kind(node)
        value = getattr(ssl, kind.name, None) if isinstance(kind, Member) and kind.of_tls else None
        return isinstance(value, type) and issubclass(value, ssl.SSLError)

    def _if(self, node: ast.If) -> None:
        self._expression(node.test)
        before = self.guarded
        self.guarded = before or _looks_first(node.test)
        self._body(node.body)
        self._body(node.orelse)
        self.guarded = before

    def _other(self, node: ast.stmt) -> None:
        """Loops, matches and the rest: their expressions, then their statements."""
        if isinstance(node, ast.For | ast.AsyncFor):
            self._expression(node.iter)
            self.scope.bind(node.target, None)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child)
            elif isinstance(child, ast.match_case):
                self._body(child.body)
            elif isinstance(child, ast.expr):
                self._expression(child)

    def _expression(self, node: ast.expr) -> None:
        if isinstance(node, ast.Lambda):
            self._function(node)
            return
        if isinstance(node, ast.Call):
            self.on_call(node)
        elif isinstance(node, ast.Compare):
            self.on_compare(node)
        elif isinstance(node, ast.NamedExpr):
            self.scope.bind(node.target, self.scope.kind(node.value))
        elif isinstance(node, ast.Attribute):
            kind = self.scope.kind(node)
            if isinstance(kind, Member) and kind.of_tls and "." not in kind.name:
                self.on_name(node, kind)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._expression(child)
            elif isinstance(child, ast.keyword):
                self._expression(child.value)
            elif isinstance(child, ast.comprehension):
                self.scope.bind(child.target, None)
                for each in (child.iter, *child.ifs):
                    self._expression(each)


def _caught_by(handler: ast.ExceptHandler) -> list[str]:
    if handler.type is None:
        return ["Exception"]
    several = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = (each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in several)
    return ["Exception" if name in _CATCH_ALL else name for name in names]


def _looks_first(test: ast.expr) -> bool:
    """Whether a condition asks what there is: ``hasattr(ssl, …)``, ``ssl.HAS_…``, ``sys.version_info``."""
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("hasattr", "getattr") and argument(node, 1, "name") is not None:
                return True
        elif isinstance(node, ast.Attribute) and (
            node.attr in ("version_info", "OPENSSL_VERSION_INFO", "OPENSSL_VERSION_NUMBER")
            or node.attr.startswith("HAS_")
        ):
            return True
    return False
