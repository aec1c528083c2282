"""Jobs over blocking sockets: handshakes, bulk in either direction, round trips, connections that idle."""

from __future__ import annotations

import contextlib
import gc
import socket
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.contestants import Contestant, State
from bench.recipe import AES256, Recipe, is_aes256
from bench.work import Job, Say
from bench.work.clock import Clock

BUFFER = 262_144
"""Bytes that a reader of bulk offers room for."""

_GUARD = struct.pack("ll", 60, 0)
RESET = struct.pack("ii", 1, 0)
SAW_CERTIFICATE, _RESUMED, _CANNOT_TELL = 1, 2, 4
GREETING = 64
"""What a server says first: a byte, with what it knows of the connection added to it."""
_GO = b"g"
_IDLE_MESSAGE = bytes(16_384)


class NotTheWork(Exception):
    """The contestant did something else than what is measured."""


@lru_cache(maxsize=64)
def _contexts(contestant: Contestant, recipe: Recipe, server: bool) -> Any:
    return contestant.server_context(recipe) if server else contestant.client_context(recipe)


def _prepare(plain: socket.socket, recipe: Recipe) -> None:
    plain.settimeout(recipe.timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if recipe.timeout is None:
        # A socket that blocks for Python still ends one day.
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            plain.setsockopt(socket.SOL_SOCKET, option, _GUARD)


class Server:
    """Accepts the connections of one job."""

    def __init__(self, contestant: Contestant, job: Job, say: Say, **more: Any) -> None:
        """`more`: what else it says of itself."""
        self.recipe = Recipe.of(job["recipe"])
        self._contestant = contestant
        self._context = _contexts(contestant, self.recipe, True)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(30)
        say({"port": self._listener.getsockname()[1]} | more)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def stop(self) -> None:
        """No more connections: a thread that waits for one gets an OSError."""
        self._listener.shutdown(socket.SHUT_RDWR)

    def accept(self, *, thorough: bool = True) -> Any:
        """The next connection; its client has been greeted with what is known about it."""
        return self.greet(self.plain(), thorough=thorough)

    def plain(self) -> socket.socket:
        """The next connection, before its handshake."""
        plain, _ = self._listener.accept()
        _prepare(plain, self.recipe)
        return plain

    def greet(self, plain: socket.socket, *, thorough: bool = True) -> Any:
        try:
            connection = self._contestant.accept(self._context, plain)
            connection.sendall(bytes([GREETING + self._flags(connection, thorough)]))
        except BaseException:
            plain.close()
            raise
        return connection

    def _flags(self, connection: Any, thorough: bool) -> int:
        if thorough:
            state = self._contestant.state(connection)
            resumed, seen = state.resumed, state.peer_certificate
        else:
            resumed, seen = self._contestant.resumed(connection), False
        flags = SAW_CERTIFICATE if seen else 0
        return flags | (_CANNOT_TELL if resumed is None else _RESUMED if resumed else 0)


class Client:
    """Makes the connections of one job."""

    def __init__(self, contestant: Contestant, job: Job) -> None:
        self.recipe = Recipe.of(job["recipe"])
        self._contestant = contestant
        self._context = _contexts(contestant, self.recipe, False)
        self._port = job["port"]
        self._made = 0

    def connect(self, session: Any = None) -> tuple[Any, int]:
        """A connection after its server's greeting, and what that said."""
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        _prepare(plain, self.recipe)
        # A reset at the end leaves no port waiting: a run needs more of them than there are.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        host = self.recipe.host(self._made)
        self._made += 1
        try:
            connection = self._contestant.connect(self._context, plain, host, session)
            return connection, read(connection, 1)[0] - GREETING
        except BaseException:
            plain.close()
            raise

    def checked(self, session: Any = None, *, resumed: bool = False) -> tuple[Any, State]:
        """A connection of which both ends say that it is what was to be measured."""
        connection, flags = self.connect(session)
        state = self._contestant.state(connection)
        if state.version not in (None, self.recipe.version):
            raise NotTheWork(f"speaks {state.version}")
        if self.recipe.suite == AES256 and state.suite is not None and not is_aes256(state.suite):
            raise NotTheWork(f"negotiates {state.suite}")
        if self.recipe.client is not None and self.recipe.shows_certificate and not flags & SAW_CERTIFICATE:
            raise NotTheWork("its server saw no client certificate")
        if _contradicts(state.resumed, resumed) or _contradicts(_resumed(flags), resumed):
            raise NotTheWork("does not resume" if resumed else "resumed where it should not have")
        return connection, state


def _resumed(flags: int) -> bool | None:
    return None if flags & _CANNOT_TELL else bool(flags & _RESUMED)


def _contradicts(said: bool | None, expected: bool) -> bool:
    return said is not None and said != expected


def read(connection: Any, count: int) -> bytearray:
    data = bytearray(count)
    fill(connection, data, count)
    return data


def fill(connection: Any, buffer: bytearray, count: int) -> None:
    """Reads exactly `count` bytes; the last piece read ends up at the buffer's start."""
    left = count
    while left > 0:
        got = connection.recv_into(buffer, min(left, len(buffer)))
        if not got:
            raise EOFError("the connection ended")
        left -= got


def serve_handshakes(contestant: Contestant, job: Job, say: Say) -> Job:
    with Server(contestant, job, say) as server:
        for _ in range(job["warm"]):
            server.accept().close()
        clock = Clock()
        for _ in range(job["count"]):
            server.accept(thorough=False).close()
        return clock.report(job["count"])


def make_handshakes(contestant: Contestant, job: Job, say: Say) -> Job:
    """`count` connections one after the other; with `resume`, each resumes its predecessor's session.

    One counts once the client has read a byte that the server sent after its own handshake: in TLS 1.3 a
    client is done before the server has looked at the client's certificate.
    """
    client, resume = Client(contestant, job), job.get("resume", False)
    session = None
    for number in range(job["warm"]):
        connection, state = client.checked(session, resumed=resume and number > 0)
        session = contestant.session(connection) if resume else None
        connection.close()
    clock = Clock()
    for _ in range(job["count"]):
        connection, flags = client.connect(session)
        if _contradicts(_resumed(flags), resume):
            raise NotTheWork("does not always resume" if resume else "resumed where it should not have")
        if resume:
            session = contestant.session(connection)
        connection.close()
    return clock.report(job["count"]) | {"suite": state.suite}


def _phases(job: Job) -> Iterator[int]:
    """Messages of the warm-up, then of the measurement."""
    yield job["warm"]
    yield job["count"]


def _send(connection: Any, message: bytes, count: int) -> None:
    for _ in range(count):
        connection.sendall(message)


def serve_transfer(contestant: Contestant, job: Job, say: Say) -> Job:
    """`count` messages of `size` bytes, from the client where `up`, else to it."""
    message, buffer = bytes(job["size"]), bytearray(BUFFER)
    with Server(contestant, job, say) as server, contextlib.closing(server.accept()) as connection:
        for count in _phases(job):
            fill(connection, buffer, 1)
            clock = Clock()
            if job["up"]:
                fill(connection, buffer, count * job["size"])
                connection.sendall(_GO)
            else:
                _send(connection, message, count)
        return clock.report(count)


def make_transfer(contestant: Contestant, job: Job, say: Say) -> Job:
    message, buffer = bytes(job["size"]), bytearray(BUFFER)
    connection, state = Client(contestant, job).checked()
    with contextlib.closing(connection):
        for count in _phases(job):
            clock = Clock()
            connection.sendall(_GO)
            if job["up"]:
                _send(connection, message, count)
                fill(connection, buffer, 1)
            else:
                fill(connection, buffer, count * job["size"])
        return clock.report(count) | {"suite": state.suite}


def serve_echo(contestant: Contestant, job: Job, say: Say) -> Job:
    size, buffer = job["size"], bytearray(job["size"])
    with Server(contestant, job, say) as server, contextlib.closing(server.accept()) as connection:
        for count in _phases(job):
            clock = Clock()
            for _ in range(count):
                fill(connection, buffer, size)
                connection.sendall(buffer)
        return clock.report(count)


def make_echo(contestant: Contestant, job: Job, say: Say) -> Job:
    """`count` round trips of `size` bytes, one after the other."""
    size, buffer = job["size"], bytearray(job["size"])
    message = bytes(size)
    connection, state = Client(contestant, job).checked()
    with contextlib.closing(connection):
        for count in _phases(job):
            clock = Clock()
            for _ in range(count):
                connection.sendall(message)
                fill(connection, buffer, size)
        return clock.report(count) | {"suite": state.suite}


def resident(*, collect: bool = True) -> int:
    """Bytes of memory of this process, by default after a collection of garbage."""
    if collect:
        gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _hold(job: Job, another: Callable[[], Any]) -> Job:
    """Keeps as many connections as each step says; how many bytes one costs at each."""
    for _ in range(job["warm"]):
        another().close()
    held: list[Any] = []
    base, each = resident(), []
    for step in job["steps"]:
        while len(held) < step:
            held.append(another())
        each.append((resident() - base) / step)
    for connection in held:
        connection.close()
    return {"each": each}


def serve_idle(contestant: Contestant, job: Job, say: Say) -> Job:
    """Connections that have carried 16 KiB each way and now wait."""
    buffer = bytearray(BUFFER)
    with Server(contestant, job, say) as server:

        def another() -> Any:
            connection = server.accept()
            fill(connection, buffer, len(_IDLE_MESSAGE))
            connection.sendall(_IDLE_MESSAGE)
            return connection

        return _hold(job, another)


def make_idle(contestant: Contestant, job: Job, say: Say) -> Job:
    buffer, client = bytearray(BUFFER), Client(contestant, job)

    def another() -> Any:
        connection, _ = client.checked()
        connection.sendall(_IDLE_MESSAGE)
        fill(connection, buffer, len(_IDLE_MESSAGE))
        return connection

    return _hold(job, another)
