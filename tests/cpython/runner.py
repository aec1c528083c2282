"""Runs a suite in worker processes, so that no hang or crash of one test keeps the rest from running."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cpython.suites import Suite
from tests.cpython.worker import MARK

_ROOT = Path(__file__).parents[2]
_GRACE = 5.0
_KEEP = 6000
_SHARDS = 3
_WORKERS_AT_MOST = 40


@dataclass(frozen=True)
class Result:
    """How one test ended: passed, failed, skipped, hang (took too long) or crash (the process died)."""

    test: str
    outcome: str
    reason: str = ""
    detail: str = ""
    seconds: float = 0.0


@dataclass
class Worker:
    """One process and what it has said so far."""

    suite: Suite
    module: str
    share: str
    asked: list[str]
    tests: list[str] | None = None
    results: dict[str, Result] = field(default_factory=dict)
    running: str | None = None
    timed_out: bool = False
    output: str = ""

    def _take(self, line: dict[str, Any]) -> None:
        if "tests" in line:
            self.tests = line["tests"]
        elif "started" in line:
            self.running = line["started"]
        else:
            self.running = None
            self.results[line["test"]] = Result(**line)

    def _lines(self, source: int, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
        rest = b""
        until = time.monotonic() + self.suite.seconds + _GRACE
        while self.tests is None or len(self.results) < len(self.tests):
            if not select.select([source], [], [], max(0.0, until - time.monotonic()))[0]:
                self.timed_out = True
                return
            data = os.read(source, 65536)
            if not data:
                return
            *whole, rest = (rest + data).split(b"\n")
            until = time.monotonic() + self.suite.seconds + _GRACE
            for line in whole:
                yield json.loads(line)

    def run(self) -> None:
        """Runs until all tests are reported or the process ends; it is gone afterwards."""
        source, sink = os.pipe()
        arguments = [self.suite.key, str(sink), str(self.suite.seconds), self.module, self.share]
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.cpython.worker", *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[sink],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
            )
            os.close(sink)
            assert process.stdin is not None
            process.stdin.write("\n".join(self.asked).encode())
            process.stdin.close()
            try:
                for line in self._lines(source, process):
                    self._take(line)
            finally:
                os.close(source)
                process.kill()
                process.wait()
            output.seek(0)
            self.output = output.read().decode(errors="replace")
        for part in self.output.split(MARK)[1:]:
            test, _, printed = part.partition("\n")
            result = self.results.get(test)
            if result is not None and result.outcome == "failed":
                detail = f"{result.detail}\nprinted:\n{printed[-_KEEP:]}"
                self.results[test] = dataclasses.replace(result, detail=detail)

    def ended_by(self) -> Result | None:
        """The test that was under way when the process ended, if one was."""
        if self.running is None:
            return None
        hang = self.timed_out or "Timeout (" in self.output
        file = self.suite.name.split(".")[-1] + ".py"
        where = [line.strip() for line in self.output.splitlines() if file in line and "File" in line]
        words = f"longer than {self.suite.seconds:g} s" if hang else "the process died"
        reason = f"{words} {where[-1] if where else ''}".strip()
        return Result(self.running, "hang" if hang else "crash", reason, self.output.split(MARK)[-1][-_KEEP:])


def _run_share(suite: Suite, module: str, share: str) -> dict[str, Result]:
    """One share of the tests, in as many processes, one after another, as it takes."""
    results: dict[str, Result] = {}
    asked: list[str] = []
    for _ in range(_WORKERS_AT_MOST):
        worker = Worker(suite, module, share, asked)
        worker.run()
        if worker.tests is None:
            raise RuntimeError(f"{suite.key} cannot be loaded with {module}:\n{worker.output[-_KEEP:]}")
        results |= worker.results
        ended = worker.ended_by()
        if ended is not None:
            results[ended.test] = ended
        asked = [test for test in worker.tests if test not in results]
        if not asked:
            break
    for test in asked:
        results[test] = Result(test, "hang", "not reached: too many tests before it hang")
    return results


def run_with(suite: Suite, module: str) -> dict[str, Result]:
    """Every test of `suite` with `module` ("ssl" or "veritls"), by "Class.test"."""
    results: dict[str, Result] = {}
    shares = [f"{shard}/{_SHARDS}" for shard in range(_SHARDS)]
    with ThreadPoolExecutor(_SHARDS) as pool:
        for part in pool.map(lambda share: _run_share(suite, module, share), shares):
            results |= part
    return results


@dataclass(frozen=True)
class Comparison:
    """The same suite with both."""

    suite: Suite
    baseline: dict[str, Result]
    results: dict[str, Result]

    def counted(self) -> dict[str, Result]:
        """veritls's results of those tests that pass with `ssl`."""
        missing = Result("", "failed", "did not run")
        passing = [test for test, result in self.baseline.items() if result.outcome == "passed"]
        return {test: self.results.get(test, missing) for test in passing}

    def passed(self) -> int:
        """How many of those pass with veritls."""
        return sum(result.outcome == "passed" for result in self.counted().values())

    def missed(self) -> dict[str, Result]:
        """The tests that do not."""
        return {test: result for test, result in self.counted().items() if result.outcome != "passed"}


def compare(suite: Suite) -> Comparison:
    """Runs `suite` with `ssl` and with veritls at the same time: it mostly waits."""
    with ThreadPoolExecutor(2) as pool:
        baseline = pool.submit(run_with, suite, "ssl")
        results = pool.submit(run_with, suite, "veritls")
        return Comparison(suite, baseline.result(), results.result())
