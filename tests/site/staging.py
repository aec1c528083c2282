"""The Markdown that the site is rendered from: the pages of docs/, with their links as the site has them.

A page of docs/ links to files of the checkout, as editors and forges show them. The site has the pages; a
text file that one of them links to becomes a page of its own, so that no link leads outside.
"""

from __future__ import annotations

import importlib.resources
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
OTHERS = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
"""Pages outside docs/ -> their place on the site."""
LANGUAGES = {".py": "python", ".rs": "rust", ".toml": "toml", ".json": "json"}

MERMAID = "assets/mermaid.js"
"""The script on the site. The package mermaidx brings Mermaid's own file."""

_FENCE = re.compile(r"(^[ ]*(`{3,}|~{3,}).*?^[ ]*\2`*[ ]*$)", re.M | re.S)
_CODE = re.compile(r"(`[^`]+`)")
_LONG = re.compile(r"(?<![\w./:(\[<\"=#-])[\w./:]{24,}(?![\w./:)\]>\"])")
_LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)\s#]+)((?:#[^)\s]*)?\))")


class Staged:
    """The pages of a site in the making, in the folder `folder`."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.folder, self.root = folder, root
        self.pages: dict[str, str] = {}  # path in the checkout -> path on the site
        self.shown: set[str] = set()

    def write(self) -> None:
        """Copy docs/ and the pages outside of it, with links that lead to pages of the site."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        docs = self.root / "docs"
        shutil.copytree(docs, self.folder, ignore=shutil.ignore_patterns("*.md"))
        for page in docs.rglob("*.md"):
            self.pages[str(page.relative_to(self.root))] = str(page.relative_to(docs))
        self.pages |= {name: place for name, place in OTHERS.items() if (self.root / name).exists()}
        for source, place in list(self.pages.items()):
            self._put(place, self.linked((self.root / source).read_text("utf-8"), source, place))

    def linked(self, text: str, source: str, place: str) -> str:
        """The text of the page `source`, whose place on the site is `place`, with the site's links."""

        def link(match: re.Match[str]) -> str:
            opening, target, rest = match.groups()
            return f"{opening}{self._target(target, source, place)}{rest}"

        def line(text: str) -> str:
            change = _breakable if text.lstrip().startswith("|") else str
            pieces = _CODE.split(text)
            return "".join(
                piece if index % 2 else change(_LINK.sub(link, piece)) for index, piece in enumerate(pieces)
            )

        parts = _FENCE.split(text)
        # Each match gives the block of code and its fence; what is between them is prose.
        for index in range(0, len(parts), 3):
            parts[index] = "\n".join(map(line, parts[index].split("\n")))
        return "".join(part for index, part in enumerate(parts) if index % 3 != 2)

    def _target(self, target: str, source: str, place: str) -> str:
        path = os.path.normpath(os.path.join(os.path.dirname(source), target))
        if path not in self.pages and not path.startswith(("docs/", "..")) and (self.root / path).is_file():
            self._show(path)
        if path not in self.pages:
            return target  # a file below docs/; or nothing, of which the build complains
        return os.path.relpath(self.pages[path], os.path.dirname(place) or ".")

    def _show(self, path: str) -> None:
        """Make a page of a file of the checkout."""
        text = (self.root / path).read_text("utf-8")
        language = LANGUAGES.get(Path(path).suffix, "text")
        place = self.pages[path] = f"files/{path}.md"
        self.shown.add(place)
        fence = "`" * (3 + max((len(run) for run in re.findall("`{3,}", text)), default=0))
        self._put(place, f"# {path}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n")

    def _put(self, place: str, text: str) -> None:
        if "```mermaid" in text:
            text += self._mermaid(place)
        page = self.folder / place
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, "utf-8")

    def _mermaid(self, place: str) -> str:
        """The script that draws a page's pictures. Without one the theme loads it from another host."""
        script = self.folder / MERMAID
        script.parent.mkdir(exist_ok=True)
        if not script.exists():
            script.write_bytes(
                importlib.resources.files("mermaidx").joinpath("assets/mermaid.js").read_bytes()
            )
        return f'\n<script src="{os.path.relpath(MERMAID, os.path.dirname(place) or ".")}"></script>\n'


def _breakable(text: str) -> str:
    """A row of a table with places to break in its long words, such as the names of tests."""
    return _LONG.sub(lambda word: re.sub(r"(?<=[/_:])(?=\w)", "<wbr>", word.group()), text)


def navigation(tree: object, there: Iterable[str]) -> list[object]:
    """The navigation `tree`, filled with what is there. Raises ValueError for one that it does not name."""
    left = set(there)
    named = {entry for entry in _entries(tree) if "*" not in entry}

    def filled(node: object) -> list[object]:
        if isinstance(node, str):
            if "*" not in node:
                found = [node] if node in left else []
            else:
                match = re.compile(re.escape(node).replace(r"\*", "[^/]*")).fullmatch
                found = sorted(filter(match, left - named), key=lambda page: page.removesuffix(".md"))
            left.difference_update(found)
            return list(found)
        if isinstance(node, dict):
            sections = ((title, filled(below)) for title, below in node.items())
            return [{title: below} for title, below in sections if below]
        assert isinstance(node, list)
        return [entry for below in node for entry in filled(below)]

    made = filled(tree)
    if left:
        raise ValueError(f"the navigation in tests/site/site.toml does not name {', '.join(sorted(left))}")
    return made


def _entries(node: object) -> Iterable[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for below in node.values():
            yield from _entries(below)
    elif isinstance(node, list):
        for below in node:
            yield from _entries(below)
