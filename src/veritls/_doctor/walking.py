"""A walk over a program in the order in which it binds its names; function bodies come last."""

from __future__ import annotations

import ast
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterable

from veritls._doctor.constants import UNKNOWN
from veritls._doctor.names import (
    PUBLIC,
    SIDES,
    TLS,
    Caught,
    Constant,
    Context,
    Kind,
    Member,
    Module,
    Scope,
    Subclass,
    argument,
    dotted,
    last_name,
    literal,
)

_CATCH_ALL = {"Exception", "BaseException"}
_EXPECT = ("assertRaises", "assertRaisesRegex", "raises", "suppress")
"""Functions whose ``with`` statement catches what they name: of unittest, pytest and contextlib."""
_MOST_GENERATIONS = 20
"""Subclasses of subclasses that are followed."""
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_TELLS_WHAT_IS_THERE = (
    "CHANNEL_BINDING_TYPES",
    "OPENSSL_VERSION_INFO",
    "OPENSSL_VERSION_NUMBER",
    "version_info",
)


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
        self, node: ast.AST, target: ast.Attribute, value: ast.expr, operation: ast.operator | None
    ) -> None:
        """Any assignment to an attribute. `operation`: that of ``|=`` and the like."""

    def on_compare(self, node: ast.Compare) -> None:
        """Any comparison."""

    def _body(self, body: Iterable[ast.stmt]) -> None:
        before = self.guarded
        for statement in body:
            self._statement(statement)
            if isinstance(statement, ast.If) and _looks_first(statement.test):
                self.guarded |= isinstance(statement.body[-1], _LEAVES)
        self.guarded = before

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
            before = self.caught
            for item in node.items:
                self._expression(item.context_expr)
                if item.optional_vars is not None:
                    self.scope.bind(item.optional_vars, self.scope.kind(item.context_expr))
                self.caught = (*self.caught, _expected_by(item.context_expr))
            self._body(node.body)
            self.caught = before
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
            if alias.name == "*":
                self.scope.names |= {name: Member(module, name) for name in PUBLIC.get(module, ())}
                continue
            self.scope.names[alias.asname or alias.name] = Member(module, alias.name)
            if module in TLS:
                self.on_name(ast.copy_location(ast.Name(alias.name), node), Member(module, alias.name))
        self.on_import(node, module, [alias.name for alias in node.names])

    def _function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, first: Kind | None = None
    ) -> None:
        """`first`: what its first argument is where no annotation says so."""
        arguments = node.args
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            self._expression(default)
        scope = Scope(self.scope)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        for each in (*every, *filter(None, (arguments.vararg, arguments.kwarg))):
            scope.names[each.arg] = self.scope.declared(each.annotation) or (
                first if every and each is every[0] else None
            )
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                self._expression(decorator)
            self.scope.names[node.name] = None
            body: list[ast.stmt] = node.body
        else:
            body = [ast.copy_location(ast.Expr(node.body), node)]
        # A function may run outside the `try` in which it is made, but not where its guard does not hold.
        decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
        self._after(body, scope, self.guarded or any(map(_looks_first, decorators)))

    def _after(self, body: list[ast.stmt], scope: Scope, guarded: bool) -> None:
        def visit() -> None:
            self.scope, self.caught, self.guarded = scope, (), guarded
            self._body(body)

        self._later.append(visit)

    def _class(self, node: ast.ClassDef) -> None:
        for each in (*node.bases, *(keyword.value for keyword in node.keywords), *node.decorator_list):
            self._expression(each)
        around = self.scope
        subclass = self._subclass(node)
        around.names[node.name] = subclass
        itself = Context(SIDES, made_by=subclass) if subclass is not None else None
        inside = Scope(around)
        # Methods do not see the names of their class, but the attributes of its objects.
        methods = Scope(around, _set_once(node))
        for statement in node.body:
            self.scope = inside
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                self.scope = methods
                self._function(statement, None if statement.decorator_list else itself)
                del methods.names[statement.name]
            else:
                self._statement(statement)
        self.scope = around

    def _subclass(self, node: ast.ClassDef) -> Subclass | None:
        """What a class below SSLContext is; None for others, and where it makes or sets its own way."""
        if len(node.bases) != 1:
            return None
        base = self.scope.kind(node.bases[0])
        if isinstance(base, Member) and base.of_tls and base.name == "SSLContext":
            base, generation = None, 1
        elif isinstance(base, Subclass) and base.generation < _MOST_GENERATIONS:
            generation = base.generation + 1
        else:
            return None
        own: set[str] = set()
        for each in ast.walk(node):
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own.add(each.name)
            elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                own.add(each.id)
        strange = {"__new__", "__setattr__", "__slots__"} & own or node.keywords or node.decorator_list
        return None if strange else Subclass(node.name, frozenset(own), base, generation)

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
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and _pair(target, value):
            for each, its_value in zip(target.elts, value.elts, strict=True):
                self._assign(node, each, its_value, operation)
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
            if isinstance(child, ast.match_case):
                if child.guard is not None:
                    self._expression(child.guard)
                self._body(child.body)
            elif isinstance(child, ast.expr):
                self._expression(child)
        for part in ("body", "orelse"):
            self._body(getattr(node, part, ()))

    def _expression(self, node: ast.expr) -> None:
        if isinstance(node, ast.Lambda):
            self._function(node)
            return
        if isinstance(node, ast.Call):
            self.on_call(node)
            if len(node.args) == 3 and self.scope.accesses(node, "setattr"):
                target = ast.Attribute(node.args[0], literal(node.args[1]), ast.Store())
                self.on_set(node, target, node.args[2], None)
        elif isinstance(node, ast.Compare):
            self.on_compare(node)
        elif isinstance(node, ast.NamedExpr):
            self.scope.bind(node.target, self.scope.kind(node.value))
        elif isinstance(node, ast.Attribute):
            kind = self.scope.kind(node)
            if isinstance(kind, Member) and kind.of_tls and "." not in kind.name:
                self.on_name(node, kind)
        before = self.guarded
        if isinstance(node, ast.IfExp | ast.BoolOp):
            tests = [node.test] if isinstance(node, ast.IfExp) else node.values[:-1]
            self.guarded |= any(map(_looks_first, tests))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._expression(child)
            elif isinstance(child, ast.keyword):
                self._expression(child.value)
            elif isinstance(child, ast.comprehension):
                self.scope.bind(child.target, None)
                for each in (child.iter, *child.ifs):
                    self._expression(each)
        self.guarded = before


def _pair(target: ast.Tuple, value: ast.Tuple) -> bool:
    """Whether each of the targets gets one of the values."""
    starred = any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts))
    return len(target.elts) == len(value.elts) and not starred


def _set_once(node: ast.ClassDef) -> frozenset[str]:
    """The attributes, such as ``self.context``, that only one statement of a class sets."""
    names = [
        dotted(each) or ""
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and not isinstance(each.ctx, ast.Load)
    ]
    return frozenset(
        name for name, times in Counter(names).items() if times == 1 and name.startswith("self.")
    )


def _caught_by(handler: ast.ExceptHandler) -> list[str]:
    if handler.type is None:
        return ["Exception"]
    return _named(handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type])


def _expected_by(node: ast.expr) -> frozenset[str]:
    """The errors that ``with suppress(…)`` and the like catch."""
    if not (isinstance(node, ast.Call) and last_name(node.func) in _EXPECT):
        return frozenset()
    errors = node.args[0].elts if node.args and isinstance(node.args[0], ast.Tuple) else node.args
    return frozenset(_named(errors))


def _named(errors: Iterable[ast.expr]) -> list[str]:
    names = map(last_name, errors)
    return ["Exception" if name in _CATCH_ALL else name for name in names]


def _looks_first(test: ast.expr) -> bool:
    """Whether a condition asks what there is: ``hasattr(ssl, …)``, ``ssl.HAS_…``, ``sys.version_info``."""
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("hasattr", "getattr") and argument(node, 1, "name") is not None:
                return True
        elif isinstance(node, ast.Attribute | ast.Name):
            name = last_name(node)
            if name in _TELLS_WHAT_IS_THERE or name.startswith("HAS_"):
                return True
    return False
