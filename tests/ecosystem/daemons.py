"""Servers of others, started as programs on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.connections import SECONDS

START_SECONDS = 60
ATTEMPTS = 5


def program(name: str, folder: str = "/usr/sbin") -> str:
    """The path of a server program, or a skip that names it; under CI a failure."""
    path = shutil.which(name) or shutil.which(name, path=folder)
    if path is None:
        report = pytest.fail if os.environ.get("CI") else pytest.skip
        report(f"there is no {name} on this machine")
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def daemon(
    command: Callable[[int], list[str]], ready: bytes, stop: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[int]:
    """The port of a server that runs `command(port)` and said `ready`; it is ended with `stop` at the end.

    Where another program takes the port meanwhile, another port is tried.
    """
    for _ in range(ATTEMPTS):
        port = free_port()
        pipes: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(command(port), **pipes, **options) as running:
            said: list[bytes] = []
            decided = threading.Event()

            def listen(
                lines: Any = running.stdout, said: list[bytes] = said, decided: threading.Event = decided
            ) -> None:
                for line in lines:
                    said.append(line)
                    if ready in line:
                        decided.set()
                decided.set()

            listener = threading.Thread(target=listen, daemon=True)
            listener.start()
            try:
                if decided.wait(START_SECONDS) and any(ready in line for line in said):
                    yield port
                    return
            finally:
                running.send_signal(stop)
                try:
                    running.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    running.kill()
                listener.join(SECONDS)
                words = b"".join(said).decode(errors="replace")
                print(words)
        if "in use" not in words:
            break
    pytest.fail(f"{command(0)[0]} did not start: {words}")


@contextmanager
def unprivileged_folder() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder, and options of `subprocess` that run a program as its owner, who is never root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder, {}
            return
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        yield folder, {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
