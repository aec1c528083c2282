"""The daily commands: each recipe of the justfile is one that runs, and CONTRIBUTING.md names no other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
CONTRIBUTING = ROOT / "CONTRIBUTING.md"


def just(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("just")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("just is not installed")
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)


def recipes() -> dict[str, Any]:
    dumped = just("--dump", "--dump-format", "json")
    assert dumped.returncode == 0, dumped.stderr
    found: dict[str, Any] = json.loads(dumped.stdout)["recipes"]
    return found


def named(page: Path) -> set[str]:
    """The recipes that a page names, in blocks of code and in sentences."""
    return set(re.findall(r"(?:^|`)just ([a-z][\w-]*)", page.read_text("utf-8"), re.M))


def test_just_lists_every_recipe_with_what_it_does() -> None:
    listed = just("--list")
    assert listed.returncode == 0, listed.stderr
    for name, recipe in recipes().items():
        assert name in listed.stdout
        assert recipe["doc"], name


def test_every_recipe_is_a_command_that_just_can_put_together() -> None:
    for name, recipe in recipes().items():
        needed = [each["name"] for each in recipe["parameters"] if each["kind"] == "singular"]
        dry = just("--dry-run", name, *needed)
        assert dry.returncode == 0, (name, dry.stderr)
        assert dry.stderr.strip(), name


def test_every_recipe_runs_what_exists() -> None:
    """A module of this checkout, a file of it, or a program that the extra `dev` or cargo brings."""
    programs = {"python", "maturin", "cargo", "ruff", "mypy", "pre-commit", "just"}
    for name, recipe in recipes().items():
        for body in recipe["body"]:
            words = "".join(part for part in body if isinstance(part, str)).removeprefix("@").split()
            assert words[0] in programs or (ROOT / words[0]).is_file(), (name, words[0])
            if words[:2] == ["python", "-m"] and words[2] != "pytest":
                module = ROOT / words[2].replace(".", "/")
                assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), words[2]


def test_the_commands_of_contributing_are_recipes() -> None:
    assert named(CONTRIBUTING), "no command is named"
    assert named(CONTRIBUTING) <= set(recipes())


def test_the_hooks_need_no_network() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert re.findall(r"repo: *(\S+)", text) == ["local"]
    assert set(re.findall(r"language: *(\S+)", text)) == {"system"}


def test_ci_runs_the_hooks_and_repeats_none_of_them() -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    hooks = re.findall(r"entry: *(.+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert "pre-commit run --all-files" in script
    assert hooks and not [entry for entry in hooks if f"\n{entry}" in script]
