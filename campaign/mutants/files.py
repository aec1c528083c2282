"""Which files decide, the most important first."""

from __future__ import annotations

from campaign.mutants import copies

PYTHON = (
    "src/veritls/_value.py",
    "src/veritls/policy.py",
    "src/veritls/peers.py",
    "src/veritls/_context",
    "src/veritls/_connection",
    "src/veritls/_loading",
    "src/veritls/aio",
)
ENGINE = (
    "engine/src/verify",
    "engine/src/tls",
    "engine/src/driving",
    "engine/src/wire",
)
LEFT_OUT = (
    # A table of names and OIDs.
    "src/veritls/_loading/attribute_names.py",
)


def python() -> list[str]:
    """The Python files, as paths from the root of the repository."""
    return _listed(PYTHON, "*.py")


def engine() -> list[str]:
    """The files of the engine, as paths from the root of the repository."""
    return _listed(ENGINE, "*.rs")


def _listed(places: tuple[str, ...], pattern: str) -> list[str]:
    found: list[str] = []
    for each in places:
        path = copies.ROOT / each
        inside = sorted(path.rglob(pattern)) if path.is_dir() else [path]
        found += [str(file.relative_to(copies.ROOT)) for file in inside]
    return [each for each in found if each not in LEFT_OUT]
