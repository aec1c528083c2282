"""Both ends of many connections, a process each: an event loop, or a thread for each connection.

A server says its port, then answers ("sample", N) with what it holds once it has N connections. A client
answers ("connect", N), "echo" and "close" with the seconds that each took, and how many answers were right
where it asked; and ("sample", N).
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from bench.loops import LOOPS
from campaign.credentials import NAME, Credentials
from campaign.processes import Sample, sample

SIZE = 16
_PATIENCE = 240.0
_AT_ONCE = 64
"""Handshakes that a client on a loop has under way, and a server of threads may have waiting."""


class _Count:
    """How many connections there are."""

    def __init__(self) -> None:
        self.now = 0
        self._changed = threading.Condition()

    def add(self, number: int) -> None:
        with self._changed:
            self.now += number
            self._changed.notify_all()

    def sample(self, wanted: int) -> tuple[Sample, int]:
        """Once there are as many as `wanted`, or after all patience."""
        with self._changed:
            self._changed.wait_for(lambda: self.now == wanted, _PATIENCE)
        return sample(), self.now


class _Echo(asyncio.Protocol):
    def __init__(self, count: _Count) -> None:
        self._count = count

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._count.add(1)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._count.add(-1)


def _answer(pipe: Connection, count: _Count, port: int) -> None:
    with suppress(EOFError):
        pipe.send(port)
        while True:
            _, wanted = pipe.recv()
            pipe.send(count.sample(wanted))


def serve_on_loop(pipe: Connection, loop: str, module: str, credentials: Credentials) -> None:
    async def main() -> None:
        context = credentials.server_context(importlib.import_module(module))
        count = _Count()
        server = await asyncio.get_running_loop().create_server(
            lambda: _Echo(count),
            "127.0.0.1",
            0,
            ssl=context,
            backlog=1024,
            ssl_handshake_timeout=_PATIENCE,
            ssl_shutdown_timeout=_PATIENCE,
        )
        port = server.sockets[0].getsockname()[1]
        async with server:
            await asyncio.get_running_loop().run_in_executor(None, _answer, pipe, count, port)

    with asyncio.Runner(loop_factory=LOOPS[loop]().new_loop) as runner:
        runner.run(main())


class _Asks(asyncio.Protocol):
    """A client's end: `lost` and `answer` are futures of the step that is under way."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) >= SIZE and self.answer is not None:
            self.answer.set_result(self._received)
            self._received = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)


class _LoopClient:
    def __init__(self, context: Any, port: int) -> None:
        self._context = context
        self._port = port
        self._ends: list[_Asks] = []

    async def connect(self, number: int) -> None:
        left = iter(range(number))

        async def lane() -> None:
            for _ in left:
                _, end = await asyncio.get_running_loop().create_connection(
                    _Asks,
                    "127.0.0.1",
                    self._port,
                    ssl=self._context,
                    server_hostname=NAME,
                    ssl_handshake_timeout=_PATIENCE,
                    ssl_shutdown_timeout=_PATIENCE,
                )
                self._ends.append(end)

        await asyncio.gather(*(lane() for _ in range(_AT_ONCE)))

    async def echo(self) -> int:
        """Asks over all connections before it looks at an answer. How many answers are right."""
        waiting = []
        for number, end in enumerate(self._ends):
            end.answer = asyncio.get_running_loop().create_future()
            end.transport.write(number.to_bytes(SIZE))
            waiting.append(end.answer)
        answers = await asyncio.wait_for(asyncio.gather(*waiting), _PATIENCE)
        for end in self._ends:
            end.answer = None
        return sum(answer == number.to_bytes(SIZE) for number, answer in enumerate(answers))

    async def close(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            end.transport.close()
        await asyncio.wait_for(asyncio.gather(*(end.lost for end in ends)), _PATIENCE)

    @property
    def held(self) -> int:
        return len(self._ends)


def ask_on_loop(pipe: Connection, loop: str, module: str, credentials: Credentials, port: int) -> None:
    async def main() -> None:
        client = _LoopClient(credentials.client_context(importlib.import_module(module)), port)
        while True:
            asked = await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
            began, right = time.monotonic(), None
            match asked:
                case ("sample", _):
                    pipe.send((sample(), client.held))
                    continue
                case ("connect", number):
                    await client.connect(number)
                case "echo":
                    right = await client.echo()
                case _:
                    await client.close()
            pipe.send((time.monotonic() - began, right))

    with asyncio.Runner(loop_factory=LOOPS[loop]().new_loop) as runner:
        runner.run(main())


def serve_with_threads(pipe: Connection, module: str, credentials: Credentials) -> None:
    context, count = credentials.server_context(importlib.import_module(module)), _Count()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def serve(plain: socket.socket) -> None:
        with plain, suppress(OSError):
            plain.settimeout(_PATIENCE)
            with context.wrap_socket(plain, server_side=True) as tls:
                count.add(1)
                try:
                    while data := tls.recv(SIZE):
                        tls.sendall(data)
                finally:
                    count.add(-1)

    def accept() -> None:
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=serve, args=(plain,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    _answer(pipe, count, listener.getsockname()[1])


class _ThreadClient:
    """A thread for each connection; all take a step when it is told to them."""

    def __init__(self, context: Any, port: int) -> None:
        self._context = context
        self._port = port
        self._threads: list[threading.Thread] = []
        self._failed: list[BaseException] = []

    def connect(self, number: int) -> None:
        self._right = 0
        self._lock = threading.Lock()
        self._done = threading.Semaphore(0)
        self._steps = {"echo": threading.Event(), "close": threading.Event()}
        self._at_once = threading.Semaphore(_AT_ONCE)
        self._threads = [threading.Thread(target=self._live, args=(each,)) for each in range(number)]
        for thread in self._threads:
            thread.start()
        self._all_done()

    def _all_done(self) -> None:
        for _ in self._threads:
            if not self._done.acquire(timeout=_PATIENCE):
                raise TimeoutError(f"not all threads came so far: {self._failed}")
        if self._failed:
            raise self._failed[0]

    def echo(self) -> int:
        self._steps["echo"].set()
        self._all_done()
        return self._right

    def close(self) -> None:
        self._steps["close"].set()
        for thread in self._threads:
            thread.join(_PATIENCE)
        self._threads = []

    @property
    def held(self) -> int:
        return len(self._threads)

    def _live(self, number: int) -> None:
        try:
            with self._at_once:
                plain = socket.create_connection(("127.0.0.1", self._port), _PATIENCE)
                tls = self._context.wrap_socket(plain, server_hostname=NAME)
            self._done.release()
            with tls:
                self._steps["echo"].wait(_PATIENCE)
                tls.sendall(number.to_bytes(SIZE))
                answer = b""
                while len(answer) < SIZE and (piece := tls.recv(SIZE)):
                    answer += piece
                with self._lock:
                    self._right += answer == number.to_bytes(SIZE)
                self._done.release()
                self._steps["close"].wait(_PATIENCE)
        except BaseException as error:
            self._failed.append(error)
            self._done.release()


def ask_with_threads(pipe: Connection, module: str, credentials: Credentials, port: int) -> None:
    client = _ThreadClient(credentials.client_context(importlib.import_module(module)), port)
    while True:
        asked = pipe.recv()
        began, right = time.monotonic(), None
        match asked:
            case ("sample", _):
                pipe.send((sample(), client.held))
                continue
            case ("connect", number):
                client.connect(number)
            case "echo":
                right = client.echo()
            case _:
                client.close()
        pipe.send((time.monotonic() - began, right))


Work = Callable[..., None]
