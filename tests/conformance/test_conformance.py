"""docs/conformance.md has the figures that the runners give, and the reasons of the expected files."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.bettertls.corpus import Corpus, default_file as bettertls_file
from tests.bogo import table as bogo_table
from tests.conformance.page import DOCUMENT, document, parts_of
from tests.conformance.suites import SUITES, Part, bettertls_section, run
from tests.limbo.corpus import default_file as limbo_file
from tests.pkits.corpus import default_folder as pkits_folder
from tests.pkits.others import load_others, section_of
from tests.pkits.table import KINDS, SECTIONS, load_expected


@pytest.fixture(scope="module")
def page() -> dict[str, Part]:
    return parts_of(DOCUMENT.read_text())


def needs(data: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not data.exists(), reason=f"no data at {data}")


def test_the_page_is_made_of_its_parts(page: dict[str, Part]) -> None:
    assert page.keys() == SUITES.keys()
    assert document(page) == DOCUMENT.read_text()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("limbo", marks=needs(limbo_file())),
        pytest.param("pkits", marks=needs(pkits_folder())),
        "bogo",
    ],
)
def test_the_page_shows_what_the_runner_gives(name: str, page: dict[str, Part]) -> None:
    assert run(name) == page[name]


@pytest.mark.timeout(300)
@needs(bettertls_file())
def test_the_page_shows_every_case_of_bettertls(page: dict[str, Part]) -> None:
    if os.environ.get("CI"):
        assert run("bettertls") == page["bettertls"]
        return
    # tests/bettertls proves that a sample of them agrees.
    cases = Counter(case.id.split("/")[0] for case in Corpus(bettertls_file()).cases)
    assert page["bettertls"].cases == page["bettertls"].agree == f"{cases.total():,}"
    assert page["bettertls"].section == bettertls_section(cases, Counter())


def test_every_disagreement_with_pkits_has_a_reason_on_the_page(page: dict[str, Part]) -> None:
    rows = dict(re.findall(r"^\| (4\.\d+\.[^|]*?) \| (.*) \|$", page["pkits"].section, re.M))
    expected = load_expected()
    assert expected.keys() == KINDS.keys()
    cases = [(kind, case, why) for kind, reasons in expected.items() for case, why in reasons.items()]
    assert len(rows) == len(cases)
    for kind, case, why in cases:
        assert re.match(r"\w.+\.$", why), case
        here, *_, shown = rows[case].split(" | ")
        assert (here, shown) == (KINDS[kind], why)


def test_the_figures_of_pkits_are_those_of_its_expected_file(page: dict[str, Part]) -> None:
    expected = load_expected()
    refused = Counter(map(section_of, expected["refused"]))
    accepted = Counter(
        section_of(case) for kind, reasons in expected.items() if kind != "refused" for case in reasons
    )
    rows = re.findall(
        r"^\| (4\.\d+) \D*? \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", page["pkits"].section, re.M
    )
    assert [row[0] for row in rows] == list(SECTIONS)
    for section, *numbers in rows:
        cases, agree, *disagree = map(int, numbers)
        assert disagree == [refused[section], accepted[section]]
        assert agree == cases - sum(disagree)


def test_others_are_asked_about_the_sections_that_there_are() -> None:
    for other in load_others().values():
        assert {*other.unasked} < {*SECTIONS}
        assert not [name for name in other.refused | other.accepted if not other.asked(section_of(name))]


def test_the_reasons_of_bogo_are_counted(page: dict[str, Part]) -> None:
    numbers = re.findall(r"^\| [^|]* \| (\d+) \|$", page["bogo"].section, re.M)
    assert sum(map(int, numbers)) == len(bogo_table.load_expected())
