"""An older version of a library, in a folder of its own, imported in place of the newest."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

PINS = Path(__file__).with_name("pinned.txt")
FOLDER = Path(__file__).parents[2] / "build" / "pinned"


def _folder() -> Path:
    """Where pinned.txt's packages are, without what they need: the newest ones' needs will do."""
    note = FOLDER / "made-from"
    if not note.exists() or note.read_text() != PINS.read_text():
        shutil.rmtree(FOLDER, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
        done = subprocess.run(
            [*command, "--target", str(FOLDER), "-r", str(PINS)], capture_output=True, text=True, timeout=110
        )
        if done.returncode:
            if os.environ.get("CI"):
                raise RuntimeError(done.stderr)
            pytest.skip(f"pip cannot bring what pinned.txt names: {done.stderr[-300:]}")
        note.write_text(PINS.read_text())
    return FOLDER


def _modules(name: str) -> list[str]:
    return [module for module in sys.modules if module == name or module.startswith(f"{name}.")]


@contextmanager
def pinned(name: str) -> Iterator[ModuleType]:
    """The package `name` of pinned.txt, for whoever imports it within; afterwards the newest is back."""
    folder = str(_folder())
    newest = {module: sys.modules.pop(module) for module in _modules(name)}
    sys.path.insert(0, folder)
    try:
        package = importlib.import_module(name)
        assert str(package.__file__).startswith(folder)
        yield package
    finally:
        sys.path.remove(folder)
        for module in _modules(name):
            del sys.modules[module]
        sys.modules.update(newest)
