"""The documentation site builds without a warning, its links lead somewhere, and it needs no other host."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from tests.site.building import build
from tests.site.checking import faults, read
from tests.site.staging import ROOT, Staged, navigation


def copied(folder: Path) -> Path:
    """A checkout with what the site is made of, to be changed."""
    for name in ("docs", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for page in ROOT.glob("*.md"):
        shutil.copy(page, folder)
    (folder / "tests").symlink_to(ROOT / "tests")
    return folder


def need_zensical() -> None:
    if importlib.util.find_spec("zensical") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "zensical, of the extra docs, is not installed"
        )


@pytest.fixture(scope="session")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    need_zensical()
    folder = tmp_path_factory.mktemp("site")
    assert build(folder) == ""
    return folder / "html"


def test_every_page_of_docs_is_on_the_site(html: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        place = page.relative_to(ROOT / "docs").with_suffix("")
        folder = place.parent if place.name in ("index", "README") else place
        assert (html / folder / "index.html").is_file()


def test_the_links_of_the_site_were_read(html: Path) -> None:
    pages = read(html)
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert sum(len(page.loaded) for page in pages.values()) > 100
    assert list(faults(html)) == []


BROKEN = {
    "[there](nowhere.md)": "page does not exist",
    "[there](verification.md#nowhere)": "anchor does not exist",
}
"""What Zensical finds, and what it says."""
BROKEN_AS_BUILT = {
    "[there](../src/veritls/nowhere.py)": "nowhere.py leads nowhere",
    "[there](bench/nowhere.json)": "nowhere.json leads nowhere",
    "![there](bench/nowhere.svg)": "nowhere.svg is missing",
    '<a href="../verification/#nowhere">there</a>': "#nowhere leads nowhere",
    '<script src="//example.org/x.js"></script>': "//example.org/x.js is loaded from another host",
}
"""What it does not find, and what we say."""


@pytest.mark.parametrize("broken", [BROKEN, BROKEN_AS_BUILT], ids=["Markdown", "HTML"])
def test_what_leads_nowhere_or_comes_from_another_host_fails_the_build(
    tmp_path: Path, broken: dict[str, str]
) -> None:
    need_zensical()
    root = copied(tmp_path / "checkout")
    with (root / "docs/operating.md").open("a", encoding="utf-8") as page:
        page.write("\n\n".join(["", *broken]))
    said = build(tmp_path / "site", root)
    assert [each for each in broken.values() if each not in said] == []


def test_a_page_that_the_navigation_does_not_name_fails_the_build() -> None:
    tree = {"Start": ["index.md", {"More": ["more/*.md"]}]}
    assert navigation(tree, ["index.md", "more/b.md", "more/a.md"]) == [
        {"Start": ["index.md", {"More": ["more/a.md", "more/b.md"]}]}
    ]
    with pytest.raises(ValueError, match=r"does not name lost\.md"):
        navigation(tree, ["index.md", "lost.md"])


def test_a_link_out_of_docs_leads_to_a_page_of_the_site(tmp_path: Path) -> None:
    root = copied(tmp_path / "checkout")
    (root / "docs/decisions/9999-one.md").write_text(
        "[code](../../src/veritls/policy.py) [rules](../../CONTRIBUTING.md#mutants) "
        "[page](../operating.md)\n"
        "`[kept](../../src/veritls/errors.py)`\n```\n[kept](../../README.md)\n```\n",
        "utf-8",
    )
    staged = Staged(tmp_path / "staged", root)
    staged.write()
    text = (tmp_path / "staged/decisions/9999-one.md").read_text("utf-8")
    assert text == (
        "[code](../files/src/veritls/policy.py.md) [rules](../contributing.md#mutants) "
        "[page](../operating.md)\n"
        "`[kept](../../src/veritls/errors.py)`\n```\n[kept](../../README.md)\n```\n"
    )
    shown = (tmp_path / "staged/files/src/veritls/policy.py.md").read_text("utf-8")
    assert (ROOT / "src/veritls/policy.py").read_text("utf-8").strip() in shown
