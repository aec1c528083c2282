"""What house.toml demands of a tree, and the faults of a tree that does not keep to it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.house.graph import Arrow, Tree, circles, storeys


@dataclass(frozen=True)
class Room:
    """Modules that stand together. `on_top` marks programs that use the library and are no part of it."""

    name: str
    modules: tuple[str, ...]
    storeys: int | None
    on_top: bool


@dataclass(frozen=True)
class Excuse:
    """One import that is allowed to stand in a function, or under TYPE_CHECKING to turn upward."""

    source: str
    target: str
    reason: str


@dataclass(frozen=True)
class Figures:
    """The largest circle, and the storeys of the whole tree and of the library without what is on top."""

    circle: int
    storeys: int
    library: int


class House:
    """One language's tree under its rules."""

    def __init__(self, language: str, rules: dict[str, Any], tree: Tree) -> None:
        self.language = language
        self.tree = tree
        self.limits = {name: rules.get(name) for name in ("circle", "storeys", "library")}
        self.excuses = [Excuse(each["from"], each["to"], each["reason"]) for each in rules.get("excuse", ())]
        rooms = [
            Room(
                each["name"],
                tuple(each.get("modules", (each["name"], f"{each['name']}{tree.separator}*"))),
                each.get("storeys"),
                each.get("on_top", False),
            )
            for each in rules.get("room", ())
        ]
        self.homeless: list[str] = []
        self.room: dict[str, str] = {}
        for module in tree.modules:
            self.room[module] = self._room_of(module, rooms)
        self.rooms = rooms
        self.order = {room.name: at for at, room in enumerate(rooms)}
        excused = {(excuse.source, excuse.target) for excuse in self.excuses}
        self.kept = [
            arrow
            for arrow in tree.arrows
            if arrow.kind == "module" or (arrow.source, arrow.target) not in excused
        ]
        self.height = storeys(tree.modules, self.kept)

    def _room_of(self, module: str, rooms: list[Room]) -> str:
        """The first room whose patterns match; without one, a room of the folder's name at the bottom."""
        for room in rooms:
            if any(fnmatchcase(module, pattern) for pattern in room.modules):
                return room.name
        self.homeless.append(module)
        name = module.split(self.tree.separator)[0]
        if all(room.name != name for room in rooms):
            rooms.append(Room(name, (), None, False))
        return name

    def members(self, room: str) -> list[str]:
        return [module for module in self.tree.modules if self.room[module] == room]

    def figures(self, arrows: Iterable[Arrow]) -> Figures:
        arrows = list(arrows)
        on_top = {room.name for room in self.rooms if room.on_top}
        library = [module for module in self.tree.modules if self.room[module] not in on_top]
        found = circles(self.tree.modules, arrows)
        return Figures(
            max(map(len, found), default=0),
            max(storeys(self.tree.modules, arrows).values(), default=0),
            max(storeys(library, arrows).values(), default=0),
        )

    def turns_upward(self, arrow: Arrow) -> bool:
        return self.order[self.room[arrow.source]] > self.order[self.room[arrow.target]]

    def faults(self) -> list[str]:
        """One sentence for each fault."""
        return [
            *(f"{self.language}: {module} belongs to no room of house.toml." for module in self.homeless),
            *self._arrow_faults(),
            *self._excuse_faults(),
            *self._circle_faults(),
            *self._storey_faults(),
        ]

    def _arrow_faults(self) -> list[str]:
        faults = []
        for arrow in self.kept:
            line = f"{self.language}: {arrow.source} imports {arrow.target} (line {arrow.line})"
            if self.turns_upward(arrow):
                rooms = f"{self.room[arrow.source]} stands below {self.room[arrow.target]}"
                faults.append(f"{line}, which turns upward: {rooms}.")
            elif arrow.kind == "function":
                faults.append(f"{line} in a function, and house.toml gives no reason.")
        return faults

    def _excuse_faults(self) -> list[str]:
        faults = []
        for excuse in self.excuses:
            pair = f"{self.language}: house.toml excuses the import of {excuse.target} in {excuse.source}"
            kinds = [
                arrow
                for arrow in self.tree.arrows
                if (arrow.source, arrow.target) == (excuse.source, excuse.target) and arrow.kind != "module"
            ]
            if not kinds:
                faults.append(f"{pair}, which is gone.")
            elif not any(arrow.kind == "function" or self._needs_excuse(arrow) for arrow in kinds):
                faults.append(f"{pair}, which neither turns upward nor closes a circle.")
            if not excuse.reason.strip():
                faults.append(f"{pair} without a reason.")
        return faults

    def _needs_excuse(self, arrow: Arrow) -> bool:
        closed = circles(self.tree.modules, self.tree.arrows)
        return self.turns_upward(arrow) or any(
            {arrow.source, arrow.target} <= set(circle) for circle in closed
        )

    def _circle_faults(self) -> list[str]:
        allowed = self.limits["circle"] or 0
        return [
            f"{self.language}: {len(circle)} modules import each other in a circle: {', '.join(circle)}."
            for circle in circles(self.tree.modules, self.kept)
            if len(circle) > allowed
        ]

    def _storey_faults(self) -> list[str]:
        found = self.figures(self.kept)
        counted = [
            (self.language, found.storeys, self.limits["storeys"]),
            (f"{self.language}: the library", found.library, self.limits["library"]),
        ]
        for room in self.rooms:
            inside = max(storeys(self.members(room.name), self.kept).values(), default=0)
            counted.append((f"{self.language}: {room.name}", inside, room.storeys))
        return [
            f"{name} has {number} storeys, and house.toml allows {allowed}."
            for name, number, allowed in counted
            if allowed is not None and number > allowed
        ]


def load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
