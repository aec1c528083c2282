"""The campaign's parts, each in its quick form: seconds."""

from __future__ import annotations

import pytest

from campaign import page, records
from campaign.part import QUICK, Finding, Part, Picture, Result, Scale, Table
from campaign.parts import PARTS
from tests.ecosystem.parties import library


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_sees_what_it_promises(part: Part) -> None:
    library("uvloop")
    assert part.run(QUICK).failures == []


def _seen(scale: Scale) -> Result:
    return Result(
        [Table("What was counted", ("kind", "times"), [("a | b", "3")])],
        [Picture("memory", "Memory", "s", "MiB", {"veritls": [(0.0, 1.0), (1.0, 1.0)]})],
        ["Three ran."],
        ["One was late."],
    )


def test_a_record_says_all_that_the_result_said() -> None:
    part = Part("one", "One", "It holds.", _seen, (Finding("a fault", "mended"),))
    result, record = records.run(part, Scale(90.0, options={"count": "3"}))
    assert records.result_of(record) == result
    assert record["command"] == "python -m campaign one --minutes 1.5 --set count=3"
    assert "FAILED: One was late." in page.text(result)


def test_the_parts_have_different_names_and_their_records_a_place_on_the_page() -> None:
    names = [part.name for part in PARTS]
    assert len(set(names)) == len(names)
    assert set(records.load()) <= set(names)
