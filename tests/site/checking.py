"""The built pages, read again: where their links lead and what a browser loads for them.

Zensical checks the links between Markdown files. This one also sees links to other files, pictures, and
what comes out of docstrings and raw HTML.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Elements whose attribute a browser loads, not only follows."""


class Page(HTMLParser):
    """What a page of the site names: its anchors, its links, and what a browser loads for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and LOADED[tag] in given and given.get("rel") != "canonical":
            self.loaded.append(given[LOADED[tag]])


def read(html: Path) -> dict[Path, Page]:
    """Each page of the built site, but for that of a missing page: its links are those of the root."""
    found = html.resolve().rglob("*.html")
    return {path: Page(path.read_text("utf-8")) for path in found if path.name != "404.html"}


def faults(html: Path) -> Iterator[str]:
    """What is wrong with the built site: broken links and anchors, and what comes from another host."""
    pages = read(html)
    for path, page in pages.items():
        name = path.relative_to(html.resolve())
        for link in page.links:
            if not urlsplit(link).scheme and not _leads_somewhere(link, path, pages):
                yield f"{name}: {link} leads nowhere"
        for each in page.loaded:
            parts = urlsplit(each)
            if parts.netloc or parts.scheme not in ("", "data"):
                yield f"{name}: {each} is loaded from another host"
            elif not parts.scheme and not _leads_somewhere(each, path, pages):
                yield f"{name}: {each} is missing"


def _leads_somewhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return False
    fragment = unquote(parts.fragment)
    return not fragment or target not in pages or fragment in pages[target].anchors
