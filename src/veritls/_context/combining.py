"""Demands and choices: how two values of a kind become one.

Where `sni_callback` chooses a second context, demands of both add up and choices are the second's. Each field
of a settings value says in its declaration which of the two it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

_COMBINE = "combine"

Value = TypeVar("Value")


def demand(combine: Callable[[Any, Any], Any], default: Any = dataclasses.MISSING) -> Any:
    """A field of which both values apply: `combine(first, second)` meets both demands."""
    return dataclasses.field(default=default, metadata={_COMBINE: combine})


def choice(default: Any = dataclasses.MISSING, *, secret: bool = False) -> Any:
    """A field of which only the second value applies. `secret`: the repr leaves it out."""
    return dataclasses.field(
        default=default, repr=not secret, metadata={_COMBINE: lambda first, second: second}
    )


def registered(field: dataclasses.Field[Any]) -> bool:
    """Whether a field is declared as a demand or as a choice."""
    return _COMBINE in field.metadata


def combined(first: Value, second: Value) -> Value:
    """The value that meets every demand of both, with the choices of `second`.

    `first` and `second` are dataclasses of one kind. Raises TypeError for a field that is neither a demand
    nor a choice.
    """
    if first is second:
        return second
    parts: dict[str, Any] = {}
    for field in dataclasses.fields(second):  # type: ignore[arg-type]
        if not field.init:
            continue
        if not registered(field):
            raise TypeError(f"{type(second).__name__}.{field.name} is neither a demand nor a choice")
        combine = field.metadata[_COMBINE]
        parts[field.name] = combine(getattr(first, field.name), getattr(second, field.name))
    return dataclasses.replace(second, **parts)  # type: ignore[type-var]
