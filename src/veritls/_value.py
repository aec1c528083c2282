"""Immutable values, declared as with `dataclasses`, whose import costs a third of that of `ssl`; a secret.

And the module that users know a class by.
"""

from __future__ import annotations

import os
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, TypeVar, dataclass_transform

    Kind = TypeVar("Kind", bound="Value")
    Class = TypeVar("Class", bound=type)
else:

    def dataclass_transform(**_):
        return lambda kind: kind


MISSING: Any = object()


def shown_in(module: str) -> Callable[[Class], Class]:
    """Names the module that users import a class from: `help`, its repr and pickles say so (decision 0075).

    A mixin of a public class has the same module: `help` names it where it lists what is inherited.
    """

    def name(kind: Class) -> Class:
        kind.__module__ = module
        for member in vars(kind).values():
            function = getattr(member, "__func__", member)
            if type(function) is FunctionType:
                function.__module__ = module  # else `help` of Python 3.13 says of each where it is from
        return kind

    return name


@shown_in("veritls")
class Field:
    """The declaration of a field. `secret`: the repr leaves it out. `combine`: how two values become one."""

    __slots__ = ("combine", "default", "secret")

    def __init__(
        self,
        default: Any = MISSING,
        *,
        secret: bool = False,
        combine: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.default, self.secret, self.combine = default, secret, combine


@shown_in("veritls")
@dataclass_transform(frozen_default=True)
class Value:
    """What derives from it has a field for each annotated name, with its default or its `Field`.

    Equal to a value of the same class with equal fields. Setting an attribute raises AttributeError.
    """

    fields_of: ClassVar[dict[str, Field]] = {}

    def __init_subclass__(cls) -> None:
        fields = dict(cls.fields_of)
        for name in cls.__annotations__:
            given = cls.__dict__.get(name, MISSING)
            if isinstance(given, Field):
                delattr(cls, name)
            fields[name] = given if isinstance(given, Field) else Field(given)
        cls.fields_of = fields

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = type(self).fields_of
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, not {len(values)}")
        found = dict(zip(fields, values, strict=False))
        for name, value in named.items():
            if name not in fields or name in found:
                raise TypeError(f"{type(self).__name__} got an unexpected argument {name!r}")
            found[name] = value
        for name, field in fields.items():
            if name not in found:
                if field.default is MISSING:
                    raise TypeError(f"{type(self).__name__} lacks {name!r}")
                found[name] = field.default
        self.__dict__.update(found)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"cannot assign to {name!r}: {type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name!r}: {type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return contents(self) == contents(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(contents(self).values()))

    def __repr__(self) -> str:
        # A traceback that shows local variables may show a value that is still being made.
        given = {name: value for name, value in vars(self).items() if name in self.fields_of}
        shown = (f"{name}={value!r}" for name, value in given.items() if not self.fields_of[name].secret)
        return f"{type(self).__name__}({', '.join(shown)})"


def contents(value: Value) -> dict[str, Any]:
    """The fields of a value by their names."""
    return {name: getattr(value, name) for name in type(value).fields_of}


def replace(value: Kind, **changes: Any) -> Kind:
    """The same with other fields. Raises TypeError for a name that is no field."""
    return type(value)(**{**contents(value), **changes})


class TicketSecret(bytes):
    """The secret that ticket keys are derived from. Its repr hides it from tracebacks and logs."""

    @classmethod
    def drawn(cls) -> TicketSecret:
        """A new secret."""
        return cls(os.urandom(32))

    def __repr__(self) -> str:
        return "<TicketSecret>"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("cannot pickle 'TicketSecret' object")
