"""Pairs of processes that do one job after the other, and entrants that take turns."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import rustls_program
from bench.contestants import RUSTLS
from bench.work import Job

_ROOT = Path(__file__).parent.parent
_START = 120.0
_GRACE = 1.0
_SAID = ("suite", "p50", "p99", "p99.9", "worst")
"""What a turn takes over from the client's result as it is."""


class Failed(Exception):
    """A contestant could not do a job; the words say why."""


class Declined(Failed):
    """It does not do the work; the other side's view adds nothing."""


class NoAnswer(Failed):
    """It said nothing in time."""


def _command(contestant: str) -> list[str]:
    if contestant == RUSTLS:
        return [str(rustls_program.build())]
    return [sys.executable, "-m", "bench.worker", contestant]


class Worker:
    """A process that answers lines of JSON with lines of JSON."""

    def __init__(self, contestant: str) -> None:
        paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            _command(contestant),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            # What it starts ends with it.
            process_group=0,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._read = b""

    def send(self, job: Job) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()

    def answer(self, seconds: float) -> Job:
        """The next answer. Raises Failed for an error, or where none comes within `seconds`."""
        end = time.monotonic() + seconds
        while b"\n" not in self._read:
            left = end - time.monotonic()
            if left <= 0:
                raise NoAnswer(f"no answer within {seconds:.0f} seconds")
            if self._selector.select(left):
                piece = os.read(self._output, 65536)
                if not piece:
                    raise Failed(f"the process ended: {self._last_words()}")
                self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        answer: Job = json.loads(line)
        if "error" in answer:
            raise (Declined if answer.get("declined") else Failed)(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait(_GRACE)
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"status {code}"

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Pair:
    """A server's and a client's process, of the same contestant or of two."""

    def __init__(self, server: str, client: str) -> None:
        self._workers = {"server": Worker(server), "client": Worker(client)}
        try:
            for worker in self._workers.values():
                worker.answer(_START)
        except Failed:
            self.close()
            raise

    def run(self, job: Job, seconds: float, *, alone: bool = False) -> tuple[Job, Job]:
        """Both sides' results; `alone`: only the client's process works. Raises Failed."""
        server, client = self._workers["server"], self._workers["client"]
        if alone:
            client.send(job | {"side": "client"})
            return {}, client.answer(seconds)["result"]
        server.send(job | {"side": "server"})
        # The port to connect to, and whatever else the server says of itself.
        client.send(job | server.answer(seconds) | {"side": "client"})
        try:
            result = client.answer(seconds)["result"]
        except Declined:
            raise
        except Failed as failure:
            raise Failed(f"{failure}{self._other_side(server)}") from None
        return server.answer(seconds)["result"], result

    def _other_side(self, server: Worker) -> str:
        try:
            server.answer(_GRACE)
        except NoAnswer:
            return ""
        except Failed as failure:
            return f"; server: {failure}"
        return ""

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()


class Pairs:
    """The pairs of a run, each started when first needed, and again after a failure."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], Pair] = {}

    def run(
        self, contestant: str, job: Job, seconds: float, *, server: str | None = None, alone: bool = False
    ) -> tuple[Job, Job]:
        """`contestant` does `job`, its server that of another contestant where one is named."""
        key = (server or contestant, contestant)
        try:
            if key not in self._running:
                self._running[key] = Pair(*key)
            return self._running[key].run(job, seconds, alone=alone)
        except (Failed, rustls_program.NotBuilt) as failure:
            # What a failed job leaves behind must not meet the next one.
            self.give_up(key)
            raise Failed(str(failure)) from None

    def give_up(self, key: tuple[str, str]) -> None:
        if pair := self._running.pop(key, None):
            pair.close()

    def keep(self, contestants: Collection[str]) -> None:
        """Ends the pairs of all others: processes that wait take memory that the next measurement needs."""
        for key in tuple(self._running):
            if not set(key) <= set(contestants):
                self.give_up(key)

    def close(self) -> None:
        self.keep(())


@dataclass
class Entrant:
    """What takes its turn in a case: a contestant with a job, as much of it as fits the time."""

    label: str
    contestant: str
    job: Job
    per_unit: float = 1.0
    """What one `count` is worth in the unit of the measurement."""
    first: int = 20
    """`count` of the first try, from which the next ones are reckoned."""
    alone: bool = False
    server: str | None = None
    """The contestant that is its server, where that is another one."""
    qualify: Callable[[Pairs, Entrant], None] | None = None
    """Raises Failed where the contestant does not do the work."""
    _rate: float | None = field(default=None, init=False)

    def turn(self, pairs: Pairs, seconds: float) -> Job:
        """One measurement: {"value": units a second, "cpu_client", "cpu_server": seconds a unit, "suite"}."""
        if self._rate is None:
            if self.qualify is not None:
                self.qualify(pairs, self)
            self._rate = self._calibrated(pairs, seconds)
        count = max(1, int(self._rate * seconds))
        server, client = self._run(pairs, seconds, count)
        self._rate = client["amount"] / client["seconds"]
        units = client["amount"] * self.per_unit
        turn = {"value": units / client["seconds"], "cpu_client": client["cpu"] / units}
        if "cpu" in server:
            turn["cpu_server"] = server["cpu"] / units
        return turn | {key: client[key] for key in _SAID if client.get(key)}

    def _run(self, pairs: Pairs, seconds: float, count: int) -> tuple[Job, Job]:
        warm = max(3, count // 10)
        job = self.job | {"count": count, "warm": warm, "limit": seconds}
        return pairs.run(self.contestant, job, 60 + 20 * seconds, server=self.server, alone=self.alone)

    def _calibrated(self, pairs: Pairs, seconds: float) -> float:
        count = self.first
        while True:
            _, client = self._run(pairs, seconds, count)
            rate: float = client["amount"] / client["seconds"]
            if client["seconds"] >= seconds / 4 or self.alone:
                return rate
            count = int(min(max(rate * seconds / 2, 2 * count), 50 * count))


@dataclass
class Case:
    """Entrants that are compared: what they do is named by `label`, `x` is its place on a curve."""

    label: str
    entrants: Sequence[Entrant]
    baseline: str = "ssl"
    x: float | None = None
    tags: dict[str, str] = field(default_factory=dict)
    """What tells the case from its siblings, by the kind of difference."""
    turns: dict[str, list[Job]] = field(default_factory=dict, init=False)
    absent: dict[str, str] = field(default_factory=dict, init=False)


def take_turns(
    pairs: Pairs, cases: Sequence[Case], rounds: int, seconds: float, tell: Callable[[str], None]
) -> None:
    """Rounds of all cases, the entrants of each one after the other. A failure ends an entrant's part."""
    pairs.keep({entrant.contestant for case in cases for entrant in case.entrants})
    for number in range(rounds):
        for case in cases:
            for entrant in case.entrants:
                if entrant.label in case.absent:
                    continue
                try:
                    turn = entrant.turn(pairs, seconds)
                except Failed as failure:
                    case.absent[entrant.label] = str(failure)
                    case.turns.pop(entrant.label, None)
                    tell(f"  {case.label}: without {entrant.label}: {failure}")
                else:
                    case.turns.setdefault(entrant.label, []).append(turn)
        tell(f"  round {number + 1} of {rounds}")
