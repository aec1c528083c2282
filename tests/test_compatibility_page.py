"""docs/compatibility.md: what its generator counts."""

from __future__ import annotations

from pathlib import Path

from tests.compatibility import cases, table

TESTS = """
import pytest

@pytest.mark.parametrize("library", ["second", "First"])
def test_good(request, library):
    request.node.user_properties.append(("library", library))

def test_bad(request):
    request.node.user_properties.append(("library", "second"))
    assert False

def test_left_out(request):
    request.node.user_properties.append(("library", "second"))
    pytest.skip("not here")

def test_of_nothing():
    pass
"""


def test_there_is_one_row_for_each_library_wherever_its_tests_stand(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    assert table(cases(str(tmp_path), tmp_path), "library") == [
        "| library | passed | skipped | failed |",
        "| --- | --- | --- | --- |",
        "| First | 1 | 0 | 0 |",
        "| second | 1 | 1 | 1 |",
        "| test_some | 1 | 0 | 0 |",
    ]
