"""docs/threat-model.md names the test that holds each promise: the tests are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "threat-model.md"
NAMED = re.compile(r"(tests/[\w/]+\.py|engine/[\w/]+\.rs)(?:::(\w+)(?:::(\w+))?)?")


def promises() -> list[str]:
    """The rows of the tables that have a test in their last column."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [row for row in rows if row.count(" | ") == 3 and "---" not in row and "which test" not in row]


def defined(path: Path) -> set[str]:
    if path.suffix == ".rs":
        return set(re.findall(r"fn (\w+)", path.read_text()))
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("row", promises(), ids=lambda row: row.split(" | ")[0][2:50])
def test_the_test_that_holds_a_promise_exists(row: str) -> None:
    tests = NAMED.findall(row.split(" | ")[-1])
    assert tests, "no test is named"
    for file, *names in tests:
        path = ROOT / file
        assert path.is_file(), file
        assert {name for name in names if name} <= defined(path), (file, names)
