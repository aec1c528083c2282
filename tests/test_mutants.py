"""The mutants of ``python -m campaign mutants``: their names, and the table of those that survive."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from campaign.mutants import files, verdicts
from campaign.mutants.copies import ROOT
from campaign.mutants.python_source import mutants_of, mutated

SOURCE = '''
def allowed(name: str, names: set[str], most: int = 3) -> bool:
    """Not a mutant."""
    if name not in names:
        raise ValueError("unknown")
    check(name)
    return len(names) < most
'''
CHANGES = [
    "3 in most: int=3 -> 4",
    "if name not in names -> if True",
    "if name not in names -> if False",
    "raise ValueError('unknown') -> pass",
    "check(name) -> pass",
    "return len(names) < most -> return True",
    "return len(names) < most -> return False",
    "len(names) < most -> len(names) <= most",
]


def test_each_mutant_differs_from_the_source_in_one_place(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(SOURCE)
    mutants = mutants_of(tmp_path, "module.py")
    assert sorted(each.change.replace("3 in 3", CHANGES[0][:17]) for each in mutants) == sorted(
        each.replace("3 in most: int=3", CHANGES[0][:17]) for each in CHANGES
    )
    texts = {ast.unparse(mutated(SOURCE, each.number)[0]) for each in mutants}
    assert len(texts | {ast.unparse(ast.parse(SOURCE))}) == len(mutants) + 1


def test_a_name_stays_the_same_when_lines_move(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(SOURCE)
    before = [each.name for each in mutants_of(tmp_path, "module.py")]
    (tmp_path / "module.py").write_text(f"import ssl\n\nLIMIT = ssl\n{SOURCE}\nother = ssl\n")
    assert [each.name for each in mutants_of(tmp_path, "module.py")] == before
    assert len(set(before)) == len(before)


def test_the_engine_with_all_switches_is_still_the_engine_without_them() -> None:
    rust_source = pytest.importorskip("campaign.mutants.rust_source")
    for file in files.engine():
        source = (ROOT / file).read_bytes()
        switches = dict(enumerate(rust_source.switches_of(source)))
        text, placed = rust_source.put_in(source, switches)
        assert len(placed) == len(switches)
        assert text.count(b"crate::mutants::on(") == len(switches)
        assert rust_source.put_in(source, {}) == (source, [])


def test_each_survivor_in_the_table_is_a_mutant_of_today() -> None:
    named = set(verdicts.load())
    today = {each.name for file in files.python() for each in mutants_of(ROOT, file)}
    if any(name.startswith("engine/") for name in named):
        engine = pytest.importorskip("campaign.mutants.engine")
        today |= {each.name for each in engine.mutants()}
    assert named <= today
