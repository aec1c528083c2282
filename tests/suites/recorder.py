"""A plugin of pytest that writes a JSON line for each test that begins, and one for each of its phases.

It runs in an environment without veritls's tests, so it imports nothing of them. The file that the variable
VERITLS_SUITES_REPORT names is written line by line: it tells what happened up to a crash.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
from typing import Any

import pytest

_RAISED = re.compile(r"^[\sE|]*([\w.]+(?:Error|Exception|Failed|Warning)(?:: .*)?)$", re.M)
"""The line of a traceback that names what was raised; within a group, too."""


def short(nodeid: str) -> str:
    """The test's name from its file's name on: what stands before depends on where it was unpacked."""
    path, separator, rest = nodeid.partition("::")
    return path.rpartition("/")[2] + separator + rest


def _write(line: dict[str, Any]) -> None:
    with open(os.environ["VERITLS_SUITES_REPORT"], "a", encoding="utf-8") as report:
        report.write(json.dumps(line) + "\n")


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    _write({"began": short(nodeid)})


def pytest_runtest_logfinish(nodeid: str) -> None:
    """It has ended."""
    _write({"ended": short(nodeid)})


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One of its phases (setup, call, teardown; a subtest is a call) has ended."""
    reasons = _RAISED.findall(report.longreprtext) or [report.longreprtext.strip()[-300:]]
    expected = hasattr(report, "wasxfail")
    _write(
        {
            "test": short(report.nodeid),
            "outcome": "skipped" if expected else report.outcome,
            "phase": report.when,
            "reason": reasons[-1][:300] if report.failed else "",
        }
    )


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be loaded: all its tests are missing."""
    if report.failed:
        _write({"unreadable": short(report.nodeid), "reason": report.longreprtext[-1000:]})


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Everything is reported: the process leaves, whatever threads the tests left behind."""
    _write({"ssl": ssl.SSLContext.__module__.partition(".")[0]})
    sys.stdout.flush()
    os._exit(0)
