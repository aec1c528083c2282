"""CPython's own test_ssl with veritls in place of `ssl`, against expected.toml."""

from __future__ import annotations

import pytest

from tests.cpython.runner import compare
from tests.cpython.suites import SUITES
from tests.cpython.table import problems


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SUITES)
def test_cpython_s_own_suite_passes_but_for_the_tests_with_a_reason(name: str) -> None:
    suite = SUITES[name]
    if not suite.available:
        pytest.skip(f"this interpreter comes without test.{name}")
    found = list(problems(compare(suite)))
    assert not found, "\n" + "\n".join(found)
