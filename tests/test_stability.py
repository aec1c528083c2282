"""docs/stability.md lists what is public; version, changelog and classifiers agree with it."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import veritls

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/stability.md").read_text("utf-8")
CHANGES = (ROOT / "CHANGELOG.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = tomllib.loads((ROOT / "engine/Cargo.toml").read_text("utf-8"))["package"]["version"]

COMMAND_LINE = {"veritls.cli", "veritls.__main__"}
DEVELOPERS = {"bench", "dev", "docs", "ecosystem", "peers", "test", "wheels"}
"""Extras for work on veritls itself."""

SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
"""Of Keep a Changelog 1.1, in its order."""


def rows(header: str) -> list[str]:
    """The first cells of the table of the page with that header."""
    table = PAGE.split(f"| {header} |", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `([\w.]+)` \|", table, re.M)


def imported(text: str) -> set[str]:
    """The modules of veritls that a text imports from, or imports."""
    found = re.findall(r"^\s*(?:from|import) (veritls[\w.]*)", text, re.M)
    return set(found)


@pytest.mark.parametrize("module", rows("module"))
def test_a_public_module_is_there_and_says_what_it_is(module: str) -> None:
    """Found without being imported: what it is for may not be installed."""
    found = importlib.util.find_spec(module)
    assert found is not None and found.origin is not None
    assert ast.get_docstring(ast.parse(Path(found.origin).read_text("utf-8")))


def test_every_module_of_the_top_without_an_underscore_is_listed() -> None:
    paths = (ROOT / "src/veritls").iterdir()
    names = {path.stem for path in paths if path.suffix == ".py" or (path / "__init__.py").exists()}
    public = {f"veritls.{name}" for name in names if not re.match("_(?!_)|__init__", name)} - COMMAND_LINE
    listed = set(rows("module"))
    assert public | {"veritls"} == {name for name in listed if name.count(".") < 2}
    assert all(name.rpartition(".")[0] in listed for name in listed - {"veritls"})


def test_pages_and_examples_import_from_listed_modules_only() -> None:
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
    found = {name: path for path in files for name in imported(path.read_text("utf-8"))}
    assert {name: path for name, path in found.items() if name not in rows("module")} == {}
    assert "veritls.sources" in found


def test_an_extra_is_listed_or_for_work_on_veritls_itself() -> None:
    extras, listed = set(PROJECT["optional-dependencies"]), set(rows("extra"))
    assert listed <= extras
    assert extras - listed <= DEVELOPERS
    assert not listed & DEVELOPERS


def test_the_version_is_that_of_the_engine_s_cargo_toml() -> None:
    assert veritls.__version__ == VERSION
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    for lock in ("engine/Cargo.lock", "engine/fuzz/Cargo.lock"):
        packages = tomllib.loads((ROOT / lock).read_text("utf-8"))["package"]
        assert [each["version"] for each in packages if each["name"] == "veritls-engine"] == [VERSION], lock


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (.+)$", CHANGES, re.M)
    releases = [heading for heading in headings if heading != "[Unreleased]"]
    assert headings[-len(releases) :] == releases
    assert re.fullmatch(rf"\[{re.escape(VERSION)}\] - \d{{4}}-\d\d-\d\d", releases[0])
    for release in CHANGES.split("\n## ")[1:]:
        sections = re.findall(r"^### (.+)$", release, re.M)
        assert sections == [section for section in SECTIONS if section in sections]


def test_the_classifiers_name_the_oldest_python_and_no_older_one() -> None:
    pattern = re.compile(r"Programming Language :: Python :: (3\.\d+)")
    matches = (pattern.fullmatch(each) for each in PROJECT["classifiers"])
    named = [each[1] for each in matches if each]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert named == sorted(named, key=lambda version: int(version.partition(".")[2]))
