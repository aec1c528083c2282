"""The command itself: what it prints, its exit status, what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from veritls._doctor.command import doctor
from veritls._doctor.rules import RULES
from veritls.cli import main

BREAKING = "import ssl\nssl.SSLContext(ssl.PROTOCOL_TLSv1)\n"
NOTED = "import ssl\nssl._create_unverified_context()\n"


def status(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as raised:
        main(["doctor", *arguments])
    assert isinstance(raised.value.code, int)
    return raised.value.code


def written(folder: Path, **programs: str) -> str:
    for name, source in programs.items():
        (folder / f"{name}.py").write_text(source)
    return str(folder)


def test_the_exit_status_says_whether_something_breaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status([written(tmp_path, a="import ssl\n")]) == 0
    assert capsys.readouterr().out == "1 file read: nothing found\n"
    assert status([written(tmp_path, a=NOTED)]) == 0
    assert "0 breaks, 0 may, 1 to be known" in capsys.readouterr().out
    assert status([written(tmp_path, b=BREAKING)]) == 1
    assert status([written(tmp_path, c="(")]) == 2


def test_a_finding_has_file_line_column_what_differs_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(Path(written(tmp_path, a=BREAKING), "a.py"))
    status([file])
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}:2:1: breaks: ssl.SSLContext(ssl.PROTOCOL_TLSv1) raises ValueError: ")
    assert second == "    do: PROTOCOL_TLS_CLIENT or PROTOCOL_TLS_SERVER; the peer needs TLS 1.2"
    assert last == "1 file read: 1 breaks, 0 may, 0 to be known"


def test_json_holds_the_same_and_what_could_not_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["--json", written(tmp_path, a=BREAKING, b=NOTED, c="(")]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == 2 and [each["severity"] for each in found["findings"]] == ["breaks", "note"]
    assert found["findings"][0].keys() == {"file", "line", "column", "rule", "severity", "what", "do"}
    assert found["unreadable"][0]["path"].endswith("c.py")


def test_notes_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["--no-notes", written(tmp_path, a=NOTED)]) == 0
    assert "nothing found" in capsys.readouterr().out


def test_a_library_that_makes_its_own_context_is_no_news_where_a_file_injects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path, a="import requests\n")
    status([folder])
    assert "requests makes its own context" in capsys.readouterr().out
    status([written(tmp_path, b="import veritls\nveritls.inject()\nimport a\n")])
    assert capsys.readouterr().out == "2 files read: nothing found\n"


def test_names_with_control_characters_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a\x1b[31m.py").write_text(f"{BREAKING}c = ssl.create_default_context()\nc.x = '\x9b'\n")
    (tmp_path / "b\x1b[31m.py").write_text("(")
    status([str(tmp_path)])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "\x9b" not in said.out and r"\x1b" in said.out


def test_it_needs_neither_typer_nor_rich_and_loads_neither(tmp_path: Path) -> None:
    file = written(tmp_path, a=BREAKING)
    program = (
        "import sys; sys.modules.update(typer=None, rich=None); from veritls.cli import main;"
        f"main(['doctor', {file!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "1 breaks" in done.stdout, done.stderr


def test_the_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["--rules"]) == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == list(RULES)


def test_help_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        doctor(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and "exit status: 0 nothing breaks" in "\n".join(lines)
