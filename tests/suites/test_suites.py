"""Libraries' own tests with veritls in place of `ssl`, against expected.toml."""

from __future__ import annotations

import os

import pytest

from tests.suites.environment import VERSION, NotFetched
from tests.suites.libraries import LIBRARIES
from tests.suites.page import PAGE, page
from tests.suites.runner import compare
from tests.suites.table import measured, problems

QUICK = [name for name, library in LIBRARIES.items() if library.quick]

standing = pytest.mark.skipif(not measured(), reason=f"expected.toml has no floors for Python {VERSION}")


@standing
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUICK)
def test_a_library_s_own_suite_passes_but_for_the_tests_with_a_reason(name: str) -> None:
    try:
        comparison = compare(LIBRARIES[name])
    except NotFetched as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    found = list(problems(comparison))
    assert not found, "\n" + "\n".join(found)


@standing
def test_the_page_says_what_expected_toml_says() -> None:
    assert PAGE.read_text() == page()
