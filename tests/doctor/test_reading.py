"""What may be read: bounds, encodings, links, and names of packages; nothing of it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from veritls._doctor import looking, reading
from veritls._doctor.command import examine
from veritls._doctor.reading import Program, Unreadable, programs

BREAKING = "import ssl\nssl.SSLContext(ssl.PROTOCOL_TLSv1)\n"


def paths(*arguments: Path) -> list[str]:
    return [each.path for each in programs([str(each) for each in arguments]) if isinstance(each, Program)]


def why(path: Path) -> str:
    [found] = examine([str(path)]).unreadable
    return found.why


def test_a_folder_is_read_to_its_python_files_once_each(tmp_path: Path) -> None:
    for name in ("a.py", "sub/b.py", "sub/c.txt", ".hidden/d.py", "__pycache__/e.py", "sub/f.pyw"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "again.py").symlink_to(tmp_path / "a.py")
    (tmp_path / "sub" / "round").symlink_to(tmp_path)
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    found = [Path(each).name for each in paths(tmp_path, tmp_path / "a.py")]
    assert found == ["a.py", "b.py", "f.pyw"]
    assert [Path(each.path).name for each in examine([str(tmp_path)]).unreadable] == ["loop.py"]


def test_a_folder_without_a_program_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "notes.txt").write_text("")
    assert why(tmp_path) == "no Python file is in this folder"


def test_a_notebook_is_not_taken_for_a_program(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text('{"cells": [{"source": ["import ssl\\n"], "execution_count": null}]}')
    assert why(path).startswith("a notebook: ")


def test_a_program_may_come_by_standard_input() -> None:
    command = [sys.executable, "-m", "veritls", "doctor", "-"]
    done = subprocess.run(command, input=BREAKING, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout[:19]) == (1, "<stdin>:2:1: breaks")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"def f(:\n", "line 1: "),
        (b"x = '\xff'\n", "codec can't decode"),
        (b"# coding: nonsense\n", "unknown encoding"),
        (b"x\0y", "null byte"),
        (b"(" * 100_000, "nested"),
        (b"x = " + b"-" * 50_000 + b"1", "nested"),
    ],
)
def test_a_file_that_is_no_program_is_told_of_and_the_others_are_read(
    content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_bytes(content)
    (tmp_path / "good.py").write_text(BREAKING)
    result = examine([str(tmp_path)])
    assert [each.rule for each in result.findings] == ["protocol"]
    [unreadable] = result.unreadable
    assert words in unreadable.why


def test_a_program_that_is_nested_too_deeply_to_walk_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text("x = " + "+".join(["1"] * 3000))
    assert why(tmp_path / "deep.py") == "nested too deeply"


def test_a_program_that_sets_more_than_is_tried_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST_TRIED", 20)
    head = "import ssl\nc = ssl.create_default_context()\n"
    (tmp_path / "a.py").write_text(head + "c.minimum_version = 771\n" * 21)
    (tmp_path / "b.py").write_text(f"{head}c.set_ciphers('{'AES128-SHA:' * 20}')\n")
    assert why(tmp_path / "a.py") == why(tmp_path / "b.py") == "more is set in it than is tried"


@pytest.mark.parametrize(
    "value", ["0x" + "f" * 5000, "f\"{'a\\nb'!r:>{'\\n'.join(x)}}\"", "'\\ud800'", "'\\0' * 9", "-(1 << 9)"]
)
def test_values_that_cannot_be_printed_or_set_are_no_obstacle(value: str, tmp_path: Path) -> None:
    names = ("options", "num_tickets", "verify_mode", "verify_flags", "minimum_version", "unknown")
    lines = [f"c.{name} = {value}" for name in names] + [
        f"c.set_ciphers({value})",
        f"ssl.SSLContext({value})",
    ]
    text = "import ssl\nc = ssl.create_default_context()\n" + "\n".join(lines)
    (tmp_path / "a.py").write_text(text)
    result = examine([str(tmp_path)])
    assert 8 in {each.line for each in result.findings} or result.unreadable


def test_a_file_in_another_encoding_is_read_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# coding: latin-1\nx = '\xff'\n" + BREAKING.encode())
    assert len(examine([str(tmp_path)]).findings) == 1


def test_bounds_of_size_number_and_depth_are_kept_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_bytes(b"#" * (reading.MOST_BYTES + 1))
    assert "larger than" in why(tmp_path / "a.py")
    deep = tmp_path / "x"
    deep.joinpath(*["d"] * reading.MOST_FOLDERS).mkdir(parents=True)
    assert "folders one in the other" in why(deep)
    (tmp_path / "b.py").write_text("")
    monkeypatch.setattr(reading, "MOST_FILES", 1)
    assert "the rest is left out" in examine([str(tmp_path / "b.py"), str(tmp_path)]).unreadable[-1].why


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_or_device_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert why(tmp_path / "pipe.py") == "not a regular file"
    assert why(Path("/dev/null")) == "not a regular file"


def test_what_does_not_exist_or_may_not_be_read_is_told_of(tmp_path: Path) -> None:
    assert why(tmp_path / "none.py") == "no file, folder or package has this name"
    assert why(Path("no_such_package.at_all")) == "no file, folder or package has this name"
    assert isinstance(next(programs(["a\0b"])), Unreadable)


def test_a_package_is_found_by_its_name_and_neither_it_nor_its_parent_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_package"
    (package / "inner").mkdir(parents=True)
    for file in (package / "__init__.py", package / "inner" / "__init__.py"):
        file.write_text("raise SystemExit('it ran')\n")
    (package / "inner" / "code.py").write_text(BREAKING)
    monkeypatch.syspath_prepend(tmp_path)
    assert len(examine(["some_package"]).findings) == len(examine(["some_package.inner"]).findings) == 1
    assert len(examine(["some_package.inner.code"]).findings) == 1
    assert "some_package" not in sys.modules


def test_a_program_is_not_run_imported_or_compiled_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n{BREAKING}")
    command = [sys.executable, "-P", "-m", "veritls", "doctor", "p.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["p.py"]
