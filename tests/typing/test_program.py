"""The users' program that type checkers read (tests/test_typing.py) touches every public name."""

from __future__ import annotations

import ast
import importlib
import inspect
from contextlib import suppress
from pathlib import Path

import pytest

import veritls
from tests.test_docstrings import is_ours
from tests.typing.checking import FOLDER, TOUCHING

MODULES = (
    "veritls",
    "veritls.aio",
    "veritls.errors",
    "veritls.events",
    "veritls.events.opentelemetry",
    "veritls.events.prometheus",
    "veritls.peers",
    "veritls.policy",
    "veritls.report",
    "veritls.serving",
    "veritls.serving.gunicorn",
    "veritls.serving.hypercorn",
    "veritls.serving.uvicorn",
    "veritls.serving.wsgi",
    "veritls.sources",
    "veritls.tickets",
)
"""The modules that users import from. Each says in `__all__` what of it is public."""

CLASSES = ("SSLContext", "SSLSocket", "SSLObject", "SSLSession", "MemoryBIO", "OwnIdentity", "TrustEntry")

GONE = {"RAND_pseudo_bytes", "match_hostname", "wrap_socket"}
"""Of Python 3.11 only: typeshed has them no longer."""


def touched() -> set[str]:
    """Each name and attribute of the programs."""
    found = set()
    for program in TOUCHING:
        for node in ast.walk(ast.parse((FOLDER / program).read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Name):
                found.add(node.id)
    return found


TOUCHED = touched()


def members(kind: type) -> set[str]:
    """The public attributes that a class, or a base of it that is ours, defines or annotates."""
    found: set[str] = set()
    for each in filter(is_ours, kind.__mro__):
        found |= {*vars(each), *inspect.get_annotations(each)}
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_in_the_program(name: str) -> None:
    module = None
    with suppress(ImportError):  # of what is optional
        module = importlib.import_module(name)
    if module is None:
        pytest.skip(f"what {name} needs is not installed")  # servers; CI has them on one Python
    assert sorted({*module.__all__} - TOUCHED - GONE) == []
    assert [each for each in module.__all__ if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_member_is_in_the_program(name: str) -> None:
    assert sorted(members(getattr(veritls, name)) - TOUCHED) == []


def test_the_modules_are_all_that_are_public() -> None:
    """A module without an underscore and with `__all__` is one that users import from."""
    root = Path(veritls.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if parts[1:2] == ("cli",) or any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        if "\n__all__" in path.read_text("utf-8"):
            found.add(".".join(part for part in parts if part != "__init__"))
    assert found == set(MODULES)
