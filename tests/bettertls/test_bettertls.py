"""Every case agrees. VERITLS_BETTERTLS names another file; a sample is run unless CI is set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

from tests.bettertls.corpus import Case, Corpus, default_file

SAMPLE = 20
"""One case of so many, and all of path building."""

pytestmark = pytest.mark.skipif(not default_file().is_file(), reason=f"no corpus at {default_file()}")


@pytest.fixture(scope="module")
def corpus() -> Iterator[Corpus]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Corpus(default_file())


def _asked(cases: list[Case]) -> list[Case]:
    if os.environ.get("CI"):
        return cases
    return [each for at, each in enumerate(cases) if at % SAMPLE == 0 or each.id.startswith("pathbuilding")]


@pytest.mark.timeout(300)
def test_every_case_of_bettertls_agrees(corpus: Corpus) -> None:
    asked = _asked(corpus.cases)
    why = {each.id: corpus.refusal(each) for each in asked}
    assert len(asked) > 500
    assert not {each.id: why[each.id] for each in asked if (not why[each.id]) != each.succeeds}
