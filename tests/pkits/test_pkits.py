"""NIST's PKITS agrees, or expected.toml says why not. VERITLS_PKITS names another folder."""

from __future__ import annotations

import ssl
import warnings

import pytest

import veritls
from tests.pkits.corpus import default_folder, load
from tests.pkits.runner import Outcome, run
from tests.pkits.table import load_expected, problems

LEAST_AGREEING = 178
DELTA_CRL = "4.15.4 Invalid delta-CRL Test4"
"""Accepted where the error of `load_crls` is passed over, as the runner does."""

pytestmark = pytest.mark.skipif(not default_folder().is_dir(), reason=f"no PKITS at {default_folder()}")


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [run(case) for case in load(default_folder())]


@pytest.mark.timeout(120)
def test_every_disagreement_with_pkits_has_its_reason(outcomes: list[Outcome]) -> None:
    assert not problems(outcomes)


def test_with_default_inputs_nothing_is_accepted_against_pkits_but_without_the_crl_that_cannot_be_loaded(
    outcomes: list[Outcome],
) -> None:
    wrongly = [each.case for each in outcomes if each.accepted and not each.case.valid]
    assert {case.name for case in wrongly if case.default_inputs} == {DELTA_CRL}


def test_what_else_is_accepted_against_pkits_sets_policy_inputs_that_are_not_offered(
    outcomes: list[Outcome],
) -> None:
    wrongly = [each.case.name for each in outcomes if each.accepted and not each.case.valid]
    others = set(wrongly) - {DELTA_CRL}
    assert others == load_expected()["accepted_without_the_inputs"].keys()
    assert all(name.startswith("4.8.") for name in others)


def test_the_delta_crl_of_the_case_that_is_accepted_cannot_be_loaded_unnoticed() -> None:
    case = next(case for case in load(default_folder()) if case.name == DELTA_CRL)
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    complete, delta = case.crls[1:]
    context.load_crls(bytearray(complete))
    with pytest.raises(ssl.SSLError):
        context.load_crls(bytearray(delta))


def test_as_many_cases_agree_as_ever(outcomes: list[Outcome]) -> None:
    assert sum(outcome.agrees for outcome in outcomes) >= LEAST_AGREEING
