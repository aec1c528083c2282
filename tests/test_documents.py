"""The handwritten pages about the code: the files and functions that they name exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs/architecture.md",
    ROOT / "docs/decisions/0049-rooms-and-storeys.md",
]
FILE = re.compile(r"`([\w.-]+(?:/[\w.*-]+)*(?:/|\.(?:md|py|pyi|rs|toml|yaml)))`")
NAMED = re.compile(r"`([\w./-]+\.(?:py|rs))`\s+\(((?:`[\w.]+`(?:,\s+)?)+)\)")
MODULE = re.compile(r"python -m ([\w.]+)")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
DEFINITION = r"^\s*(?:pub(?:\([\w:]+\))? )?(?:async )?(?:fn|def|class|struct|enum|trait|type) {}\b"


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = FILE.findall(text_of(page))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_functions_that_a_page_names_are_in_their_files(page: Path) -> None:
    missing = []
    for file, names in NAMED.findall(text_of(page)):
        source = (ROOT / file).read_text("utf-8")
        for name in re.findall(r"[\w.]+", names):
            for part in name.split("."):
                if not re.search(DEFINITION.format(re.escape(part)), source, re.M):
                    missing.append((file, name))
    assert missing == []


def test_the_walks_name_functions() -> None:
    assert len(NAMED.findall(text_of(ROOT / "docs/architecture.md"))) > 25


@pytest.mark.parametrize(
    "page",
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_links_of_a_page_lead_to_files(page: Path) -> None:
    links = LINK.findall(re.sub(r"```.*?```|`[^`]*`", "", text_of(page), flags=re.S))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_modules_that_a_page_runs_exist(page: Path) -> None:
    run = set(MODULE.findall(text_of(page))) - {"venv"}
    assert [name for name in sorted(run) if importlib.util.find_spec(name) is None] == []


def test_the_house_is_in_the_suite(request: pytest.FixtureRequest) -> None:
    """tests/house holds tests, in a folder that pytest collects by itself."""
    assert [str(path) for path in request.config.getini("testpaths")] == ["tests"]
    assert "tests/house" not in str(request.config.getini("addopts"))
    assert "def test_this_tree_keeps_its_rules" in (ROOT / "tests/house/test_house.py").read_text("utf-8")
