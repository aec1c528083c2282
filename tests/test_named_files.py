"""The pages for who works on this name files, folders and commands that exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ["CONTRIBUTING.md", "docs/architecture.md"]
FOLDERS = ("src", "tests", "docs", "engine", "bench", ".ci", ".github")
_PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*[\w/]")
_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"[\w./-]+\.(?:py|pyi|rs|toml|md|sh|txt|json|yml|yaml)")
_MODULE = re.compile(r"python -m ([\w.]+)")


def named_paths(text: str) -> set[str]:
    """Paths below a folder of the checkout anywhere in a page, and file names in backticks."""
    in_code = {word for span in _CODE.findall(text) for word in span.split() if _FILE.fullmatch(word)}
    return {*_PATH.findall(text), *in_code}


def exists(path: str) -> bool:
    """A path of the checkout, a record by its number, or the end of the path of a file of the code."""
    if (ROOT / path).exists() or any(ROOT.glob(f"{path}-*")):
        return True
    return not path.startswith(FOLDERS) and any(
        file for folder in ("src", "engine/src", "tests", "bench") for file in (ROOT / folder).rglob(path)
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    named = named_paths((ROOT / page).read_text())
    assert named
    assert [path for path in sorted(named) if not exists(path)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_a_page_runs_exists(page: str) -> None:
    run = set(_MODULE.findall((ROOT / page).read_text())) - {"venv"}
    assert run
    missing = [name for name in sorted(run) if importlib.util.find_spec(name) is None]
    assert missing == []


def test_a_file_that_is_gone_is_found_wherever_it_is_named() -> None:
    text = "See `gone.py`, docs/gone.md and `tests/gone/house.toml --write`; `python -m tests.house`."
    assert named_paths(text) == {"gone.py", "docs/gone.md", "tests/gone/house.toml"}
    assert not any(map(exists, named_paths(text)))
    assert exists("peers.py") and exists("docs/decisions/0021") and exists("tests/house/house.toml")


def test_the_house_is_in_the_suite(request: pytest.FixtureRequest) -> None:
    """tests/house holds tests, in a folder that pytest collects by itself."""
    assert [str(path) for path in request.config.getini("testpaths")] == ["tests"]
    assert "tests/house" not in str(request.config.getini("addopts"))
    assert "tests/house" not in (ROOT / ".ci/run").read_text()
    assert "def test_this_tree_keeps_its_rules" in (ROOT / "tests/house/test_house.py").read_text()
