"""The cases of NIST's PKITS, from the folder that lies beside the checkout; not part of this repository.

The policy inputs of a case are left out: there is no argument for them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.shared import shared

DEFAULT_INPUTS = {
    "InitialPolicySet": ["anyPolicy"],
    "InitialPolicyMappingInhibit": False,
    "InitialExplicitPolicy": False,
    "InitialAnyPolicyInhibit": False,
}
"""RFC 5280, section 6.1.1 (c) to (g), as verification without any argument about policies has them."""


def default_folder() -> Path:
    """The folder that VERITLS_PKITS names (certs/, crls/, vectors.json), else the one beside the checkout."""
    return shared("VERITLS_PKITS", "conformance", "pkits")


@dataclass(frozen=True)
class Case:
    """One case. `chain`: DER, the end entity's own first, without the anchor.

    `default_inputs`: whether the case has the inputs of DEFAULT_INPUTS. veritls offers no others.
    """

    name: str
    anchor: bytes
    chain: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    valid: bool
    default_inputs: bool


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
        default_inputs=all(raw[name] == value for name, value in DEFAULT_INPUTS.items()),
    )


def load(folder: Path) -> list[Case]:
    """The cases of a folder."""
    return [_case(raw, folder) for raw in json.loads((folder / "vectors.json").read_text())]
