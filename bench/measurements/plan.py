"""What a measurement is, and how much of it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.certificates import Certificates
from bench.harness import Case

CONSTANT, LINEAR = "constant", "linear"


@dataclass(frozen=True)
class Plan:
    """`contestants`: the contestants to run; None: all of them."""

    certificates: Certificates
    rounds: int
    seconds: float
    quick: bool = False
    contestants: frozenset[str] | None = None

    def wanted(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if self.contestants is None or name in self.contestants]


@dataclass(frozen=True)
class Measurement:
    """`cases` makes the cases of a plan; `x` names what grows from case to case, where something does."""

    name: str
    title: str
    unit: str
    cases: Callable[[Plan], list[Case]]
    more_is_better: bool = True
    x: str | None = None
    order: str | None = None
    """How the cost of one unit is expected to grow with x: CONSTANT or LINEAR, in the words of `expected`."""
    expected: str = ""
    notes: tuple[str, ...] = ()
    """Sentences about what is measured, for the page."""
    most_rounds: int | None = None
    time: float = 1.0
    """The share of the plan's seconds that a turn takes."""
