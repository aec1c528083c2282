"""The build backend: without Rust a source install ends in one sentence; a source distribution is whole."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60
HOOKS = [
    *("get_requires_for_build_wheel", "get_requires_for_build_editable", "get_requires_for_build_sdist"),
    *("prepare_metadata_for_build_wheel", "prepare_metadata_for_build_editable"),
    *("build_wheel", "build_editable", "build_sdist"),
]
PROGRAMS = Callable[..., None]


@pytest.fixture
def backend() -> ModuleType:
    spec = importlib.util.spec_from_file_location("veritls_backend", ROOT / "backend/veritls_backend.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PROGRAMS:
    """Puts programs that say these versions on a PATH of their own.

    None: one that fails, as rustup's do without a toolchain.
    """
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RUSTC", raising=False)

    def put(**versions: str | None) -> None:
        for name, version in versions.items():
            path = tmp_path / name
            words = "exit 1" if version is None else f"echo '{name} {version} (0123456 2026-01-01)'"
            path.write_text(f"#!/bin/sh\n{words}\n")
            path.chmod(0o755)

    return put


def test_the_backend_that_pyproject_names_runs_before_anything_is_fetched(backend: ModuleType) -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert build == {"requires": [], "build-backend": "veritls_backend", "backend-path": ["backend"]}
    assert (
        backend.MATURIN
        in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    )


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_ends_in_a_sentence_where_there_is_no_cargo(
    backend: ModuleType, programs: PROGRAMS, hook: str, tmp_path: Path
) -> None:
    programs()
    with pytest.raises(SystemExit) as ended:
        getattr(backend, hook)(*([] if hook.startswith("get") else [str(tmp_path)]))
    sentence = str(ended.value)
    assert sentence.startswith("veritls is built with Rust 1.85 or newer, and cargo is not on PATH")
    assert "wheel" in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({"cargo": "1.63.0", "rustc": "1.63.0"}, "and cargo is 1.63:"),
        ({"cargo": "1.85.0", "rustc": "1.84.1"}, "and rustc is 1.84:"),
        ({"cargo": "1.85.0"}, "and rustc is not on PATH or does not run:"),
        ({"cargo": None, "rustc": None}, "and cargo is not on PATH or does not run:"),
        ({"cargo": "one", "rustc": "two"}, "and cargo is not on PATH or does not run:"),
    ],
)
def test_the_sentence_says_what_is_too_old_or_missing(
    backend: ModuleType, programs: PROGRAMS, versions: dict[str, str | None], words: str
) -> None:
    programs(**versions)
    assert words in (backend.obstacle() or "")


@pytest.mark.parametrize("version", ["1.85.0", "1.100.0-nightly", "2.0.0"])
def test_maturin_is_asked_for_where_rust_is_new_enough(
    backend: ModuleType, programs: PROGRAMS, version: str
) -> None:
    programs(cargo=version, rustc=version)
    assert backend.get_requires_for_build_wheel() == [backend.MATURIN]


def test_rustc_is_the_one_that_cargo_would_call(
    backend: ModuleType, programs: PROGRAMS, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs(cargo="1.95.0", rustc="1.95.0", older="1.80.0")
    monkeypatch.setenv("RUSTC", str(tmp_path / "older"))
    assert "older is 1.80" in (backend.obstacle() or "")


def test_on_windows_the_sentence_says_where_veritls_runs(
    backend: ModuleType, programs: PROGRAMS, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(cargo="1.95.0", rustc="1.95.0")
    monkeypatch.setattr(backend, "sys", SimpleNamespace(platform="win32"))
    with pytest.raises(SystemExit, match=r"does not run on Windows.*wheels for Linux.*Rust"):
        backend.build_wheel("nowhere")


def test_a_front_end_shows_the_sentence_and_no_traceback(programs: PROGRAMS) -> None:
    """A front end shows what the process of a hook writes."""
    programs()
    program = "import veritls_backend; veritls_backend.get_requires_for_build_wheel()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "backend",
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("veritls is built with Rust")


def files_in_git() -> set[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout: what belongs to it is not known")
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}


@pytest.mark.skipif(
    not os.environ.get("CI") and (shutil.which("cargo") is None or shutil.which("maturin") is None),
    reason="cargo or maturin is not there",
)
def test_a_source_distribution_holds_every_file_of_the_checkout(tmp_path: Path) -> None:
    wanted = files_in_git()
    command = ["maturin", "pep517", "write-sdist", "--sdist-directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=SECONDS, check=True)
    [sdist] = tmp_path.iterdir()
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert wanted - names == set()
    assert not [name for name in names if "__pycache__" in name or "/target/" in name]
