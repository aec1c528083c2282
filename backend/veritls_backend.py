"""The build backend: maturin's, once it is certain that veritls can be built here.

Where cargo is missing, maturin downloads Rust; where Rust is too old, the build fails amid a hundred crates.
Each hook here looks first, and ends in one sentence. `build-system.requires` is empty, so that nothing is
fetched before: maturin is what the hooks `get_requires_for_build_*` ask for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

MANIFEST = Path(__file__).parent.parent / "engine/Cargo.toml"
MATURIN = "maturin>=1.14,<2"
WHEELS = (
    "or take a wheel, which needs no compiler (pip install --only-binary veritls veritls); "
    "docs/platforms.md says which platforms have one."
)

# maturin says that pip will not use it where `build-backend` is not its own name.
os.environ.setdefault("MATURIN_NO_MISSING_BUILD_BACKEND_WARNING", "1")


def oldest_rust() -> str:
    """The oldest Rust that builds the engine, as engine/Cargo.toml has it: ``1.85``."""
    return str(tomllib.loads(MANIFEST.read_text("utf-8"))["package"]["rust-version"])


def version_of(program: str) -> str | None:
    """What cargo or rustc says its version is; None where there is none, or it does not run."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"\w+ (\d+\.\d+)", said.stdout)
    return found and found[1]


def obstacle() -> str | None:
    """The sentence that says why veritls cannot be built here, and what to do; None where it can be."""
    oldest = oldest_rust()
    if sys.platform in ("win32", "cygwin"):
        return (
            "veritls does not run on Windows yet (docs/platforms.md): it has wheels for Linux and macOS, and "
            f"is built there with Rust {oldest} or newer."
        )
    for program in ("cargo", os.environ.get("RUSTC") or "rustc"):
        version = version_of(program)
        if version is None:
            return (
                f"veritls is built with Rust {oldest} or newer, and {program} is not on PATH or does not "
                f"run: install Rust and a C compiler, {WHEELS}"
            )
        if [int(part) for part in version.split(".")] < [int(part) for part in oldest.split(".")]:
            return (
                f"veritls is built with Rust {oldest} or newer, and {program} is {version}: "
                f"install a newer Rust, {WHEELS}"
            )
    return None


def look() -> None:
    """Raises SystemExit with that sentence: pip shows it alone, and a traceback of anything else."""
    reason = obstacle()
    if reason is not None:
        raise SystemExit(reason)


def _requires(config_settings: Any = None) -> list[str]:
    look()
    return [MATURIN]


get_requires_for_build_wheel = get_requires_for_build_editable = get_requires_for_build_sdist = _requires


def _hook(name: str) -> Any:
    """maturin's hook of that name, once Rust is there."""

    def hook(*arguments: Any, **settings: Any) -> Any:
        look()
        import maturin

        return getattr(maturin, name)(*arguments, **settings)

    hook.__name__ = hook.__qualname__ = name
    return hook


build_wheel = _hook("build_wheel")
build_editable = _hook("build_editable")
build_sdist = _hook("build_sdist")
prepare_metadata_for_build_wheel = _hook("prepare_metadata_for_build_wheel")
prepare_metadata_for_build_editable = _hook("prepare_metadata_for_build_editable")
