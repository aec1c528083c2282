"""How a fault's process is judged. The faults themselves: test_campaign.py, each for a moment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from campaign import faults
from campaign.faults import FAULTS, running
from campaign.part import Scale


def judged(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> running.Seen:
    package = folder / "campaign" / "faults"
    package.mkdir(parents=True)
    (package / "made.py").write_text(program)
    monkeypatch.setattr(running, "FOLDER", folder)
    monkeypatch.setattr(running, "_SLOW", 5)
    return running.run("made", 0.0)


@pytest.mark.parametrize(
    "program, words",
    [
        ("import os; os.abort()", "it ended with -6"),
        ("raise ValueError('broken')", "broken"),
        ("pass", "it ended with 0"),
        ("import time; time.sleep(60)", "it hangs"),
        ("import sys; print('{\"counts\": {}, \"wrong\": [], \"skipped\": \"\"}'); "
         "print('a thread panicked', file=sys.stderr)", "a thread panicked"),
        ("print('{\"counts\": {}, \"wrong\": [\"a byte was lost\"], \"skipped\": \"\"}')", "a byte was lost"),
    ],
)  # fmt: skip
def test_a_crash_a_hang_and_what_it_says_are_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, words: str
) -> None:
    assert words in " ".join(judged(monkeypatch, tmp_path, program).wrong)


def test_what_is_wrong_with_a_fault_fails_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run", lambda *_, **__: running.Seen(wrong=["a byte was lost"]))
    result = faults.run(Scale(1.0, options={"only": "numbers"}))
    assert result.failures == ["numbers: a byte was lost"]


def test_each_fault_has_its_program() -> None:
    folder = Path(faults.__file__).parent
    programs = {each.stem for each in folder.glob("*.py")} - {"__init__", "running"}
    assert programs == {each.module for each in FAULTS}
    assert sys.executable
