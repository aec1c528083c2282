"""Shows which module imports which, from the top storey down. Exits with 1 where house.toml is not kept."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.house import drawing, python_imports, rust_imports
from tests.house.rules import House, load

ROOT = Path(__file__).parents[2]


def houses(src: Path, engine: Path, rules: Path) -> list[House]:
    """The houses of the package in the folder `src` and of the crate in the folder `engine`."""
    data = load(rules)
    return [
        House("Python", data["python"], python_imports.read(src)),
        House("Rust", data["rust"], rust_imports.read(engine)),
    ]


def stale(built: list[House], page: Path) -> list[str]:
    """The fault of a page whose picture is not that of the houses."""
    if not page.exists():
        return [f"{page.name} does not exist."]
    text = page.read_text(encoding="utf-8")
    try:
        fresh = drawing.written(text, drawing.mermaid(built))
    except ValueError as error:
        return [f"{page.name}: {error}."]
    return [] if fresh == text else [f"The picture in {page.name} is stale: python -m tests.house --write."]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.house", description=__doc__)
    parser.add_argument("--src", type=Path, default=ROOT / "src/veritls", help="the folder of the package")
    parser.add_argument("--engine", type=Path, default=ROOT / "engine/src", help="the folder of the crate")
    parser.add_argument("--rules", type=Path, default=Path(__file__).with_name("house.toml"))
    parser.add_argument("--page", type=Path, default=ROOT / "docs/architecture.md")
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--mermaid", action="store_true", help="print the picture as Mermaid flowcharts")
    does.add_argument("--write", action="store_true", help="write the picture into the page")
    does.add_argument(
        "--check", action="store_true", help="print the faults only, a stale picture among them"
    )
    given = parser.parse_args(arguments)
    # An older checkout has the package in PATH/veritls.
    src = given.src / "veritls" if (given.src / "veritls").is_dir() else given.src
    engine = given.engine / "src" if (given.engine / "src").is_dir() else given.engine
    built = houses(src, engine, given.rules)

    if given.mermaid:
        print(drawing.mermaid(built))
        return 0
    if given.write:
        page = given.page.read_text(encoding="utf-8")
        given.page.write_text(drawing.written(page, drawing.mermaid(built)), encoding="utf-8")
        return 0
    faults = [fault for house in built for fault in house.faults()]
    if given.check:
        faults += stale(built, given.page)
    else:
        print("\n\n".join(drawing.text(house) for house in built), end="\n\n")
    for fault in faults:
        print(fault, file=sys.stderr if not given.check else sys.stdout)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
