"""A fault in a process of its own: what it counted, and what was not as promised."""

from __future__ import annotations

import asyncio
import collections
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import veritls.aio
from tests.support.certificates import Party

FOLDER = Path(__file__).parents[2]
_SLOW = 90
"""Seconds over the wanted ones after which a program hangs."""
_BROKEN = ("panicked", "Fatal Python error", "Traceback", "Exception ignored", "never awaited")


@dataclass
class Seen:
    """What one fault came to; threads may count."""

    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)
    skipped: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, what: str, times: int = 1) -> None:
        with self._lock:
            self.counts[what] += times

    def expect(self, true: object, words: str) -> None:
        if not true:
            with self._lock:
                self.wrong.append(words)


Work = Callable[[float, Seen], None]


def loop_factories() -> list[Callable[[], asyncio.AbstractEventLoop]]:
    """veritls's event loops: the second one where uvloop is installed."""
    found: list[Callable[[], asyncio.AbstractEventLoop]] = [veritls.aio.EventLoop]
    if importlib.util.find_spec("uvloop") is not None:
        found.append(veritls.aio.UvloopEventLoop)
    return found


def main(work: Work) -> None:
    """The program: runs `work` for the seconds of its first argument and prints what it saw."""
    seen = Seen()
    work(float(sys.argv[1]), seen)
    wrong = list(collections.Counter(seen.wrong).items())[:20]
    told = [f"{words} ({times} times)" if times > 1 else words for words, times in wrong]
    print(json.dumps({"counts": seen.counts, "wrong": told, "skipped": seen.skipped}), flush=True)
    # Threads of a fault may wait for ever.
    sys.stderr.flush()
    os._exit(0)


def run(
    module: str,
    seconds: float,
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Seen:
    """`python -m campaign.faults.MODULE SECONDS ...`. A crash or a hang is wrong, and so is what it says."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"campaign.faults.{module}", str(seconds), *arguments],
            cwd=FOLDER,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=seconds + _SLOW,
        )
    except subprocess.TimeoutExpired:
        return Seen(wrong=["it hangs"])
    seen = Seen()
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        seen.wrong.append(f"it ended with {done.returncode}: {done.stderr.strip()[-600:]}")
        return seen
    said = json.loads(lines[-1])
    seen.counts.update(said["counts"])
    seen.wrong += said["wrong"]
    seen.skipped = said["skipped"]
    if any(word in done.stderr for word in _BROKEN):
        seen.wrong.append(f"it said {done.stderr.strip()[-600:]}")
    return seen


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files: two CAs, and with its key each a server and a client below them."""

    ca: Path
    other_ca: Path
    server: Path
    client: Path
    other_server: Path


def certificates(folder: Path | None = None) -> Certificates:
    """Made anew, in `folder` or one that stays until the machine clears it."""
    folder = folder or Path(tempfile.mkdtemp(prefix="veritls-fault-"))

    def written(name: str, data: bytes) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    first, second = Party("first CA", ca=True), Party("second CA", ca=True)
    return Certificates(
        written("ca.pem", first.pem),
        written("other-ca.pem", second.pem),
        first.issue("localhost").file(folder),
        first.issue("client.example").file(folder),
        second.issue("localhost").file(folder),
    )
