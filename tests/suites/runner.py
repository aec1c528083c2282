"""Runs a library's tests in a process of their own, with `ssl` and with veritls, and compares."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.suites.environment import environment, sdist, unpacked
from tests.suites.libraries import Library

_SECONDS = 60
"""For one test."""
_LIBRARY_SECONDS = 1200


@dataclass(frozen=True)
class Result:
    """How one test ended: passed, failed, skipped, or lost (it began, and the process ended)."""

    outcome: str
    reason: str = ""


class Unreadable(RuntimeError):
    """A file of tests could not be loaded, or no test was found."""


def read(report: Path) -> dict[str, Result]:
    """The outcomes that the recorder wrote: a test is as bad as the worst of its phases."""
    results: dict[str, Result] = {}
    running: set[str] = set()
    for line in map(json.loads, report.read_text("utf-8").splitlines()):
        if "ssl" in line:
            continue
        if "unreadable" in line:
            raise Unreadable(f"{line['unreadable']}: {line['reason']}")
        if "began" in line:
            running.add(line["began"])
        elif "ended" in line:
            running.discard(line["ended"])
        else:
            before = results.get(line["test"], Result("passed"))
            if before.outcome == "passed" and line["outcome"] != "passed":
                results[line["test"]] = Result(line["outcome"], line["reason"])
            elif line["outcome"] == "failed" and before.outcome == "skipped":
                results[line["test"]] = Result("failed", line["reason"])
            else:
                results[line["test"]] = before
    return results | {test: Result("lost", "the process ended in the middle of it") for test in running}


def _command(library: Library, python: Path, module: str) -> list[str]:
    command = [str(python), *(["-m", "veritls", "run"] if module == "veritls" else []), "-m", "pytest", "-q"]
    command += ["-p", "no:cacheprovider", "-p", "veritls_suites_recorder"]
    command += ["-p", "pytest_timeout", f"--timeout={_SECONDS}", "-o", "addopts=", "-o", "xfail_strict=true"]
    for plugin in library.plugins:
        command += ["-p", plugin]
    if library.chosen:
        command += ["-k", library.chosen]
    if library.marked:
        command += ["-m", library.marked]
    return [*command, *([] if library.kept else ["--pyargs"]), *library.files]


def run_with(library: Library, python: Path, where: Path, module: str) -> dict[str, Result]:
    """Every test of `library` with `module` ("ssl" or "veritls"). Raises Unreadable."""
    report = where / f"{module}.json"
    report.touch()
    log = where / f"{module}.log"
    variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "VERITLS_SUITES_REPORT": str(report)}
    with log.open("wb") as output:
        try:
            subprocess.run(
                _command(library, python, module),
                cwd=where,
                env=os.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_LIBRARY_SECONDS,
            )
        except subprocess.TimeoutExpired:
            output.write(b"\nlonger than the limit for a library\n")
    results = read(report)
    if not results:
        raise Unreadable(f"no test of {library.name} ran with {module}:\n{log.read_text('utf-8')[-3000:]}")
    last = json.loads(report.read_text("utf-8").splitlines()[-1])
    if last.get("ssl", module) != module:
        raise Unreadable(f"{library.name} was tested with {last['ssl']}, not with {module}")
    return results


@dataclass(frozen=True)
class Comparison:
    """The same tests with both."""

    library: Library
    baseline: dict[str, Result]
    results: dict[str, Result]

    def counted(self) -> dict[str, Result]:
        """veritls's results of those tests that pass with `ssl`."""
        missing = Result("lost", "did not run")
        passing = [test for test, result in self.baseline.items() if result.outcome == "passed"]
        return {test: self.results.get(test, missing) for test in passing}

    def passed(self) -> int:
        """How many of those pass with veritls."""
        return sum(result.outcome == "passed" for result in self.counted().values())

    def missed(self) -> dict[str, Result]:
        """The tests that do not."""
        return {test: result for test, result in self.counted().items() if result.outcome != "passed"}

    def not_with_ssl(self) -> Iterator[str]:
        """The tests that fail with `ssl` on this machine: nothing is compared with them."""
        for test, result in self.baseline.items():
            if result.outcome in ("failed", "lost"):
                yield test


def compare(library: Library) -> Comparison:
    """Runs `library`'s tests with `ssl` and with veritls at the same time. Raises NotFetched, Unreadable."""
    python = environment()
    archive = sdist(library, python)
    folders = {module: unpacked(library, archive, module) for module in ("ssl", "veritls")}
    with ThreadPoolExecutor(2) as pool:
        runs = {
            module: pool.submit(run_with, library, python, where, module) for module, where in folders.items()
        }
        return Comparison(library, runs["ssl"].result(), runs["veritls"].result())
