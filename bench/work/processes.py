"""Whole processes: a server that answers HTTP as long as the job lasts, and programs that are started."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
from pathlib import Path

from bench.contestants import Contestant
from bench.loops import listener
from bench.recipe import Recipe
from bench.work import Job, Say
from bench.work.clock import Clock

_ROOT = Path(__file__).parent.parent.parent
_SPAWN = _ROOT / "bench" / "spawn.py"
_LIMIT = 60
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_OWN_WAYS = re.compile(r"SSL_CERT_\w+|SSLKEYLOGFILE|\w+_CA_BUNDLE|\w+_proxy|COVERAGE_\w+|PYTHON\w+", re.I)
"""Variables that change whom a program trusts, where it connects to, what it imports, how it is compiled."""


def serve(contestant: Contestant, job: Job, say: Say) -> Job:
    """Answers the requests of `connections` connections, each until its client ends it."""
    context = contestant.server_context(Recipe.of(job["recipe"]))

    def answer(plain: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(contestant.accept(context, plain)) as connection,
        ):
            read = b""
            while piece := connection.recv(65536):
                read += piece
                while b"\r\n\r\n" in read:
                    _, _, read = read.partition(b"\r\n\r\n")
                    connection.sendall(_RESPONSE)

    clock, answering = Clock(), []
    with listener() as listening:
        listening.settimeout(_LIMIT)
        say({"port": listening.getsockname()[1]})
        for _ in range(job["connections"]):
            plain, _ = listening.accept()
            plain.settimeout(_LIMIT)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            answering.append(threading.Thread(target=answer, args=(plain,), daemon=True))
            answering[-1].start()
        for thread in answering:
            thread.join(_LIMIT)
    return clock.report(job["connections"])


def _environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not _OWN_WAYS.fullmatch(name)}
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if others := [path for path in paths if path not in ("", str(_ROOT))]:
        kept["PYTHONPATH"] = os.pathsep.join(others)
    return kept | more


def _output(command: list[str], environment: dict[str, str]) -> list[str]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    lines = output.splitlines()
    if process.returncode or not lines or lines[-1].split()[-1] != "0":
        words = errors.strip().splitlines()
        raise RuntimeError(words[-1] if words else "the program failed without a word")
    return lines


def _summary(lines: list[list[float]]) -> Job:
    wall, processor, peak, _ = zip(*lines, strict=True)
    return {
        "wall": statistics.median(wall),
        "cpu": statistics.median(processor),
        "peak": statistics.median(peak),
    }


def start(contestant: Contestant, job: Job, say: Say) -> Job:
    """Starts `program` `count` times, by turns with `beside` where there is one. Medians, in seconds and KiB.

    A program that prints lines of two figures did something several times, and says how long it took by the
    clock and of the processor: `first` and `again` are the medians of its first line and of all others.
    """
    port = [str(job["port"])] if "port" in job else []
    lines = _output(
        [
            *(sys.executable, "-I", "-S", str(_SPAWN)),
            *(str(job["count"]), job["program"], job.get("beside", "")),
            *(*port, *map(str, job.get("arguments", ()))),
        ],
        _environment(job.get("environment", {})),
    )
    ends: dict[str, list[list[float]]] = {"0": [], "1": []}
    first, again = [], []
    said: list[list[float]] = []
    for line in lines:
        which, *figures = line.split()
        if len(figures) == 1:
            said.append([float(which), float(figures[0])])
            continue
        ends[which].append([float(figure) for figure in figures])
        first += said[:1]
        again += said[1:]
        said = []
    result = {"process": _summary(ends["0"])}
    if ends["1"]:
        result["beside"] = _summary(ends["1"])
    for name, each in (("first", first), ("again", again)):
        if each:
            wall, processor = zip(*each, strict=True)
            result[name] = {"wall": statistics.median(wall), "cpu": statistics.median(processor)}
    return result
