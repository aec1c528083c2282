"""Each test says which library it is about: docs/compatibility.md counts them so."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "library(name): the row of docs/compatibility.md that the test is of")


@pytest.fixture(autouse=True)
def row(request: pytest.FixtureRequest) -> None:
    """Writes the library's name into the report; a test without one is an error."""
    marker = request.node.get_closest_marker("library")
    assert marker is not None, "a test of a library carries its name: pytest.mark.library"
    request.node.user_properties.append(("library", marker.args[0]))
