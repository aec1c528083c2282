"""Modules and the arrows between them: circles, and the storeys that the longest path counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["module", "function", "types"]


@dataclass(frozen=True, order=True)
class Arrow:
    """One import. `kind` is where it stands: in the module's body, in a function, or under TYPE_CHECKING."""

    source: str
    target: str
    kind: Kind = "module"
    line: int = 0


@dataclass(frozen=True)
class Tree:
    """What one language's sources contain. `separator` stands between the parts of a module's name."""

    modules: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    separator: str


def _targets(modules: Iterable[str], arrows: Iterable[Arrow]) -> dict[str, list[str]]:
    targets: dict[str, set[str]] = {module: set() for module in modules}
    for arrow in arrows:
        if arrow.source in targets and arrow.target in targets:
            targets[arrow.source].add(arrow.target)
    return {module: sorted(found) for module, found in targets.items()}


def components(modules: Iterable[str], arrows: Iterable[Arrow]) -> list[tuple[str, ...]]:
    """The strongly connected components, what is imported before what imports it (Tarjan's algorithm)."""
    targets = _targets(modules, arrows)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []
    for root in sorted(targets):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        work: list[tuple[str, Iterator[str]]] = [(root, iter(targets[root]))]
        while work:
            module, rest = work[-1]
            for target in rest:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    work.append((target, iter(targets[target])))
                    break
                if target in stack:
                    low[module] = min(low[module], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[module])
                if low[module] == index[module]:
                    at = stack.index(module)
                    found.append(tuple(sorted(stack[at:])))
                    del stack[at:]
    return found


def circles(modules: Iterable[str], arrows: Iterable[Arrow]) -> list[tuple[str, ...]]:
    """The components of more than one module, the largest first."""
    many = [component for component in components(modules, arrows) if len(component) > 1]
    return sorted(many, key=lambda circle: (-len(circle), circle))


def storeys(modules: Iterable[str], arrows: Iterable[Arrow]) -> dict[str, int]:
    """The storey of each module, 1 at the bottom: how many modules the longest way down has, itself included.

    A circle has no lowest module: its modules share the storey of a way that passes through all of them.
    """
    modules = list(modules)
    arrows = list(arrows)
    targets = _targets(modules, arrows)
    height: dict[str, int] = {}
    for component in components(modules, arrows):
        below = (height[t] for module in component for t in targets[module] if t not in component)
        top = max(below, default=0) + len(component)
        for module in component:
            height[module] = top
    return height
