"""The pages of the reference, as Markdown: every public name with its signature, its docstring, since when it
is there, and how `ssl` differs."""

from __future__ import annotations

import inspect
import os
import re
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import griffe

from tests import differences
from tests.site.docstrings import linked, shaped, summary
from tests.site.names import Entry, Names
from tests.site.signatures import signature, types

NEWER = {
    "SSLContext.get_groups": "3.15",
    "SSLContext.set_ciphersuites": "3.15",
    "SSLContext.set_client_sigalgs": "3.15",
    "SSLContext.set_groups": "3.15",
    "SSLContext.set_psk_client_callback": "3.13",
    "SSLContext.set_psk_server_callback": "3.13",
    "SSLContext.set_server_sigalgs": "3.15",
    "SSLObject.client_sigalg": "3.15",
    "SSLObject.get_unverified_chain": "3.13",
    "SSLObject.get_verified_chain": "3.13",
    "SSLObject.group": "3.15",
    "SSLObject.server_sigalg": "3.15",
    "SSLSocket.client_sigalg": "3.15",
    "SSLSocket.get_unverified_chain": "3.13",
    "SSLSocket.get_verified_chain": "3.13",
    "SSLSocket.group": "3.15",
    "SSLSocket.server_sigalg": "3.15",
    "get_sigalgs": "3.15",
}
"""Names that are here on every Python -> since which one `ssl` has them."""


def append(page: Path, blocks: Iterable[str]) -> None:
    """Add blocks of Markdown to a page of docs/."""
    page.write_text("\n\n".join([page.read_text("utf-8").rstrip(), *blocks]) + "\n", "utf-8")


class Reference:
    """Writes the pages into the folder `reference` of the folder `docs`, a site's Markdown."""

    def __init__(self, names: Names, docs: Path) -> None:
        self.names, self.docs = names, docs

    def write(self) -> None:
        folder = self.docs / "reference"
        folder.mkdir(parents=True, exist_ok=True)
        pages = {page["file"]: self._page(page) for page in self.names.spec["page"]}
        pages["constants.md"] = self._constants()
        for name, blocks in pages.items():
            (folder / name).write_text("\n\n".join(blocks) + "\n", "utf-8")
        append(folder / "index.md", self._index())

    def _page(self, page: dict[str, Any]) -> Iterator[str]:
        entries = [entry for entry in self.names.entries.values() if entry.page == page["file"]]
        if "module" in page:
            yield f"# {page['module']}"
            about = inspect.cleandoc(self.names.object(page["module"]).docstring.value)
            yield self._text(about, None, page["file"])
        elif len(entries) > 1:
            yield f"# {page['title']}"
        alone = len(entries) == 1 and "module" not in page
        for entry in entries:
            yield from self._entry(entry, 1 if alone else 2)

    def _entry(self, entry: Entry, level: int) -> Iterator[str]:
        yield f"{'#' * level} `{entry.name}` {{ #{entry.path} }}"
        if shown := signature(entry, self.names):
            yield "\n".join(["```python", shown, *types(entry, shown, self.names), "```"])
        yield f"{' · '.join(self._facts(entry))}\n{{ .facts }}"
        yield self._text(entry.docstring, entry, entry.page)
        yield from _unlike_ssl(entry)
        members = {member.name: member for member in self.names.members.get(entry.path, ())}
        for title, names in self.names.spec["groups"].get(entry.path, {"": list(members)}).items():
            if title:
                yield f"{'#' * (level + 1)} {title}"
            for name in names:
                yield from self._entry(members[name], level + 1 + bool(title))

    def _text(self, docstring: str, entry: Entry | None, page: str) -> str:
        return linked(shaped(docstring), lambda words: self.names.place_of(words, entry, page), self._of_docs)

    def _of_docs(self, name: str) -> str | None:
        """The link to a page of docs/, by its name, or to a decision by its number."""
        found = sorted(self.docs.glob(f"{name}.md")) or sorted(self.docs.glob(f"{name}-*.md"))
        return os.path.relpath(found[0], self.docs / "reference") if found else None

    def _facts(self, entry: Entry) -> Iterator[str]:
        """What kind of name it is, since when, and whether `ssl` has it."""
        labels = entry.object.labels
        if {"property", "cached"} & labels:
            yield "property, can be set" if "writable" in labels else "property"
        elif entry.object.kind is griffe.Kind.CLASS:
            yield "class"
        elif "classmethod" in labels:
            yield "class method"
        elif "staticmethod" in labels:
            yield "static method"
        if entry.path in self.names.since:
            yield f"since {self.names.since[entry.path]}"
        if entry.path.startswith("veritls.SSL") or entry.holder == "veritls":
            yield _in_ssl(entry)

    def _constants(self) -> Iterator[str]:
        yield "# Constants, enums and errors"
        yield "Names that veritls has from `ssl`: the same objects, so that they may be mixed. Since 0.1.0."
        for title, section in self.names.of_ssl.items():
            yield f"## {title}"
            yield self._text(section["intro"], None, "constants.md")
            rows = (
                f'| <span id="veritls.{name}">`{name}`</span> | {self._text(text, None, "constants.md")} |'
                for name, text in section["names"].items()
            )
            yield "\n".join(["| name | what it is |", "| --- | --- |", *rows])

    def _index(self) -> Iterator[str]:
        own = [(path, entry) for path, entry in self.names.entries.items() if entry.holder == "veritls"]
        tables = {"veritls": sorted([*own, *self.names.aliases.items()])}
        for page in self.names.spec["page"]:
            if "module" in page:
                found = [entry for entry in self.names.entries.values() if entry.page == page["file"]]
                tables[page["module"]] = [(entry.path, entry) for entry in found]
        yield "## Those of ssl\n\n[Constants, enums and errors](constants.md), the same objects as in `ssl`."
        for module, rows in tables.items():
            page_of = self.names.page_of(module)
            yield f"## [{module}]({page_of})" if page_of else f"## {module}"
            yield "\n".join(["| name | what it is | since |", "| --- | --- | --- |", *map(self._row, rows)])

    def _row(self, row: tuple[str, Entry]) -> str:
        path, entry = row
        since = self.names.since.get(path) or self.names.since.get(entry.path, "")
        about = summary(entry.docstring).replace("|", "\\|")
        return f"| [`{path.rpartition('.')[2]}`]({entry.page}#{entry.path}) | {about} | {since} |"


def _in_ssl(entry: Entry) -> str:
    path = entry.path.removeprefix("veritls.")
    if path in NEWER:
        return f"in `ssl` since Python {NEWER[path]}"
    theirs: Any = ssl
    for part in path.split("."):
        theirs = getattr(theirs, part, None)
    if theirs is None:
        return "not in `ssl`"
    added = " and ".join(f"`{name}`" for name in _added(entry, theirs))
    return f"in `ssl` too, without {added}" if added else "in `ssl` too"


def _added(entry: Entry, theirs: Any) -> list[str]:
    """The parameters that the function of `ssl` does not have."""
    if entry.object.kind is not griffe.Kind.FUNCTION or not inspect.isfunction(theirs):
        return []  # a built-in one may have other names for the same
    known = inspect.signature(theirs).parameters
    if any(each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL) for each in known.values()):
        return []
    return [each.name for each in entry.object.parameters if each.name not in known]


def _unlike_ssl(entry: Entry) -> Iterator[str]:
    """What docs/compatibility.md says about it."""
    if not entry.path.startswith(("veritls.SSL", "veritls.create", "veritls.get_")):
        return
    told = {**differences.NOT_OFFERED, **differences.SAFER}
    rows = [f"- {what} → {seen}" for what, seen in told.items() if _named(entry.name, f"{what}: {seen}")]
    if rows:
        yield "\n".join(["Unlike `ssl` ([all differences](../compatibility.md)):", "", *rows])


def _named(name: str, text: str) -> bool:
    """Whether a text names a name as code: one with an underscore anywhere, any other as a call."""
    ending = r"(?!\w)" if "_" in name else r"\(\)"
    return re.search(rf"(?<![\w.]){re.escape(name)}{ending}", text) is not None
