"""What the reference lacks: public names without a page, without a description, or without a version."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import veritls
from tests.site.docstrings import summary
from tests.site.names import Names


def public_modules(src: Path) -> set[str]:
    """The modules below `veritls` that say what they offer, by an `__all__`, and are not private."""
    found = set()
    for file in (src / "veritls").rglob("*.py"):
        module = ".".join(file.relative_to(src).with_suffix("").parts).removesuffix(".__init__")
        assigned = (
            node.targets[0]
            for node in ast.parse(file.read_text("utf-8")).body
            if isinstance(node, ast.Assign)
        )
        if "._" not in module and any(isinstance(to, ast.Name) and to.id == "__all__" for to in assigned):
            found.add(module)
    return found - {"veritls"}


def lacking(names: Names, src: Path) -> Iterator[str]:
    """One sentence for each fault."""
    on_pages = {page["module"] for page in names.spec["page"] if "module" in page}
    for module in sorted(public_modules(src) ^ on_pages):
        yield f"{module}: a module has an __all__ exactly where it is in tests/site/reference.toml"
    of_ssl = {f"veritls.{name}" for section in names.of_ssl.values() for name in section["names"]}
    for name in veritls.__all__:
        path = f"veritls.{name}"
        if path not in of_ssl | names.entries.keys() | names.aliases.keys():
            yield f"{path} is on no page: tests/site/reference.toml, or tests/site/ssl_names.toml"
    described = {entry.path: entry for entry in names.entries.values()}
    described |= {entry.path: entry for found in names.members.values() for entry in found}
    for path, entry in described.items():
        if not summary(entry.docstring):
            yield f"{path} has no docstring"
    for path in sorted(described.keys() ^ names.since.keys()):
        yield f"{path}: exactly the names of the reference have a version in tests/site/since.toml"
    for path, entry in names.entries.items():
        for field in names.fields(entry):
            if f"`{field}`" not in entry.docstring:
                yield f"{path}: the docstring does not tell of the field {field}"
        groups = names.spec["groups"].get(path)
        grouped = [name for found in (groups or {}).values() for name in found]
        members = [member.name for member in names.members[path]]
        if groups and sorted(grouped) != sorted(members):
            odd = ", ".join(sorted({*grouped} ^ {*members}))
            yield f"{path}: {odd}: exactly the members are in the groups of tests/site/reference.toml"
