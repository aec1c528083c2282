"""What the names of a program stand for, as far as imports and simple assignments tell."""

from __future__ import annotations

import ast
import ssl
from dataclasses import dataclass, replace
from types import ModuleType

import veritls
from veritls import _compat
from veritls._doctor import constants

TLS = ("ssl", "veritls")
"""The modules whose names and contexts are followed."""

PUBLIC = {
    "ssl": tuple(
        name
        for name, value in vars(ssl).items()
        if not (name.startswith("_") or isinstance(value, ModuleType))
    ),
    "veritls": tuple(veritls.__all__),
}
"""What ``from … import *`` brings."""

_IMPORTS = ("__import__", "import_module", "importorskip")
"""Functions that return the module that they are given the name of: of builtins, importlib, pytest."""

SIDES = (int(ssl.PROTOCOL_TLS_CLIENT), int(ssl.PROTOCOL_TLS_SERVER))


@dataclass(frozen=True)
class Module:
    name: str


@dataclass(frozen=True)
class Member:
    """A name of a module. `name` may have dots: ``TLSVersion.TLSv1``."""

    module: str
    name: str

    @property
    def of_tls(self) -> bool:
        return self.module in TLS


@dataclass(frozen=True)
class Constant:
    value: object


@dataclass(frozen=True)
class Subclass:
    """A subclass of SSLContext, or of another one, `base`. `own`: the names that it declares itself."""

    name: str
    own: frozenset[str]
    base: Subclass | None = None
    generation: int = 1

    def declares(self, name: str) -> bool:
        return name in self.own or (self.base is not None and self.base.declares(name))


@dataclass(frozen=True)
class Context:
    """An SSLContext. `protocols`: its protocol, or each that it may have."""

    protocols: tuple[int, ...]
    verifies: bool | None = None
    """Whether it was made to verify a server; None where it is not known, or a server's."""
    checks_name: bool = False
    """Whether it is known to be a client's with check_hostname."""
    made_by: Subclass | None = None
    """Its class; None: SSLContext."""


@dataclass(frozen=True)
class Connection:
    """An SSLSocket or SSLObject."""


@dataclass(frozen=True)
class Bound:
    """A method or attribute of a context, connection or caught error."""

    owner: Context | Connection | Caught
    name: str


@dataclass(frozen=True)
class Caught:
    """An error of `ssl` that an ``except`` gave a name."""


@dataclass(frozen=True)
class Text:
    """The text of such an error."""


Kind = Module | Member | Constant | Context | Subclass | Connection | Bound | Caught | Text


class Scope:
    """The names of a function, class or module. None: a name that stands for something unknown.

    `shared`: attributes such as ``self.context`` that the functions in it have in common.
    """

    def __init__(self, outer: Scope | None = None, shared: frozenset[str] = frozenset()) -> None:
        self.names: dict[str, Kind | None] = {}
        self.outer = outer
        self.shared = shared

    def find(self, name: str) -> Kind | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None

    def _binds(self, name: str) -> bool:
        return name in self.names or (self.outer is not None and self.outer._binds(name))

    def bind(self, target: ast.expr, kind: Kind | None) -> None:
        """Binds a name or an attribute such as ``self.context``; unknown are the parts of anything else."""
        name = dotted(target)
        if name is not None:
            # `ssl = None` where the module is missing says nothing about where it is not.
            if not (isinstance(kind, Constant) and kind.value is None and self.find(name) is not None):
                self._holder(name).names[name] = kind
        elif isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self.bind(each, None)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, None)

    def _holder(self, name: str) -> Scope:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.shared:
                return scope
            scope = scope.outer
        return self

    def kind(self, node: ast.expr | None, depth: int = 50) -> Kind | None:
        """What an expression stands for."""
        if node is None or depth <= 0:
            return None
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node)
            known = self.find(name) if name is not None else None
            if known is not None or isinstance(node, ast.Name):
                return known
            return self._attribute(self.kind(node.value, depth - 1), node.attr)
        if isinstance(node, ast.Call):
            return self._call(node, depth - 1)
        if isinstance(node, ast.NamedExpr):
            return self.kind(node.value, depth - 1)
        if isinstance(node, ast.IfExp | ast.BoolOp):
            either = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
            kinds = [self.kind(each, depth - 1) for each in either]
            if any(isinstance(each, Context) for each in kinds):
                return kinds[0] if all(each == kinds[0] for each in kinds) else Context(SIDES)
        if isinstance(node, ast.Subscript):
            owner = self.kind(node.value, depth - 1)
            return owner if isinstance(owner, Text) else None
        value = constants.value(node, self._value_of, depth)
        return None if value is constants.UNKNOWN else Constant(value)

    def constant(self, node: ast.expr | None) -> object:
        """The value of an expression; `constants.UNKNOWN` where it is not told by the program's text."""
        return constants.UNKNOWN if node is None else constants.value(node, self._value_of)

    def _value_of(self, node: ast.expr) -> object:
        kind = self.kind(node)
        if isinstance(kind, Constant):
            return kind.value
        return value_of(kind) if isinstance(kind, Member) else constants.UNKNOWN

    def _attribute(self, owner: Kind | None, name: str) -> Kind | None:
        if isinstance(owner, Module):
            return Member(owner.name, name)
        if isinstance(owner, Member):
            if not owner.of_tls and owner.name[0].islower():  # a module of a package: http.client
                return Member(f"{owner.module}.{owner.name}", name)
            return Member(owner.module, f"{owner.name}.{name}")
        if isinstance(owner, Caught):
            return Text() if name in ("args", "strerror", "verify_message") else None
        if isinstance(owner, Context | Connection):
            return Bound(owner, name)
        return None

    def _call(self, node: ast.Call, depth: int) -> Kind | None:
        called = self.kind(node.func, depth)
        if isinstance(called, Member) and called.of_tls:
            return self._made_by(called.name, node)
        if isinstance(called, Subclass):
            made = self._made_by("SSLContext", node)
            return replace(made, made_by=called) if isinstance(made, Context) else None
        if last_name(node.func) in _IMPORTS and node.args and literal(node.args[0]) in TLS:
            return Module(literal(node.args[0]))
        if called is None and self.accesses(node, "getattr"):
            return self._attribute(self.kind(node.args[0], depth), literal(node.args[1]))
        if isinstance(called, Bound):
            if isinstance(called.owner, Context) and called.name in ("wrap_socket", "wrap_bio"):
                return Connection()
            return None
        if (
            isinstance(node.func, ast.Name)
            and node.func.id in ("str", "repr")
            and called is None
            and node.args
        ):
            return Text() if isinstance(self.kind(node.args[0], depth), Caught | Text) else None
        return None

    def accesses(self, node: ast.Call, builtin: str) -> bool:
        """Whether it is a call of getattr or setattr with a name as it is written."""
        return (
            isinstance(node.func, ast.Name)
            and node.func.id == builtin
            and not self._binds(builtin)
            and len(node.args) >= 2
            and literal(node.args[1]) != ""
        )

    def _made_by(self, name: str, node: ast.Call) -> Kind | None:
        if name == "wrap_socket":
            return Connection()
        if name == "SSLContext":
            given = argument(node, 0, "protocol")
            value = self.constant(given) if given is not None else int(ssl.PROTOCOL_TLS)
            if isinstance(value, int):
                client = value == ssl.PROTOCOL_TLS_CLIENT
                return Context((int(value),), client or None, checks_name=client)
            return Context(SIDES)
        if name == "create_default_context":
            given = argument(node, 0, "purpose")
            purpose = self.constant(given) if given is not None else ssl.Purpose.SERVER_AUTH
            if purpose == ssl.Purpose.SERVER_AUTH:
                return Context(SIDES[:1], True, checks_name=True)
            return Context(SIDES[1:] if purpose == ssl.Purpose.CLIENT_AUTH else SIDES)
        if name in ("_create_unverified_context", "_create_stdlib_context"):
            return Context(SIDES[:1], False)
        return None

    def declared(self, annotation: ast.expr | None) -> Kind | None:
        """What an annotation says of a name."""
        if isinstance(annotation, ast.BinOp):  # X | None
            return self.declared(annotation.left) or self.declared(annotation.right)
        kind = self.kind(annotation)
        if not (isinstance(kind, Member) and kind.of_tls):
            return None
        if kind.name == "SSLContext":
            return Context(SIDES)
        return Connection() if kind.name in ("SSLSocket", "SSLObject") else None


def dotted(node: ast.expr) -> str | None:
    """``context`` or ``self.context``; None for anything longer, or that is not a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def last_name(node: ast.expr) -> str:
    """``connect`` of ``loop.connect`` or ``connect``; empty for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def literal(node: ast.expr) -> str:
    """A text as it is written; empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def argument(node: ast.Call, place: int, name: str) -> ast.expr | None:
    """An argument of a call, by its place or name; None where it is not given."""
    if place < len(node.args) and not any(isinstance(each, ast.Starred) for each in node.args):
        return node.args[place]
    return next((each.value for each in node.keywords if each.arg == name), None)


def value_of(member: Member) -> object:
    """The value of a constant of `ssl`, or of a member of one of its enums."""
    if not member.of_tls:
        return constants.UNKNOWN
    first, *rest = member.name.split(".")
    value: object = getattr(_compat, first, getattr(ssl, first, constants.UNKNOWN))
    for name in rest:
        members: dict[str, object] = getattr(value, "__members__", {}) if isinstance(value, type) else {}
        value = members.get(name, constants.UNKNOWN)
    plain = isinstance(value, int | str | bytes | ssl.Purpose)
    return value if plain else constants.UNKNOWN
