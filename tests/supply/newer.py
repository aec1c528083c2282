"""What the registry has that is newer than Cargo.lock and compatible with Cargo.toml."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from tests.supply.crates import MANIFEST

NAMED = frozenset({"rustls", "rustls-webpki", "aws-lc-rs", "aws-lc-sys"})
"""The crates for whose faults SECURITY.md promises a release."""

_STEP = re.compile(r"^\s*(Updating|Downgrading) (\S+) v(\S+) -> v(\S+)", re.M)


@dataclass(frozen=True)
class Newer:
    """A crate, the version in Cargo.lock, and the one that cargo would choose now."""

    name: str
    locked: str
    available: str


def steps(said: str) -> list[Newer]:
    """Reads what `cargo update --dry-run` says."""
    return [Newer(*step[1:]) for step in _STEP.findall(said) if step[0] == "Updating"]


def newer() -> list[Newer]:
    """Asks the registry. Raises RuntimeError with what cargo said.

    Versions that need a newer Rust than ours count too: cargo would leave them out without a word.
    """
    command = ["cargo", "update", "--dry-run", "--color=never", "--manifest-path", str(MANIFEST)]
    variables = os.environ | {"CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS": "allow"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    if done.returncode or "dry run" not in done.stderr:
        raise RuntimeError(done.stderr[-2000:])
    return steps(done.stderr)
