"""Demands and choices: how two values of a kind become one.

Where `sni_callback` chooses a second context, demands of both add up and choices are the second's. Each field
of a settings value says in its declaration which of the two it is.
"""

from __future__ import annotations

from veritls._value import MISSING, Field, Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Kind = TypeVar("Kind", bound=Value)


def demand(combine: Callable[[Any, Any], Any], default: Any = MISSING) -> Any:
    """A field of which both values apply: `combine(first, second)` meets both demands."""
    return Field(default, combine=combine)


def _second(first: Any, second: Any) -> Any:
    return second


def choice(default: Any = MISSING, *, secret: bool = False) -> Any:
    """A field of which only the second value applies. `secret`: the repr leaves it out."""
    return Field(default, secret=secret, combine=_second)


def registered(field: Field) -> bool:
    """Whether a field is declared as a demand or as a choice."""
    return field.combine is not None


def combined(first: Kind, second: Kind) -> Kind:
    """The value that meets every demand of both, with the choices of `second`.

    `first` and `second` are of one kind. Raises TypeError for a field that is neither a demand nor a choice.
    """
    if first is second:
        return second
    parts: dict[str, Any] = {}
    for name, field in type(second).fields_of.items():
        if field.combine is None:
            raise TypeError(f"{type(second).__name__}.{name} is neither a demand nor a choice")
        parts[name] = field.combine(getattr(first, name), getattr(second, name))
    return replace(second, **parts)
