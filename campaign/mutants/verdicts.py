"""The survivors that were looked at: campaign/mutants/verdicts.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("verdicts.toml")


@dataclass(frozen=True)
class Verdict:
    """`equivalent`: nobody could observe a difference. Else it survives, for the reason given."""

    equivalent: bool
    reason: str


def load() -> dict[str, Verdict]:
    """Name of a mutant -> what was said of it."""
    table = tomllib.loads(FILE.read_text())
    found: dict[str, Verdict] = {}
    for kind in ("equivalent", "survives"):
        for group in table.get(kind, ()):
            for name in group["mutants"]:
                if name in found:
                    raise ValueError(f"{FILE.name} names it twice: {name}")
                found[name] = Verdict(kind == "equivalent", group["reason"])
    return found
