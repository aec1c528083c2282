"""A mutant's identity: what is changed in which function, so that it survives a shift of lines."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Mutant:
    """One small change of one file."""

    file: str
    """The path from the root of the repository."""
    function: str
    """The qualified name of the function or class around it; "" at the top of a module."""
    change: str
    """Before and after, on one line."""
    nth: int
    """Which of the equal changes in this function, from 0."""
    line: int
    """Where it stands today. No part of the identity."""
    number: int
    """Its place in the list of its file (Python) or of the engine (Rust). No part of the identity."""
    at_import: bool = False
    """The changed code runs when the module is imported, so a fresh interpreter has to import it."""

    @property
    def name(self) -> str:
        """The identity, as the tables name it."""
        again = f" #{self.nth}" if self.nth else ""
        return f"{self.file} | {self.function} | {self.change}{again}"

    @property
    def key(self) -> str:
        """The identity, short enough for a command line."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:8]


def numbered(mutants: Iterable[Mutant]) -> list[Mutant]:
    """The same mutants, each with its `nth`."""
    seen: Counter[tuple[str, str, str]] = Counter()
    listed = []
    for each in mutants:
        same = each.file, each.function, each.change
        listed.append(replace(each, nth=seen[same]))
        seen[same] += 1
    return listed


def one_line(source: str, longest: int = 90) -> str:
    """Source text on one line, cut in the middle where it is long."""
    text = " ".join(source.split())
    half = longest // 2 - 1
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"
