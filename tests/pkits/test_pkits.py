"""NIST's PKITS agrees, or expected.toml says why not. VERITLS_PKITS names another folder."""

from __future__ import annotations

import tomllib
import warnings
from pathlib import Path

import pytest

from tests.pkits.corpus import default_folder, load
from tests.pkits.runner import Outcome, run

EXPECTED = Path(__file__).with_name("expected.toml")
LEAST_AGREEING = 174
POLICIES, DELTA_CRLS = "4.8.", "4.15."

pytestmark = pytest.mark.skipif(not default_folder().is_dir(), reason=f"no PKITS at {default_folder()}")


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [run(case) for case in load(default_folder())]


@pytest.mark.timeout(120)
def test_every_disagreement_with_pkits_has_its_reason(outcomes: list[Outcome]) -> None:
    expected = tomllib.loads(EXPECTED.read_text())
    differing = [outcome for outcome in outcomes if not outcome.agrees]
    assert {each.case.name for each in differing if each.accepted} == expected["accepted"].keys()
    assert {each.case.name for each in differing if not each.accepted} == expected["refused"].keys()


def test_nothing_is_accepted_against_pkits_but_what_asks_for_policies_or_delta_crls(
    outcomes: list[Outcome],
) -> None:
    wrongly = [each.case for each in outcomes if each.accepted and not each.case.valid]
    others = [case.name for case in wrongly if not case.name.startswith(POLICIES)]
    assert all(name.startswith(DELTA_CRLS) for name in others)
    assert len(others) <= 1


def test_as_many_cases_agree_as_ever(outcomes: list[Outcome]) -> None:
    assert sum(outcome.agrees for outcome in outcomes) >= LEAST_AGREEING
