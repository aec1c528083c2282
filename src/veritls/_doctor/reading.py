"""Programs from files, folders and packages: read within bounds and parsed, never imported."""

from __future__ import annotations

import ast
import importlib.machinery
import os
import stat
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

MOST_BYTES = 2 << 20
"""Of one file. The largest module of CPython 3.13's library has 0.35 MiB."""
MOST_FILES = 20_000
"""In one run."""
MOST_FOLDERS = 32
"""Folders one in the other."""

STDIN = "-"
"""The argument that names standard input."""

_LEFT_OUT = {"__pycache__", "node_modules", "site-packages"}
"""Folders below a given one that are not the program's own, besides those whose names begin with a dot."""


@dataclass(frozen=True)
class Program:
    """One file, parsed."""

    path: str
    tree: ast.Module


@dataclass(frozen=True)
class Unreadable:
    """A file or folder that could not be read, and why."""

    path: str
    why: str


def programs(arguments: list[str]) -> Iterator[Program | Unreadable]:
    """The programs that the arguments name, each once: files, folders (their ``.py`` files), packages."""
    seen: set[tuple[int, int]] = set()
    for argument in arguments:
        for path in _files(argument):
            if isinstance(path, Unreadable):
                yield path
                continue
            if len(seen) >= MOST_FILES:
                yield Unreadable(path, f"more than {MOST_FILES:,} files: the rest is left out")
                return
            found = read(path, seen)
            if found is not None:
                yield found


def _files(argument: str) -> Iterator[str | Unreadable]:
    if argument == STDIN:
        yield argument
    elif os.path.isdir(argument):
        found = False
        for each in _in_folder(argument, MOST_FOLDERS):
            found = True
            yield each
        if not found:
            yield Unreadable(argument, "no Python file is in this folder")
    elif os.path.lexists(argument):
        yield argument
    else:
        place = _package(argument)
        if place is None:
            yield Unreadable(argument, "no file, folder or package has this name")
        else:
            yield from _files(place)


def _in_folder(folder: str, depth: int) -> Iterator[str | Unreadable]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as why:
        yield Unreadable(folder, why.strerror or str(why))
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):  # a link to a folder may lead round in a circle
            if entry.name.startswith(".") or entry.name in _LEFT_OUT:
                continue
            if depth <= 1:
                yield Unreadable(entry.path, f"more than {MOST_FOLDERS} folders one in the other")
            else:
                yield from _in_folder(entry.path, depth - 1)
        elif entry.name.endswith((".py", ".pyw")) and not os.path.isdir(entry.path):
            yield entry.path


def _package(name: str) -> str | None:
    """The file or folder of an installed module or package, which is not imported, nor is its parent."""
    first, *rest = name.split(".")
    if not all(part.isidentifier() for part in (first, *rest)):
        return None
    spec = importlib.machinery.PathFinder.find_spec(first, sys.path)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(part, list(spec.submodule_search_locations))
    if spec is None:
        return None
    if spec.submodule_search_locations is not None:
        return next(iter(spec.submodule_search_locations), None)
    return spec.origin if spec.origin and spec.origin.endswith(".py") else None


def read(path: str, seen: set[tuple[int, int]]) -> Program | Unreadable | None:
    """One file, or why it cannot be read; None for one that was `seen` under another name."""
    if path == STDIN:
        return _from_stdin()
    if path.endswith(".ipynb"):  # JSON, which parses as an expression in Python
        return Unreadable(path, "a notebook: make a script of it (jupyter nbconvert --to script)")
    try:
        # A name may be a pipe's, which would keep the call waiting.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as why:
        return Unreadable(path, getattr(why, "strerror", None) or str(why))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Unreadable(path, "not a regular file")
        if (status.st_dev, status.st_ino) in seen:
            return None
        seen.add((status.st_dev, status.st_ino))
        try:
            source = file.read(MOST_BYTES + 1)
        except OSError as why:
            return Unreadable(path, why.strerror or str(why))
    return _within_bounds(path, source)


def _from_stdin() -> Program | Unreadable:
    if sys.stdin is None:
        return Unreadable(STDIN, "standard input is closed")
    return _within_bounds("<stdin>", sys.stdin.buffer.read(MOST_BYTES + 1))


def _within_bounds(path: str, source: bytes) -> Program | Unreadable:
    if len(source) > MOST_BYTES:
        return Unreadable(path, f"larger than {MOST_BYTES:,} bytes")
    return parse(path, source)


def parse(path: str, source: bytes) -> Program | Unreadable:
    """The program in a file's bytes, in UTF-8 or as its coding line says (PEP 263)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the program: not ours to tell
            return Program(path, ast.parse(source, path))
    except SyntaxError as why:
        where = f"line {why.lineno}: " if why.lineno else ""
        return Unreadable(path, f"{where}{why.msg}")
    except (ValueError, LookupError) as why:  # a zero byte, an unknown encoding
        return Unreadable(path, str(why))
    except (RecursionError, MemoryError):
        return Unreadable(path, "nested too deeply")
