"""The cases of NIST's PKITS, from the folder that lies beside the checkout; not part of this repository.

The policy inputs of a case are left out: there is no argument for them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def default_folder() -> Path:
    """The folder that VERITLS_PKITS names (certs/, crls/, vectors.json), else the one beside the checkout."""
    named = os.environ.get("VERITLS_PKITS")
    if named:
        return Path(named)
    # A git worktree lies one folder deeper than the checkout itself.
    beside = [above / "shared" / "conformance" / "pkits" for above in (ROOT.parent, ROOT.parent.parent)]
    return next(filter(Path.is_dir, beside), beside[0])


@dataclass(frozen=True)
class Case:
    """One case. `chain`: DER, the end entity's own first, without the anchor."""

    name: str
    anchor: bytes
    chain: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    valid: bool


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


def _case(raw: dict[str, Any], folder: Path) -> Case:
    anchor, *path = (_read(folder / "certs" / name) for name in raw["CertPath"])
    return Case(
        name=raw["Name"],
        anchor=anchor,
        chain=tuple(reversed(path)),
        crls=tuple(_read(folder / "crls" / name) for name in raw["CRLPath"]),
        valid=raw["ShouldValidate"],
    )


def load(folder: Path) -> list[Case]:
    """The cases of a folder."""
    return [_case(raw, folder) for raw in json.loads((folder / "vectors.json").read_text())]
