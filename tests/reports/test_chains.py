"""Every broken chain, and the explanation that tells what to fix."""

from __future__ import annotations

import pytest

import veritls
from tests.reports.chains import CASES
from veritls._report.checks import STEPS

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")


def test_there_are_forty_broken_chains_and_more() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("name", CASES)
def test_the_explanation_says_which_certificate_failed_which_check_for(name: str) -> None:
    case = CASES[name]()
    with pytest.raises(veritls.SSLCertVerificationError) as refused:
        case.verify()
    report = refused.value.report
    assert report.sentence == case.explanation
    assert [check.name for check in report.checks if check.verdict == "failed"] == [case.check]
    start = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {refused.value.verify_message}"
    assert str(refused.value).startswith(start)
    assert str(refused.value).endswith(case.explanation)
    assert report.remedies


def test_every_check_that_is_always_made_fails_in_some_chain() -> None:
    failed = {make().check for make in CASES.values()}
    assert {step.name for step in STEPS if step.asked_by is None} <= failed
