"""What the comparison of two runs says, on runs that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.suites import table
from tests.suites.libraries import Library
from tests.suites.runner import Comparison, Result, Unreadable, read

PASSED, FAILED = Result("passed"), Result("failed", "ValueError: no")

EXPECTED = table.Expected(ssl=3, floor=2, reasons={"b": "safer: so"}, flaky=frozenset())


def found(monkeypatch: pytest.MonkeyPatch, expected: table.Expected, **results: Result) -> list[str]:
    monkeypatch.setattr(table, "expected", lambda name: expected)
    baseline = dict.fromkeys("abc", PASSED)
    return list(table.problems(Comparison(Library("one", ()), baseline, results)))


def test_what_is_as_expected_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, EXPECTED, a=PASSED, b=FAILED, c=PASSED) == []


def test_a_failure_without_a_reason_is_named_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = found(monkeypatch, EXPECTED, a=FAILED, b=FAILED, c=PASSED)
    assert problems == [
        "1 tests pass with veritls, fewer than the 2 that have passed before",
        "a failed, and expected.toml has no reason why: ValueError: no",
    ]


def test_a_test_that_did_not_run_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "c lost, and expected.toml has no reason why: did not run" in found(
        monkeypatch, EXPECTED, a=PASSED, b=FAILED
    )


def test_a_test_that_is_skipped_with_veritls_alone_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, EXPECTED, a=PASSED, b=FAILED, c=Result("skipped")) != []


def test_a_reason_for_a_test_that_passes_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = found(monkeypatch, EXPECTED, a=PASSED, b=PASSED, c=PASSED)
    assert problems == ["b passes: take it out of expected.toml and raise the floor"]


def test_a_suite_of_which_less_runs_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a suite of which little runs any more would hold its floor by running nothing."""
    more = table.Expected(ssl=4, floor=2, reasons=EXPECTED.reasons, flaky=frozenset())
    assert found(monkeypatch, more, a=PASSED, b=FAILED, c=PASSED) == [
        "3 tests ran with ssl, fewer than the 4 that have passed before"
    ]


def test_a_test_that_fails_with_ssl_alone_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "expected", lambda name: EXPECTED)
    baseline = {"a": FAILED, "b": PASSED, "c": PASSED}
    results = {"a": PASSED, "b": FAILED, "c": PASSED}
    assert list(table.problems(Comparison(Library("one", ()), baseline, results))) == []


def report(folder: Path, *lines: dict[str, str]) -> Path:
    path = folder / "report.json"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def phase(test: str, when: str, outcome: str) -> dict[str, str]:
    return {"test": test, "phase": when, "outcome": outcome, "reason": when}


def test_a_test_is_as_bad_as_the_worst_of_its_phases(tmp_path: Path) -> None:
    path = report(
        tmp_path,
        phase("a", "setup", "passed"),
        phase("a", "call", "passed"),
        phase("a", "teardown", "failed"),
        phase("b", "setup", "skipped"),
        phase("b", "teardown", "passed"),
        phase("c", "call", "skipped"),
        phase("c", "teardown", "failed"),
    )
    assert read(path) == {
        "a": Result("failed", "teardown"),
        "b": Result("skipped", "setup"),
        "c": Result("failed", "teardown"),
    }


def test_a_test_in_which_the_process_ended_is_lost(tmp_path: Path) -> None:
    path = report(tmp_path, {"began": "a"}, phase("a", "setup", "passed"))
    assert read(path)["a"].outcome == "lost"


def test_a_file_that_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"test_x\.py: no module"):
        read(report(tmp_path, {"unreadable": "test_x.py", "reason": "no module"}))
