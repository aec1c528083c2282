"""Requests to a server that is a program, over a new connection each or over connections that stay."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.contestants import Contestant
from bench.loops import listener
from bench.recipe import SERVER_NAME, Recipe
from bench.servers import BODY, ServerProgram
from bench.work import Job, Say
from bench.work.blocking import NotTheWork
from bench.work.clock import Clock

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n"
_STAYS, _ENDS = _REQUEST + b"\r\n", _REQUEST + b"Connection: close\r\n\r\n"
_LIMIT = 60
_BEGIN, _END = b"b", b"e"
_PIECE = 65_536


def serve(program: ServerProgram, job: Job, say: Say) -> Job:
    """Runs the server, and says what processor time its process takes while the client counts."""
    with listener() as control:
        control.settimeout(_LIMIT)
        running = program.running(Recipe.of(job["recipe"]))
        say({"port": running.port, "control": control.getsockname()[1]})
        client, _ = control.accept()
        with client:
            client.settimeout(_LIMIT)
            taken = []
            clock = Clock()
            for wanted in (_BEGIN, _END):
                if client.recv(1) != wanted:
                    raise EOFError("" if running.alive() else f"the server ended: {running.last_words()}")
                taken.append(running.processor_seconds())
                client.sendall(wanted)
    return clock.report(job["count"]) | {"cpu": taken[1] - taken[0]}


class _Client:
    """What the lanes of a job share."""

    def __init__(self, contestant: Contestant, job: Job) -> None:
        self._contestant = contestant
        self._recipe = Recipe.of(job["recipe"])
        self._port: int = job["port"]
        self.context = contestant.client_context(self._recipe)
        if self.context is not None:
            # One for all: servers differ in which they have, and their costs do too.
            self.context.set_groups(job["groups"])
        self.keeps: bool = job["keeps"]

    def connect(self) -> Any:
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=_LIMIT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return self._contestant.connect(self.context, plain, SERVER_NAME, None)
        except BaseException:
            plain.close()
            raise

    def suite(self) -> str | None:
        """The suite of a connection that is what was to be measured."""
        with contextlib.closing(self.connect()) as connection:
            state = self._contestant.state(connection)
            if state.version not in (None, self._recipe.version):
                raise NotTheWork(f"speaks {state.version}")
            answer(connection, _STAYS)
            return state.suite

    def end(self, connection: Any) -> None:
        """The server said that it would be the last answer, and ends the connection."""
        if connection.recv(1):
            raise NotTheWork("the connection goes on")
        if self.context is not None:
            # As far as the server still listens.
            with contextlib.suppress(OSError):
                connection.unwrap()


def answer(connection: Any, request: bytes) -> None:
    connection.sendall(request)
    received = b""
    while not received.endswith(BODY):
        piece = connection.recv(_PIECE)
        if not piece:
            raise EOFError(f"the connection ended: {received[:60]!r}")
        received += piece
        if not received.startswith(b"HTTP/1.1 200 "):
            raise NotTheWork(f"answers {received[:60]!r}")


class _Lane:
    """One after the other; a lane keeps its connection where the job says so."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._kept = client.connect() if client.keeps else None

    def run(self, numbers: Iterator[int]) -> None:
        for _ in numbers:
            if self._kept is not None:
                answer(self._kept, _STAYS)
                continue
            with contextlib.closing(self._client.connect()) as connection:
                answer(connection, _ENDS)
                self._client.end(connection)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()


def make(contestant: Contestant, job: Job, say: Say) -> Job:
    """`count` requests in `at_once` lanes; `keeps`: over one connection a lane, else a new one for each."""
    client = _Client(contestant, job)
    with (
        contextlib.ExitStack() as stack,
        socket.create_connection(("127.0.0.1", job["control"]), timeout=_LIMIT) as control,
        ThreadPoolExecutor(job["at_once"]) as threads,
    ):
        suite = client.suite()
        lanes = [stack.enter_context(contextlib.closing(_Lane(client))) for _ in range(job["at_once"])]

        def go(count: int) -> None:
            numbers = iter(range(count))
            list(threads.map(_Lane.run, lanes, itertools.repeat(numbers)))

        go(job["warm"])
        _tell(control, _BEGIN)
        clock = Clock()
        go(job["count"])
        report = clock.report(job["count"])
        _tell(control, _END)
    return report | {"suite": suite}


def _tell(control: socket.socket, word: bytes) -> None:
    control.sendall(word)
    if control.recv(1) != word:
        raise EOFError("the server's side ended")
