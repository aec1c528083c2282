"""The built pages, read again: where their links lead and what a browser loads for them.

Zensical checks the links between Markdown files. This one also sees links to other files, pictures, and
what comes out of docstrings and raw HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

_TAG = re.compile(r"<(a|script|img|iframe|source|link)\b([^>]*)>")
_ANCHOR = re.compile(r"<[^>]*?\s(?:id|name)=[\"']?([^\"'\s>]+)")
_ATTRIBUTE = re.compile(r"\b(href|src|rel)=(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))")


class Page:
    """What a page of the site names: its anchors, its links, and what a browser loads for it."""

    def __init__(self, text: str) -> None:
        self.anchors = {html.unescape(name) for name in _ANCHOR.findall(text)}
        self.links: list[str] = []
        self.loaded: list[str] = []
        for tag, attributes in _TAG.findall(text):
            found = {each[0]: html.unescape("".join(each[1:])) for each in _ATTRIBUTE.findall(attributes)}
            if tag == "a" and "href" in found:
                self.links.append(found["href"])
            elif tag != "a" and found.get("rel") != "canonical":
                self.loaded += [found[name] for name in ("src", "href") if name in found]


def read(site: Path) -> dict[Path, Page]:
    """Each page of the built site, but for that of a missing page: its links are those of the root."""
    found = site.resolve().rglob("*.html")
    return {path: Page(path.read_text("utf-8")) for path in found if path.name != "404.html"}


def faults(site: Path) -> Iterator[str]:
    """What is wrong with the built site: broken links and anchors, and what comes from another host."""
    pages = read(site)
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
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
