"""A process that runs tests of one suite and writes a JSON line for every start and end.

`python -m tests.cpython.worker SUITE FD SECONDS {ssl|veritls} SHARD/SHARDS`; the tests to run come on
standard input, one a line; where there are none, it is the shard's share of the suite. A test that takes
longer than SECONDS ends the process. What tests print goes to standard output, after a line with MARK and
the test's name.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
import traceback
import unittest
from collections.abc import Iterator
from typing import Any

from tests.cpython.substitute import substitute
from tests.cpython.suites import SUITES

_KEEP = 6000
MARK = "@@ began: "


def short(test: Any) -> str:
    """ "Class.test" of a test case."""
    return ".".join(test.id().split(".")[-2:])


def flat(suite: Any) -> Iterator[Any]:
    """The test cases of nested suites, in order."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from flat(each)
        else:
            yield each


class Reporter(unittest.TestResult):
    """Sends each test's outcome as soon as it is known."""

    def __init__(self, descriptor: int, seconds: float) -> None:
        super().__init__()
        self._pipe = os.fdopen(descriptor, "w", buffering=1)
        self._seconds = seconds
        self._outcome: tuple[str, str, str] = ("passed", "", "")
        self._began = 0.0
        self.reported: set[str] = set()
        self.around: list[tuple[str, str, str]] = []

    def send(self, **fields: Any) -> None:
        """One JSON line."""
        self._pipe.write(json.dumps(fields) + "\n")

    def _set(self, test: Any, outcome: str, reason: str, detail: str = "") -> None:
        if isinstance(test, unittest.TestCase) or hasattr(test, "test_case"):
            if self._outcome[0] != "failed":
                self._outcome = outcome, reason, detail
        else:  # setUpClass or setUpModule: counts for the tests that it keeps from running
            self.around.append((outcome, reason, detail))

    def _failed(self, test: Any, error: Any) -> None:
        kind, value, trace = error
        text = "".join(traceback.format_exception(kind, value, trace))
        self._set(test, "failed", traceback.format_exception_only(kind, value)[-1].strip(), text[-_KEEP:])

    def startTest(self, test: Any) -> None:
        """Says which test is under way, and bounds it."""
        super().startTest(test)
        self._outcome, self._began = ("passed", "", ""), time.monotonic()
        print(f"\n{MARK}{short(test)}", flush=True)
        self.send(started=short(test))
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=2)

    def stopTest(self, test: Any) -> None:
        """Says how it ended."""
        faulthandler.cancel_dump_traceback_later()
        outcome, reason, detail = self._outcome
        self.end(short(test), outcome, reason, detail, time.monotonic() - self._began)
        super().stopTest(test)

    def end(self, test: str, outcome: str, reason: str, detail: str, seconds: float) -> None:
        """Sends an outcome."""
        self.reported.add(test)
        self.send(test=test, outcome=outcome, reason=reason, detail=detail, seconds=round(seconds, 2))

    def addError(self, test: Any, err: Any) -> None:
        """An exception."""
        self._failed(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        """An assertion that does not hold."""
        self._failed(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        """The same, in a part of a test."""
        if err is not None:
            self._failed(test, err)

    def addSkip(self, test: Any, reason: str) -> None:
        """Skipped by itself."""
        self._set(test, "skipped", reason)


def main() -> None:
    """Runs the tests and leaves, whatever threads they left behind."""
    name, descriptor, seconds, module, share = sys.argv[1:]
    shard, shards = map(int, share.split("/"))
    reporter = Reporter(int(descriptor), float(seconds))
    asked = sys.stdin.read().split()
    suite = SUITES[name]
    if module == "veritls":
        substitute(aio=suite.aio)
    from test import support

    support.use_resources = {"cpu": None, "walltime": None}
    support.verbose = 1  # the servers of test_ssl say what went wrong only then
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    threading.excepthook = lambda args: print(
        "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
    )
    loaded = list(flat(unittest.defaultTestLoader.loadTestsFromName(suite.module)))
    if asked:
        tests = [test for test in loaded if short(test) in asked]
    else:
        tests = [test for test in loaded if suite.wants(short(test))][shard::shards]
    reporter.send(tests=[short(test) for test in tests])
    unittest.TestSuite(tests).run(reporter)
    outcome, reason, detail = (reporter.around or [("failed", "did not run", "")])[-1]
    for test in tests:
        if short(test) not in reporter.reported:
            reporter.end(short(test), outcome, reason, detail, 0.0)
    os._exit(0)


if __name__ == "__main__":
    main()
