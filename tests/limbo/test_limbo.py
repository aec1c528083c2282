"""The corpus agrees, or expected.toml says why not. VERITLS_LIMBO names another limbo.json."""

from __future__ import annotations

import warnings

import pytest

from tests.limbo.corpus import default_file, load
from tests.limbo.table import DOCUMENT, Both, document, problems, run_all

LEAST_COMMON = 105 / 115

pytestmark = [
    pytest.mark.skipif(not default_file().is_file(), reason=f"no corpus at {default_file()}"),
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
]


@pytest.fixture(scope="module")
def results() -> list[Both]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run_all(load(default_file()))


@pytest.mark.timeout(120)
def test_every_disagreement_with_the_corpus_has_its_reason(results: list[Both]) -> None:
    assert not problems(results)


def test_at_least_105_of_115_common_cases_agree_under_strict(results: list[Both]) -> None:
    common = [both.strict.agrees for both in results if both.case.is_common]
    assert sum(common) >= LEAST_COMMON * len(common)


def test_the_flag_accepts_nothing_that_is_refused_without_it(results: list[Both]) -> None:
    more = [both.case.id for both in results if both.strict.accepted and both.plain.accepted is False]
    assert not more


def test_crl_cases_client_cases_and_denial_of_service_are_asked_too(results: list[Both]) -> None:
    asked = [both.case for both in results if both.strict.accepted is not None]
    assert any("has-crl" in case.features for case in asked)
    assert any("denial-of-service" in case.features for case in asked)
    assert any(case.purpose == "client" for case in asked)


def test_the_page_shows_these_results(results: list[Both]) -> None:
    shown = DOCUMENT.read_text()
    if f"## {len(results)} cases" not in shown:
        pytest.skip("the page is about another limbo.json")
    assert document(results) == shown
