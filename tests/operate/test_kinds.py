"""What is counted by kind is bounded: the words that an event's kind can be are on a list, which is whole."""

from __future__ import annotations

import ast
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

import veritls
from veritls._connection.kinds import FAILURES, KINDS
from veritls._context.material import kind_of
from veritls._explaining import failures
from veritls._explaining.reasons import ALERTS, ssl_error

ROOT = Path(veritls.__file__).parent


def reasons(*patterns: str) -> Iterator[str]:
    """What `ssl_error` is called with in these files."""
    for pattern in patterns:
        for file in ROOT.glob(pattern):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ssl_error":
                    first = node.args[0]
                    if isinstance(first, ast.Constant):
                        yield str(first.value)


def test_every_reason_that_ends_a_handshake_is_on_the_list() -> None:
    found = {*reasons("_explaining/failures.py", "aio/*.py", "_context/following.py")}
    found |= {reason for reason, _ in failures._INCOMPATIBLE.values()}
    found -= {reason for reason, _ in ALERTS.values()} | {"UNEXPECTED_EOF_WHILE_READING"}  # "eof"
    assert len(found) > 15
    assert {reason.lower() for reason in found} <= KINDS


def test_every_kind_of_a_report_is_on_the_list() -> None:
    (kind,) = (
        node.value
        for node in ast.walk(ast.parse((ROOT / "_engine.pyi").read_text()))
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "Kind"
    )
    words = {node.value for node in ast.walk(kind) if isinstance(node, ast.Constant)} if kind else set()
    assert len(words) > 50
    assert words <= KINDS


def test_every_reason_why_a_source_fails_is_on_the_list() -> None:
    found = {*reasons("_loading/*.py", "_context/material.py", "_context/own_identities.py")}
    assert len(found) > 7
    assert {kind_of(ssl_error(reason, "")) for reason in found} <= FAILURES


@pytest.mark.parametrize(
    "error",
    [
        *(kind("x") for kind in (OSError, FileNotFoundError, PermissionError, TimeoutError, ValueError)),
        *(kind() for kind in (TypeError, MemoryError, RuntimeError, ssl.SSLError, KeyboardInterrupt)),
        ssl_error("MATERIAL_EXPIRED", ""),
        ssl_error("MATERIAL_NOT_YET_VALID", ""),
        ssl_error("KEY_VALUES_MISMATCH", ""),
    ],
)
def test_what_a_source_raises_has_a_kind_that_is_on_the_list(error: BaseException) -> None:
    assert kind_of(error) in FAILURES
