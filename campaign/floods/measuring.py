"""One flood against one victim: what it holds and costs, when it ends, and how others fare meanwhile."""

from __future__ import annotations

import contextlib
import json
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from campaign.floods.attacker import SECONDS, Files, attacker
from campaign.floods.kinds import Flood


class Victim:
    """A process of campaign/floods/victim.py."""

    def __init__(self, files: Files, module: str, transport: str) -> None:
        program = [sys.executable, "-m", "campaign.floods.victim"]
        arguments = [module, transport, str(files.server), str(files.ca)]
        self.module, self.transport = module, transport
        self._process = subprocess.Popen(
            [*program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answers = queue.Queue[Any]()
        self._ends: dict[int, Any] = {}
        self._ended = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()
        self.port = self._answers.get(timeout=SECONDS)["port"]

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            said = json.loads(line)
            if "ended" not in said:
                self._answers.put(said)
                continue
            with self._ended:
                self._ends[said["peer"]] = said
                self._ended.notify_all()

    def order(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def asked(self, command: str) -> dict[str, Any]:
        self.order(command)
        answer: dict[str, Any] = self._answers.get(timeout=SECONDS)
        return answer

    def end(self, peer: int, seconds: float) -> dict[str, Any] | None:
        """What it says of the end of the connection with that port."""
        with self._ended:
            self._ended.wait_for(lambda: peer in self._ends, seconds)
            ended: dict[str, Any] | None = self._ends.pop(peer, None)
            return ended

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass(frozen=True)
class Seen:
    """One flood's outcome."""

    ended: bool
    """By the victim, before the flood was over."""
    error: str
    """What the victim's program saw; where it sees none, the alert or nothing."""
    sent: int
    """Bytes after the handshake, those that nobody read in the kernel's buffers included."""
    processor: float
    """Seconds of the victim's."""
    held: int
    """Bytes by which the victim's memory grew at most."""

    @property
    def per_byte(self) -> float:
        return self.processor * 1e9 / max(self.sent, 1)


@contextmanager
def certificates() -> Iterator[Files]:
    ca = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder) / "server.pem", Path(folder) / "ca.pem")
        ca.cert_pem.write_to_path(str(files.ca))
        ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(files.server))
        yield files


@contextmanager
def victim(files: Files, module: str, transport: str) -> Iterator[Victim]:
    made = Victim(files, module, transport)
    try:
        yield made
    finally:
        made.stop()


def measure(files: Files, target: Victim, flood: Flood, most: int, seconds: float) -> Seen:
    """Floods once with `most` bytes, or for that long."""
    with attacker(files, target, flood.against, flood.version) as attacking:
        pieces = flood.pieces(attacking)
        first = next(pieces)  # With the handshake, where there is one.
        target.asked("mark")
        before = target.asked("stat")
        chained = (each for part in ([first], pieces) for each in part)
        ended = attacking.flood(chained, most, time.monotonic() + seconds)
        # A loop's program does not see a server's handshake that fails.
        unseen = not attacking.established and target.transport != "blocking" and flood.against == "server"
        said = target.end(attacking.port, SECONDS if ended and not unseen else 0.0)
        after = target.asked("stat")
        error = said["ended"] if said else f"alert {attacking.alert}" if attacking.alert else ""
        return Seen(
            ended,
            error,
            attacking.sent,
            after["cpu"] - before["cpu"],
            max(0, after["peak"] - before["resident"]),
        )


_PROBER = """
import json, socket, ssl, sys, time
context = ssl.create_default_context(cafile=sys.argv[2])
took, until = [], time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"echo")
            assert tls.recv(10) == b"echo"
    took.append(time.perf_counter() - began)
    time.sleep(0.01)
print(json.dumps(took))
"""


def latencies(files: Files, target: Victim, seconds: float) -> list[float]:
    """How long honest clients took for a connection, a handshake and an echo, one after another."""
    command = [sys.executable, "-c", _PROBER, str(target.port), str(files.ca), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 3 * SECONDS)
    if done.returncode:
        raise AssertionError(f"an honest client failed: {done.stderr.strip().splitlines()[-1]}")
    took: list[float] = json.loads(done.stdout)
    return took


def meanwhile(files: Files, target: Victim, flood: Flood, seconds: float) -> float:
    """The median of honest clients' times while one attacker floods, again and again; in ms."""
    over = threading.Event()

    def attack() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), attacker(files, target, flood.against, flood.version) as one:
                one.flood(flood.pieces(one), 2**60, time.monotonic() + seconds)

    attacking = threading.Thread(target=attack, daemon=True)
    attacking.start()
    try:
        return 1000 * statistics.median(latencies(files, target, seconds))
    finally:
        over.set()
        attacking.join(2 * SECONDS)
