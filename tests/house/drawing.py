"""The house as text, and as Mermaid flowcharts: the rooms of each language, then each room's modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.house.graph import circles, storeys
from tests.house.rules import House

BEGIN = "<!-- drawn by `python -m tests.house --write` -->"
END = "<!-- end of what is drawn -->"


def _figures(house: House) -> Iterator[str]:
    ways = {
        "every import": list(house.tree.arrows),
        "without the excused": house.kept,
        "at module level": [arrow for arrow in house.tree.arrows if arrow.kind == "module"],
    }
    for name, arrows in ways.items():
        found = house.figures(arrows)
        ring = f"{found.circle} modules" if found.circle else "none"
        yield (
            f"  {name}: {found.storeys} storeys, the library {found.library}; "
            f"circles {len(circles(house.tree.modules, arrows))}, the largest {ring}"
        )
    for room in house.rooms:
        members = house.members(room.name)
        if members:
            inside = max(storeys(members, house.kept).values())
            yield f"  {room.name}: {inside} storeys, {len(members)} modules"


def text(house: House) -> str:
    """The storeys from the top down, each module with what it imports, and the figures."""
    lines = [f"{house.language}: {len(house.tree.modules)} modules, {len(house.tree.arrows)} imports"]
    imports: dict[str, set[str]] = {module: set() for module in house.tree.modules}
    for arrow in house.tree.arrows:
        imports[arrow.source].add(arrow.target if arrow in house.kept else f"({arrow.target})")
    for storey in range(max(house.height.values(), default=0), 0, -1):
        for module in house.tree.modules:
            if house.height[module] == storey:
                below = ", ".join(sorted(imports[module])) or "nothing"
                lines.append(f"{storey:4} {module} -> {below}")
    for circle in circles(house.tree.modules, house.tree.arrows):
        lines.append(f"  circle: {', '.join(circle)}")
    return "\n".join([*lines, *_figures(house)])


def _chart(names: Iterable[str], pairs: Iterable[tuple[str, str, bool]]) -> str:
    """`pairs` are arrows; those whose third value is true are excused, and dotted."""
    number = {name: f"n{at}" for at, name in enumerate(names)}
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {short}["{name}"]' for name, short in number.items()]
    lines += [f"    {number[a]} {'-.->' if dotted else '-->'} {number[b]}" for a, b, dotted in pairs]
    return "\n".join([*lines, "```"])


def _reduced(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without the arrows that a longer way shows as well: what is left has the same reach."""
    below: dict[str, set[str]] = {}
    for source, target in pairs:
        below.setdefault(source, set()).add(target)

    def reach(start: str, without: tuple[str, str]) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            here = todo.pop()
            new = {t for t in below.get(here, ()) if (here, t) != without and t not in seen}
            seen |= new
            todo += new
        return seen

    for pair in sorted(pairs):
        if pair[1] in reach(pair[0], pair):
            below[pair[0]].discard(pair[1])
    return {(source, target) for source, targets in below.items() for target in targets}


def _rooms_chart(house: House) -> str:
    kept = Counter((house.room[arrow.source], house.room[arrow.target]) for arrow in house.kept)
    pairs = _reduced({pair for pair in kept if pair[0] != pair[1]})
    every = {(house.room[arrow.source], house.room[arrow.target]) for arrow in house.tree.arrows}
    upward = {(a, b) for a, b in every if house.order[a] > house.order[b]} - set(kept)
    names = [room.name for room in house.rooms if house.members(room.name)]
    rank = {name: at for at, name in enumerate(names)}

    def key(pair: tuple[str, str]) -> tuple[int, int]:
        return rank[pair[0]], rank[pair[1]]

    return _chart(
        names,
        [(*pair, False) for pair in sorted(pairs, key=key)]
        + [(*pair, True) for pair in sorted(upward, key=key)],
    )


def _room_chart(house: House, room: str) -> str:
    members = sorted(house.members(room), key=lambda module: (-house.height[module], module))
    inside = set(members)
    every = {(a.source, a.target) for a in house.tree.arrows if a.source in inside and a.target in inside}
    kept = {(a.source, a.target) for a in house.kept} & every
    shown = _reduced(kept)
    return _chart(members, [(*p, False) for p in sorted(shown)] + [(*p, True) for p in sorted(every - kept)])


def _section(house: House) -> Iterator[str]:
    found = house.figures(house.kept)
    yield f"### The rooms of the {house.language}"
    yield (
        f"{len(house.tree.modules)} modules in {found.storeys} storeys. "
        "An arrow that a longer way shows is left out; a dotted one is excused in `tests/house/house.toml`."
    )
    yield _rooms_chart(house)
    for room in house.rooms:
        members = house.members(room.name)
        if len(members) > 1:
            inside = max(storeys(members, house.kept).values())
            yield f"#### {house.language}: {room.name}"
            yield f"{len(members)} modules in {inside} storeys."
            yield _room_chart(house, room.name)


def mermaid(houses: Iterable[House]) -> str:
    return "\n\n".join(part for house in houses for part in _section(house))


def written(page: str, picture: str) -> str:
    """The page with the picture between its markers. ValueError where it does not have both of them once."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}, each once")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{picture}\n\n{END}{after}"
