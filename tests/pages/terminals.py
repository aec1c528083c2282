"""Terminals: a command at a time, which ends or goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.pages.outputs import pattern, plain

SECONDS = 60
"""How long a command may take, or until it says what the page shows."""


class Terminal:
    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._environ = folder, environ
        self._process: subprocess.Popen[str] | None = None

    def start(self, command: str) -> None:
        """Ends the command before, as Ctrl-C does, and begins this one."""
        self.end(signal.SIGINT)
        self._said, self._seen, self._ended = "", 0, False
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self._said += line
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _until(self, true: Callable[[], bool], shown: str) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: true() or self._ended, SECONDS)
            assert came and true(), f"shown:\n{shown}\nbut it said:\n{self._said[self._seen :]}"

    def ends(self, shown: str) -> None:
        """Until the command ends; its output is what is shown. One that is silent has to end well."""
        assert self._process is not None
        self._until(lambda: self._ended, shown)
        said = plain(self._said)
        assert pattern(plain(shown)).fullmatch(said), f"shown:\n{shown}\nbut it said:\n{said}"
        status = self._process.wait(SECONDS)
        assert shown.strip() or status == 0, f"it ended with {status}"

    def succeeds(self) -> None:
        """Until the command ends well, whatever it says."""
        assert self._process is not None
        self._until(lambda: self._ended, "")
        status = self._process.wait(SECONDS)
        assert status == 0, f"it ended with {status}:\n{self._said}"

    def says(self, shown: str, *, first: bool) -> None:
        """Until the command has said what is shown, at first or since it was asked last."""
        wanted = pattern(plain(shown))

        def found() -> bool:
            said = plain(self._said[self._seen :])
            return bool(wanted.match(said) if first else wanted.search(said))

        self._until(found, shown)
        self._seen = len(self._said)

    def stops(self, shown: str) -> None:
        """Presses Ctrl-C, and waits until the command ends."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)
        self.says(shown, first=False)
        self._until(lambda: self._ended, shown)

    def end(self, by: signal.Signals = signal.SIGKILL) -> None:
        """Ends what runs, if anything does; what outlives the signal is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, by)
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
        self._reader.join(SECONDS)
        assert process.stdout is not None
        process.stdout.close()
