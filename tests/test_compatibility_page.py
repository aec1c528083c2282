"""docs/compatibility.md: what its generator counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compatibility import PAGE, cases, list_sections, table

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


@pytest.mark.parametrize("place", ["", "near"])
def test_there_is_one_row_for_each_library_wherever_its_tests_stand(place: str, tmp_path: Path) -> None:
    """Near: beside a project, as where a clone and pytest's folder share a parent."""
    folder = tmp_path / "test_folder" / place
    folder.mkdir(parents=True)
    if place:
        (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (folder / "test_some.py").write_text(TESTS)
    assert table(cases(str(folder), tmp_path), "library") == [
        "| library | passed | skipped | failed |",
        "| --- | --- | --- | --- |",
        "| First | 1 | 0 | 0 |",
        "| second | 1 | 1 | 1 |",
        "| some | 1 | 0 | 0 |",
    ]


def test_the_page_lists_what_differs_as_it_is_written_down() -> None:
    assert PAGE.read_text().endswith("\n\n".join(["", *list_sections()]) + "\n")
