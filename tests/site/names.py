"""The public names: what each is, the page that describes it, and since when it is there.

griffe reads the package without importing it, so that a module whose dependency is missing is there all the
same. SSLContext's members come from classes in private modules; they count as its own.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import griffe

import veritls

HERE = Path(__file__).parent
ELSEWHERE = {"veritls.MemoryBIO": "veritls._engine.MemoryBIO"}
"""Classes of the engine, of which griffe reads the stub."""


def data(name: str) -> dict[str, Any]:
    """One of the tables beside this file."""
    return tomllib.loads((HERE / name).read_text("utf-8"))


def target(found: Any) -> Any:
    """What an alias stands for."""
    return found.final_target if isinstance(found, griffe.Alias) else found


@dataclass(frozen=True)
class Entry:
    """A public name: what users call it, griffe's object, and the page that describes it."""

    path: str
    object: Any
    page: str

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def holder(self) -> str:
        return self.path.rpartition(".")[0]

    @cached_property
    def docstring(self) -> str:
        if self.object.docstring is not None:
            return inspect.cleandoc(self.object.docstring.value)
        if self.path.startswith(tuple(ELSEWHERE)):  # a stub has no docstrings; the engine has
            found: Any = veritls
            for part in self.path.split(".")[1:]:
                found = getattr(found, part)
            return inspect.getdoc(found) or ""
        return ""


class Names:
    """Every public name but those that are `ssl`'s own objects, of which ssl_names.toml tells."""

    def __init__(self, src: Path) -> None:
        self.spec = data("reference.toml")
        self.of_ssl = data("ssl_names.toml")
        self.since = {
            f"{holder}.{name}": version
            for version, holders in data("since.toml").items()
            for holder, names in holders.items()
            for name in names
        }
        self._package = griffe.load(
            "veritls", search_paths=[str(src)], resolve_aliases=True, resolve_external=False
        )
        self.entries = {entry.path: entry for page in self.spec["page"] for entry in self._of_page(page)}
        self.members = {path: list(self._members(entry)) for path, entry in self.entries.items()}
        self.aliases = {
            f"veritls.{entry.name}": entry
            for entry in self.entries.values()
            if entry.path.count(".") > 1 and entry.name in veritls._IMPORTED_WHEN_ASKED_FOR
        }
        """Names of modules that `veritls` itself has, too."""
        self.targets = {target(entry.object).path for entry in self.entries.values()}
        self._places = self._all_places()

    def object(self, path: str) -> Any:
        """griffe's object. Raises KeyError where there is none."""
        return self._package[ELSEWHERE.get(path, path).removeprefix("veritls.")]

    def _of_page(self, page: dict[str, Any]) -> Iterator[Entry]:
        if "module" in page:
            exports = self.object(page["module"]).exports or ()
            paths = [f"{page['module']}.{name}" for name in exports]
        else:
            paths = page["names"]
        for path in paths:
            yield Entry(path, self.object(path), page["file"])

    def hidden(self, entry: Entry) -> set[str]:
        """The members of a class that are no interface; "*" for all."""
        return {*self.spec["hidden"].get(entry.path, ()), *self.spec["hidden"]["*"]}

    def _members(self, entry: Entry) -> Iterator[Entry]:
        """Its public members that have something to say; fields are told of in the class's docstring."""
        for name, member in self._public_members(entry):
            found = Entry(f"{entry.path}.{name}", member, entry.page)
            if member.kind is griffe.Kind.FUNCTION or "property" in member.labels or found.docstring:
                yield found

    def _public_members(self, entry: Entry) -> Iterator[tuple[str, Any]]:
        hidden = self.hidden(entry)
        if entry.object.kind is griffe.Kind.CLASS and "*" not in hidden:
            for name, member in entry.object.all_members.items():
                if not name.startswith("_") and name not in hidden:
                    yield name, member

    def fields(self, entry: Entry) -> list[str]:
        """The attributes of a class that have no docstring of their own."""
        told = {member.name for member in self.members[entry.path]}
        return [name for name, _ in self._public_members(entry) if name not in told]

    def _all_places(self) -> dict[str, str]:
        """Each name and module -> its page, with an anchor."""
        described = [*self.entries.values(), *(each for found in self.members.values() for each in found)]
        places = {entry.path: f"{entry.page}#{entry.path}" for entry in described}
        places |= {path: places[entry.path] for path, entry in self.aliases.items()}
        places |= {page["module"]: page["file"] for page in self.spec["page"] if "module" in page}
        for section in self.of_ssl.values():
            places |= {f"veritls.{name}": f"constants.md#veritls.{name}" for name in section["names"]}
        return places

    def page_of(self, module: str) -> str | None:
        return self._places.get(module)

    def place_of(self, words: str, entry: Entry | None, page: str) -> str | None:
        """The link from `page` to what a piece of code names; `entry`: in whose docstring it stands."""
        words = words.removesuffix("()")
        if not re.fullmatch(r"[A-Za-z_][\w.]*", words):
            return None
        modules = [each["module"] for each in self.spec["page"] if each["file"] == page and "module" in each]
        within = [*modules, "veritls", "veritls.SSLContext"]
        if entry is not None:
            parameters = {each.name for each in getattr(entry.object, "parameters", None) or ()}
            owner = self.entries.get(entry.path) or self.entries[entry.holder]
            if words in {entry.name, *parameters, *self.fields(owner)}:
                return None
            within = [entry.path, entry.holder, entry.holder.rpartition(".")[0], *within]
        for path in [*(f"{each}.{words}" for each in within), words]:
            if path in self._places:
                file, _, anchor = self._places[path].partition("#")
                if file == page:
                    return f"#{anchor}" if anchor else None
                return self._places[path]
        return None
