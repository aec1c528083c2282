"""The documentation site builds without a warning, its links lead somewhere, and it needs no other host."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from pathlib import Path

import pytest

if not (os.environ.get("CI") or all(map(importlib.util.find_spec, ("griffe", "mermaidx", "zensical")))):
    pytest.skip("griffe, mermaidx or zensical, of the extra docs, is missing", allow_module_level=True)

import veritls
from tests.site.building import build
from tests.site.checking import faults, read
from tests.site.complete import lacking
from tests.site.docstrings import linked, shaped, summary
from tests.site.names import Names
from tests.site.staging import ROOT, Staged, navigation

FEW = [
    "compatibility.md",
    "operating.md",
    "reference/index.md",
    "reference/command-line.md",
    "verification.md",
]
"""Pages that the reference needs, and one to be changed."""


def copied(folder: Path) -> Path:
    """A checkout with what the site is made of, but few pages: to be changed."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "CONTRIBUTING.md", folder)
    for page in FEW:
        (folder / "docs" / page).parent.mkdir(parents=True, exist_ok=True)
        (folder / "docs" / page).write_text(f"# {page}\n\n## Here\n", "utf-8")
    return folder


@pytest.fixture(scope="session")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
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
    root = copied(tmp_path / "checkout")
    (root / "CONTRIBUTING.md").unlink()  # its links are to pages that are not there
    (root / "docs/operating.md").write_text("# Broken\n\n" + "\n\n".join(broken), "utf-8")
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
    (root / "docs/decisions").mkdir()
    (root / "docs/decisions/9999-one.md").write_text(
        "[code](../../src/veritls/policy.py) [rules](../../CONTRIBUTING.md#mutants) "
        "[page](../operating.md)\n"
        "`[kept](../../src/veritls/errors.py)`\n```\n[kept](../../README.md)\n```\n"
        "| tests/a_name_that_is_very_long.py | `tests/a_name_that_is_very_long.py` |\n",
        "utf-8",
    )
    staged = Staged(tmp_path / "staged", root)
    staged.write()
    text = (tmp_path / "staged/decisions/9999-one.md").read_text("utf-8")
    assert text == (
        "[code](../files/src/veritls/policy.py.md) [rules](../contributing.md#mutants) "
        "[page](../operating.md)\n"
        "`[kept](../../src/veritls/errors.py)`\n```\n[kept](../../README.md)\n```\n"
        "| tests/<wbr>a_<wbr>name_<wbr>that_<wbr>is_<wbr>very_<wbr>long.py |"
        " `tests/a_name_that_is_very_long.py` |\n"
    )
    shown = (tmp_path / "staged/files/src/veritls/policy.py.md").read_text("utf-8")
    assert (ROOT / "src/veritls/policy.py").read_text("utf-8").strip() in shown


def test_every_public_name_is_in_the_reference_with_its_description(html: Path) -> None:
    """What has no docstring, version or page fails the build (see below): here, that the build shows them."""
    pages = {path: path.read_text("utf-8") for path in (html / "reference").rglob("*.html")}
    shown = "".join(pages.values())
    names = Names(ROOT / "src")
    described = [*names.entries.values(), *(each for found in names.members.values() for each in found)]
    assert len(described) > 250
    for entry in described:
        _, found, after = shown.partition(f'id="{entry.path}"')
        assert found, entry.path
        about = re.split(r"<h\d", after)[0]
        assert "since 0." in about, entry.path
        assert len(re.sub(r"<[^>]*>", "", about.partition('class="facts"')[2])) > 30, entry.path
    for name in veritls.__all__:
        assert f">{name}</code>" in shown, name


def test_members_of_private_bases_are_shown_as_those_of_the_public_class(html: Path) -> None:
    text = (html / "reference/sslcontext/index.html").read_text("utf-8")
    assert 'id="veritls.SSLContext.allowed_peers"' in text
    assert "OwnMembers" not in text and "HasSettings" not in text and "veritls._" not in text
    text = (html / "reference/sslsocket/index.html").read_text("utf-8")
    assert 'id="veritls.SSLSocket.getpeercert"' in text
    assert "ConnectionState" not in text


def test_a_name_says_since_when_it_is_there_and_how_ssl_differs(html: Path) -> None:
    text = re.sub(r"<[^>]*>", "", (html / "reference/sslcontext/index.html").read_text("utf-8"))
    assert "property, can be set · since 0.1.0 · in ssl too" in text
    assert "since 0.2.0 · not in ssl" in text
    assert "in ssl since Python 3.15" in text
    assert "maximum_version cannot be set below TLS 1.2, and nothing older is spoken → ValueError" in text


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "peers.py",
            '    "Email",\n',
            '    "Email",\n    "as_pin",\n',
            "veritls.peers.as_pin: exactly the names",
        ),
        (
            "policy.py",
            '    """The rule for one side',
            '    0; """The rule for one side',
            "veritls.policy.rule has no docstring",
        ),
        ("_value.py", "from ", "__all__ = []\nfrom ", ""),
        ("_value.py", "", "", "veritls.extra: a module has an __all__ exactly where"),
        ("report.py", "`subject`", "`issued`", "the docstring does not tell of the field subject"),
        ("_context/trust.py", "    def clear_trust", "    def forget", "clear_trust, forget: exactly"),
    ],
)
def test_a_public_name_without_a_description_a_version_or_a_page_is_missed(
    tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    src = copied(tmp_path) / "src"
    changed = src / "veritls" / file
    text = changed.read_text("utf-8")
    assert old in text
    changed.write_text(text.replace(old, new, 1), "utf-8")
    if not old:
        (src / "veritls/extra.py").write_text('"""More."""\n\n__all__ = ["more"]\n', "utf-8")
    found = list(lacking(Names(src), src))
    assert any(said in each for each in found) if said else found == []


def test_a_docstring_becomes_markdown() -> None:
    docstring = (
        "Waits for ``bytes``. It returns early.\n\n"
        "`size`: how many, at most\n64 KiB. `at`, `until`: seconds. Raises OSError where it ends;\n"
        "ValueError for less than 0.\n\n    reader.read(5)\n"
    )
    assert summary(docstring) == "Waits for `bytes`"
    assert shaped(docstring) == (
        "Waits for `bytes`. It returns early.\n\n"
        "- `size`: how many, at most 64 KiB.\n"
        "- `at`, `until`: seconds.\n\n"
        "**Raises** OSError where it ends; ValueError for less than 0.\n\n"
        "```python\nreader.read(5)\n```"
    )
    text = linked("`read` `size`\n```\n`read`\n```\nsee docs/a.md", {"read": "#r"}.get, {"a": "../a.md"}.get)
    assert text == "[`read`](#r) `size`\n```\n`read`\n```\nsee [docs/a.md](../a.md)"


def test_the_help_of_every_command_is_on_the_site(html: Path) -> None:
    text = (html / "reference/command-line/index.html").read_text("utf-8")
    for command in ("check", "demo", "doctor", "run", "serve"):
        assert f"veritls {command}</" in text or f"veritls {command}<a" in text
        assert f"veritls {command}" in text.partition("Usage:")[2]
