"""`inject` puts veritls in the place of `ssl` for a whole process; `extract` undoes it.

A module that holds the standard module, whenever it imported it, then finds the classes and functions of
veritls in it. A name that it imported from `ssl` before stays what it was, and goes on to work.

Two things are changed, and each change is noted so that it can be undone. The names of `ssl` get the values
of veritls. And the methods of the standard classes, which look each other up by name in their module, are
replaced by twins that look in a copy of the module as it was: else `ssl.SSLContext` would start to make our
sockets.
"""

from __future__ import annotations

import os
import ssl
from _thread import allocate_lock
from types import FunctionType

from veritls._value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_PRIVATE = ("_create_unverified_context", "_create_stdlib_context", "_create_default_https_context")
"""The private names of `ssl` that other modules of the standard library call."""

_OWN = ("inject", "extract")

_ABSENT = object()


class _Change(Value):
    """A name of a class or module that was given another value. `before`: `_ABSENT` where it had none."""

    target: type | ModuleType
    name: str
    before: Any

    def undo(self) -> None:
        if self.before is _ABSENT:
            delattr(self.target, self.name)
        else:
            setattr(self.target, self.name, self.before)


_lock = allocate_lock()
_changes: list[_Change] | None = None
"""What `inject` has changed so far; None where veritls is not injected."""


def _after_fork_in_child() -> None:
    """The thread that held the lock does not exist in the child."""
    global _lock
    _lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _value_of_later_name(name: str) -> Any:
    """`__getattr__` of the standard module: what it lacks, and veritls imports when it is asked for."""
    import veritls

    if name in _OWN or name not in veritls.__all__:
        raise AttributeError(f"module {ssl.__name__!r} has no attribute {name!r}")
    return getattr(veritls, name)


def replacements() -> dict[str, Any]:
    """The names that change: not those that veritls takes from the standard module as they are."""
    import veritls

    present = {*vars(ssl), *vars(veritls)}
    names = [name for name in (*veritls.__all__, *_PRIVATE) if name in present and name not in _OWN]
    found = {name: getattr(veritls, name) for name in names}
    changed = {name: value for name, value in found.items() if getattr(ssl, name, None) is not value}
    return {**changed, "__getattr__": _value_of_later_name}


def _function_with_globals(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    """The same function, which finds global names in `names`."""
    twin = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__dict__.update(function.__dict__)
    twin.__doc__, twin.__qualname__ = function.__doc__, function.__qualname__
    return twin


def _twin(member: Any, names: dict[str, Any]) -> Any:
    """`member` of a standard class, which finds global names in `names`; itself where it uses none."""
    if isinstance(member, FunctionType) and member.__globals__ is vars(ssl):
        return _function_with_globals(member, names)
    if isinstance(member, classmethod | staticmethod):
        return type(member)(_twin(member.__func__, names))
    if isinstance(member, property):
        getter, setter = _twin(member.fget, names), _twin(member.fset, names)
        return property(getter, setter, _twin(member.fdel, names), member.__doc__)
    return member


def _replace(target: type | ModuleType, name: str, value: Any, changes: list[_Change]) -> None:
    changes.append(_Change(target, name, vars(target).get(name, _ABSENT)))
    setattr(target, name, value)


def inject() -> None:
    """From now on `ssl.SSLContext`, `ssl.create_default_context` and the rest are those of veritls.

    Contexts and connections of the standard module that exist already go on to work as they did. A second
    call does nothing. Raises nothing of its own; any thread may call it.
    """
    global _changes
    with _lock:
        if _changes is not None:
            return
        changes: list[_Change] = []
        before = dict(vars(ssl))
        for kind in (ssl.SSLContext, ssl.SSLSocket, ssl.SSLObject):
            for name, member in list(vars(kind).items()):
                twin = _twin(member, before)
                if twin is not member:
                    _replace(kind, name, twin, changes)
        for name, value in replacements().items():
            _replace(ssl, name, value, changes)
        _changes = changes


def extract() -> None:
    """Undoes `inject`. Contexts and connections that exist go on to work. A second call does nothing."""

    global _changes
    with _lock:
        changes, _changes = _changes, None
        for change in reversed(changes or []):
            change.undo()
