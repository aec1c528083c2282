"""What a part of the campaign is, how much of it is wanted, and what it has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scale:
    """How much: about `seconds` for the part. `quick`: as the tests run it, each kind of thing once."""

    seconds: float
    quick: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    """What `--set NAME=VALUE` gave; a part reads those that it knows."""

    def number(self, name: str, default: int) -> int:
        """An option that is a number."""
        return int(self.options.get(name, default))


QUICK = Scale(3.0, quick=True)


@dataclass(frozen=True)
class Table:
    """Rows of words for the page. Numbers come as they shall be read."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """Lines over a common x, drawn as NAME-`name`.svg."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


@dataclass
class Result:
    """What one run has seen."""

    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """A sentence each: how much ran, what was left out and why."""
    failures: list[str] = field(default_factory=list)
    """What was not as promised. The tests and the command fail where there is one."""


@dataclass(frozen=True)
class Finding:
    """What a run found once, and what became of it: mended (with its test) or recorded (with its place)."""

    what: str
    became: str


@dataclass(frozen=True)
class Part:
    """`run` does the work; `promise` says in a sentence or two what has to hold, for the page."""

    name: str
    title: str
    promise: str
    run: Callable[[Scale], Result]
    findings: tuple[Finding, ...] = ()
