"""Copies of the repository in which mutants run; the worktree itself is never changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LEFT_OUT = (
    # Suites of other projects, which take minutes.
    "tests/bettertls",
    "tests/bogo",
    "tests/conformance",
    "tests/cpython",
    "tests/ecosystem",
    "tests/limbo",
    "tests/peers",
    "tests/pkits",
    # They read sources and pages: a change of the text is not a change of what veritls does.
    "tests/house",
    "tests/test_bench.py",
    "tests/test_compatibility_page.py",
    "tests/test_docstrings.py",
    "tests/test_documents.py",
    "tests/test_engine_crates.py",
    "tests/test_habits.py",
    "tests/test_interface.py",
    "tests/test_threat_model.py",
    "tests/test_typing.py",
    "tests/test_verification_page.py",
    # They measure.
    "tests/test_memory.py",
    "tests/test_no_memory.py",
)
"""Tests that no mutant runs."""


def scratch() -> Path:
    """Where everything of a run is kept: under CARGO_TARGET_DIR, else under build/."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "build")) / "mutants"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def copy(name: str, engine: Path | None = None) -> Path:
    """A fresh copy of the files that git knows or would add, with the engine that is built, or another."""
    target = scratch() / name
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for each in listed.stdout.splitlines():
        if (ROOT / each).is_file():
            (target / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / each, target / each)
    for built in (ROOT / "src/veritls").glob("_engine*.so"):
        shutil.copy2(engine or built, target / "src/veritls" / built.name)
    return target


def pytest_command(folder: Path, *arguments: str, seconds: int = 60) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of a pytest in a copy, with the plugin."""
    command = [sys.executable, "-m", "pytest", "-p", "campaign.mutants.plugin", "-p", "no:cacheprovider"]
    command += [f"--timeout={seconds}", f"--basetemp={folder}/temporary", *arguments]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}/src",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "HYPOTHESIS_DATABASE_FILE": "",
    }
    environment.pop("VERITLS_MUTANT", None)
    return command, environment


def default_tests() -> list[str]:
    """Arguments of pytest: all tests but those left out."""
    return ["tests", *(f"--ignore={each}" for each in LEFT_OUT)]
