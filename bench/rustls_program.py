"""The program that speaks TLS with rustls and no Python: built where cargo is; it works like a worker."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

_MANIFEST = Path(__file__).parent / "rustls" / "Cargo.toml"


class NotBuilt(Exception):
    """Why there is no such program."""


@functools.cache
def _built() -> Path | NotBuilt:
    cargo = shutil.which("cargo")
    if cargo is None:
        return NotBuilt("cargo is not installed")
    environment = os.environ | {
        # The engine's own folder, where the same dependencies are built already.
        "CARGO_TARGET_DIR": os.environ.get(
            "CARGO_TARGET_DIR", str(_MANIFEST.parents[2] / "engine" / "target")
        )
    }
    command = [
        cargo,
        "build",
        "--release",
        "--locked",
        "--message-format=json",
        "--manifest-path",
        str(_MANIFEST),
    ]
    built = subprocess.run(command, env=environment, capture_output=True, text=True)
    if built.returncode != 0:
        lines = [line for line in built.stderr.splitlines() if line.startswith("error")]
        return NotBuilt(f"cargo build failed: {(lines or ['no reason given'])[0]}")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            return Path(message["executable"])
    return NotBuilt("cargo build made no program")


def build() -> Path:
    """The program, built if need be. Raises NotBuilt."""
    result = _built()
    if isinstance(result, NotBuilt):
        raise result
    return result
