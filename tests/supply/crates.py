"""The crates: as Cargo.lock names them, and as cargo has them on this machine."""

from __future__ import annotations

import json
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "engine" / "Cargo.toml"
LOCK = ROOT / "engine" / "Cargo.lock"

TARGETS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
)
"""What wheels are built for."""


@dataclass(frozen=True, order=True)
class Crate:
    """One crate of the registry. `folder`: where its source is."""

    name: str
    version: str
    licence: str
    folder: Path


def locked() -> list[dict[str, Any]]:
    """The packages of Cargo.lock."""
    packages: list[dict[str, Any]] = tomllib.loads(LOCK.read_text())["package"]
    return packages


def _cargo(*arguments: str) -> str:
    """What cargo answers about our manifest. Raises RuntimeError with what it said."""
    command = ["cargo", *arguments, "--locked", "--manifest-path", str(MANIFEST)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


def contained() -> list[Crate]:
    """The crates that a wheel contains code of, for any target: normal dependencies, those of macros too.

    Raises RuntimeError with what cargo said: it fetches what it lacks.
    """
    tree = ["tree", "--edges=normal", "--prefix=none", "--format={p}"]
    for target in TARGETS:
        tree += ["--target", target]
    # "name v1.2.3", then "(proc-macro)" or "(*)".
    used = {tuple(line.split()[:2]) for line in _cargo(*tree).splitlines() if line}
    packages = json.loads(_cargo("metadata", "--format-version=1"))["packages"]
    return sorted(
        Crate(
            package["name"],
            package["version"],
            package["license"] or "",
            Path(package["manifest_path"]).parent,
        )
        for package in packages
        if package["source"] is not None and (package["name"], f"v{package['version']}") in used
    )
