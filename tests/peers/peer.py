"""What a driver of another TLS program offers, and the running of such a program."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from tests.conftest import Files
from tests.peers.cases import Case, Certificate, Outcome
from tests.support.connections import in_thread

Role = Literal["client", "server"]
PING, PONG = b"ping\n", b"pong\n"
SECONDS = 10


class Serving(NamedTuple):
    """A peer that waits for connections."""

    port: int
    finish: Callable[[], Outcome]
    """To be called once veritls is done with a connection: what the peer made of it."""


class Cannot(NamedTuple):
    """Cases that a peer is unable to take part in."""

    role: Role
    """The peer's."""
    case: dict[str, Any]
    """Fields of a case, and the values that the excluded cases have there."""
    reason: str


class Peer(Protocol):
    """A driver: derive from it, so as to have the defaults."""

    name: str
    version_command: tuple[str, ...]
    """What prints its version first of all numbers with a point."""
    roles: frozenset[Role]
    request: bytes = PING
    """What veritls sends as a client, and what ends the request that it awaits as a server."""
    reply: bytes = PONG
    """What veritls replies as a server, and what the reply that it awaits as a client contains."""
    refusal: bytes | None = None
    """What the peer, as a server, answers with instead of an alert when it refuses a certificate."""
    odd_refusals: frozenset[str] = frozenset()
    """Alerts, as `SSLError.reason` names them, by which it alone refuses a certificate."""
    silent: frozenset[Certificate] = frozenset()
    """The certificates that it refuses by ending the connection without an alert; "none" is a missing one."""
    takes_tickets: bool = True
    """Whether, as a client of TLS 1.3, it takes the tickets that veritls sends."""
    tells: frozenset[Literal["certificate", "alert", "which alert"]] = frozenset()
    """What the detail of a server's outcome holds: the subject of the client's certificate; that an alert
    ended the handshake; which."""
    late_alerts: bool = True
    """Whether, as a client, it tells of an alert that came after its own end of a TLS 1.3 handshake."""
    cannot: tuple[Cannot, ...] = ()
    resumes: frozenset[Role] = frozenset()
    """The roles in which it resumes sessions."""
    cannot_resume: tuple[Cannot, ...] = ()
    falls_back: bool = True
    """Whether, as a client, it goes on with a handshake in full where its session is not resumed."""
    of_a_session: str | None = None
    """What it says, as a server, in place of the subject where it resumes the session of a certificate."""

    def missing(self) -> str | None:
        """The program that it lacks on this machine, or None."""

    def prepare(self) -> None:
        """Does what takes long the first time, before anything waits for the peer."""
        return

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        """As a client: connects to 127.0.0.1 as "localhost", sends a request, awaits the reply."""

    def connect_twice(self, case: Case, files: Files, port: int) -> list[Outcome]:
        """As a client that resumes: the second time with the session of the first."""
        words = f"{self.name} does not resume as a client"
        raise NotImplementedError(words)

    def serve(self, case: Case, files: Files) -> AbstractContextManager[Serving]:
        """As a server: answers one connection."""

    def serve_twice(self, case: Case, files: Files) -> AbstractContextManager[Serving]:
        """As a server that resumes: answers two connections."""
        return self.serve(case, files)


def lacking(program: str) -> str | None:
    """The program's name where it is not installed."""
    return None if shutil.which(program) else program


def version(peer: Peer) -> str:
    """The version of the program that is installed."""
    output = subprocess.run(
        peer.version_command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    ).stdout
    found = re.search(r"\d+(\.\d+)+", output)
    return found[0] if found else "not installed"


def certificate(files: Files, which: Certificate) -> Path | None:
    """The file of what a client has to show."""
    return {"none": None, "valid": files.client, "stranger": files.stranger, "expired": files.expired}[which]


def server_certificate(files: Files, case: Case) -> Path:
    return files.server if case.server == "valid" else files.stranger


class Program:
    """A program that runs; what it writes to either output is gathered in `output`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.output = ""

    def send(self, data: bytes) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # why it is gone is in its output
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def until(self, pattern: str | None) -> re.Match[str] | None:
        """Reads on until the output has the pattern; None where it ended without."""
        assert self._process.stdout
        end = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.output) if pattern else None):
            left = max(0, end - time.monotonic())
            assert select.select([self._process.stdout], [], [], left)[0], f"hangs: {self.output}"
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                return None
            self.output += data.decode(errors="replace")
        return found

    def take(self, pattern: str) -> str:
        """The output up to the pattern, or all where it ended without; the next call begins after it."""
        found = self.until(pattern)
        end = found.end() if found else len(self.output)
        taken, self.output = self.output[:end], self.output[end:]
        return taken

    def rest(self) -> str:
        """All output, once the program has ended."""
        self.until(None)
        return self.output


@contextmanager
def running(arguments: Sequence[str | Path], listener: socket.socket | None = None) -> Iterator[Program]:
    """A program; it inherits the listener under its number here, which is its own from then on."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*map(str, arguments)],
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        pass_fds=[listener.fileno()] if listener else [],
        start_new_session=True,
    )
    try:
        if listener:
            listener.close()  # so that connections do not wait on a program that has ended
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its workers
        process.wait(SECONDS)
        for stream in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):  # what was still to be sent
                stream.close()  # type: ignore[union-attr]


@contextmanager
def listening(arguments: Callable[[int], Sequence[str | Path]], ready: str) -> Iterator[tuple[Program, int]]:
    """A program on a port that was free a moment ago, once its output has `ready`; with that port."""
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with running(arguments(port)) as program:
            if (found := program.until(f"in use|{ready}")) and found[0] != "in use":
                yield program, port
                return
    raise AssertionError(f"did not start: {program.output}")


@contextmanager
def answering() -> Iterator[tuple[int, list[bytes]]]:
    """A server without TLS, for a proxy; it answers PONG to a line. Its port, and the lines received."""
    received: list[bytes] = []

    def answer() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            plain.settimeout(SECONDS)
            with plain, suppress(OSError), plain.makefile("rb") as lines:
                if line := lines.readline():
                    received.append(line)
                    plain.sendall(PONG)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        answers = in_thread(answer)
        try:
            yield listener.getsockname()[1], received
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            answers.result(SECONDS)


def ping(port: int, request: bytes = PING) -> bytes:
    """All that a plain port of 127.0.0.1 answers."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain, suppress(ConnectionError):
        plain.sendall(request)
        return b"".join(iter(lambda: plain.recv(4096), b""))
    return b""
