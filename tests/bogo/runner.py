"""Runs the runner, with the server behind its launcher, and reads what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bogo.build import ROOT, make

HERE = Path(__file__).parent
CONFIG = HERE / "config.json"
LONGEST = 3600


@dataclass(frozen=True)
class Results:
    """What the runner says of each test."""

    passed: frozenset[str]
    failed: dict[str, str]
    """Name -> what the runner says of it."""
    unimplemented: dict[str, str]
    """Name -> the cause that the shim tells."""


@contextmanager
def server(place: Path, transport: str, environment: dict[str, str]) -> Iterator[None]:
    """The server behind the launcher, while the runner runs."""
    command = [sys.executable, "-m", "tests.bogo.server", str(place), transport]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the shim's server did not start")
        yield


def causes(log: Path) -> dict[str, str]:
    if not log.is_file():
        return {}
    told = [json.loads(line) for line in log.read_text().splitlines()]
    return {each["test"]: each["cause"] for each in told}


def run(tests: str = "", *, skip: str = "", transport: str = "socket") -> Results:
    """Runs the tests whose names match a pattern of `tests` (by semicolons; empty: all), none of `skip`."""
    runner = make()
    with tempfile.TemporaryDirectory(prefix="bogo") as name:
        folder = Path(name)
        launcher = folder / "launcher"
        python = os.path.realpath(sys.executable)
        launcher.write_text(f"#!{python} -SIE\n{(HERE / 'launcher.py').read_text()}")
        launcher.chmod(0o755)
        place, log, output = folder / "socket", folder / "causes", folder / "results.json"
        environment = os.environ | {"VERITLS_BOGO_SERVER": str(place), "VERITLS_BOGO_CAUSES": str(log)}
        command = [
            str(runner), "-shim-path", str(launcher), "-shim-config", str(CONFIG),
            "-json-output", str(output), "-allow-unimplemented", "-pipe",
            "-transcript-dir", str(folder / "transcripts"),
            "-num-workers", str(2 * (os.cpu_count() or 1)), "-test", tests, "-skip", skip,
        ]  # fmt: skip
        with server(place, transport, environment):
            done = subprocess.run(
                command, env=environment, cwd=folder, capture_output=True, text=True, timeout=LONGEST
            )
        if not output.is_file():
            raise RuntimeError(f"there are no results:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        found = json.loads(output.read_text())["tests"]
        told = causes(log)
    return Results(
        passed=frozenset(name for name, each in found.items() if each["actual"] == "PASS"),
        failed={name: each.get("error", "") for name, each in found.items() if each["actual"] == "FAIL"},
        unimplemented={name: told[name] for name, each in found.items() if each["actual"] == "SKIP"},
    )
