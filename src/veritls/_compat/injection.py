"""`inject` puts veritls in the place of `ssl` for a whole process; `extract` takes it back.

Modules that hold the standard module, whenever they imported it, then find our classes and functions in it.
What they took from it by name before stays what it was, and goes on to work.
"""

from __future__ import annotations

import os
import ssl
import threading
from types import FunctionType, ModuleType
from typing import Any

PRIVATE = ("_create_unverified_context", "_create_stdlib_context", "_create_default_https_context")
"""What the standard library's other modules use of `ssl` besides its public names."""

_lock = threading.Lock()
_undo: list[tuple[Any, str, Any]] | None = None


def _after_fork_in_child() -> None:
    """Another thread may have held the lock, and is not here."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _ours() -> dict[str, Any]:
    import veritls
    from veritls._compat import functions

    names = {name: getattr(veritls, name) for name in veritls.__all__ if name not in ("inject", "extract")}
    names |= {name: getattr(functions, name) for name in PRIVATE}
    return {name: value for name, value in names.items() if getattr(ssl, name, None) is not value}


def _detached(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    """The same function, which finds global names in `names`."""
    twin = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__dict__.update(function.__dict__)
    twin.__doc__, twin.__qualname__ = function.__doc__, function.__qualname__
    return twin


def _twin(member: Any, names: dict[str, Any]) -> Any:
    if isinstance(member, FunctionType) and member.__globals__ is vars(ssl):
        return _detached(member, names)
    if isinstance(member, classmethod | staticmethod):
        return type(member)(_twin(member.__func__, names))
    if isinstance(member, property):
        getter, setter = _twin(member.fget, names), _twin(member.fset, names)
        return property(getter, setter, _twin(member.fdel, names), member.__doc__)
    return member


def _replace(target: type | ModuleType, name: str, value: Any, done: list[tuple[Any, str, Any]]) -> None:
    done.append((target, name, vars(target).get(name, done)))
    setattr(target, name, value)


def inject() -> None:
    """From now on `ssl.SSLContext`, `ssl.create_default_context` and the rest are those of veritls.

    Contexts and connections of the standard module that exist already go on to work as they did. Calling it
    twice does nothing more.
    """
    global _undo
    with _lock:
        if _undo is not None:
            return
        done: list[tuple[Any, str, Any]] = []
        # The standard classes look each other up by name in their module: they keep what was there.
        before = dict(vars(ssl))
        for kind in (ssl.SSLContext, ssl.SSLSocket, ssl.SSLObject):
            for name, member in list(vars(kind).items()):
                twin = _twin(member, before)
                if twin is not member:
                    _replace(kind, name, twin, done)
        for name, value in _ours().items():
            _replace(ssl, name, value, done)
        _undo = done


def extract() -> None:
    """Undoes `inject`. What was made meanwhile goes on to work. Does nothing where nothing was injected."""
    global _undo
    with _lock:
        done, _undo = _undo, None
        for target, name, value in reversed(done or []):
            if value is done:
                delattr(target, name)
            else:
                setattr(target, name, value)
