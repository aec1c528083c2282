"""Programs that tests start, watch and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tests.support.connections import SECONDS, in_thread

ROOT = Path(__file__).parents[2]


class Program:
    """A program that runs: its pid, what it prints, and what it logs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None and process.stderr is not None
        self.pid = process.pid
        self._printed = process.stdout
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reading = in_thread(self._keep, process.stderr)

    def _keep(self, errors: IO[str]) -> None:
        for line in errors:
            with self._changed:
                self._lines.append(line.rstrip())
                self._changed.notify_all()

    def numbers(self) -> list[int]:
        """Those of the next line that it prints."""
        return [int(word) for word in self.line().split()]

    def line(self) -> str:
        """The next line that it prints."""
        line: str = in_thread(self._printed.readline).result(SECONDS)
        return line.rstrip()

    def logged(self, words: str) -> str:
        """The first line of its stderr that contains `words`, once there is one."""
        with self._changed:
            found = self._changed.wait_for(lambda: [each for each in self._lines if words in each], SECONDS)
            assert found, self._lines
            line: str = found[0]
            return line


@contextmanager
def program(*command: str, **options: Any) -> Iterator[Program]:
    """Python with these arguments, from the root of the checkout; ended at the end."""
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    ) as running:
        made = Program(running)
        try:
            yield made
        finally:
            running.terminate()
            running.wait(SECONDS)
            with suppress(ProcessLookupError):  # what it forked holds its pipes
                os.killpg(running.pid, signal.SIGKILL)
            made._reading.result(SECONDS)
