"""The server of the mixture, in a process of its own: threads over blocking sockets, or an event loop.

A connection begins with one byte in the clear, the number of its kind, under which its outcome is counted.
After the handshake the server reads 16 bytes and answers with the same, or for `UNREAD` with a lot. To its
pipe it answers "outcomes" with what was counted since the last time, "sample" with what it holds.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.loops import LOOPS
from campaign import mixture
from campaign.mixture import KINDS, STALLED, UNREAD, Kind
from campaign.processes import sample

REQUEST = 16
LARGE = bytes(16_000_000)
"""More than the buffers of both kernels hold: it cannot be sent to a client that does not read."""
STALL = 0.3
"""The server's own timeout where the client stalls."""
_PATIENCE = 60.0
_THREADS = 24


class _Server:
    def __init__(self, module: str, folder: Path) -> None:
        self.module = importlib.import_module(module)
        self.contexts = [
            None if kind.ours_alone and module == "ssl" else mixture.server_context(self.module, kind, folder)
            for kind in KINDS
        ]
        self.counted: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()
        self.active = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]

    def begin(self) -> None:
        with self.lock:
            self.active += 1

    def end(self, kind: Kind, word: str) -> None:
        with self.lock:
            self.active -= 1
            self.counted[kind.name, word] += 1

    def talk(self, pipe: Connection) -> None:
        """Answers the pipe until that ends."""
        pipe.send(self.port)
        while True:
            asked = pipe.recv()
            deadline = time.monotonic() + _PATIENCE
            while self.active and time.monotonic() < deadline:
                time.sleep(0.005)
            if asked == "sample":
                pipe.send(sample())
            else:
                with self.lock:
                    counted, self.counted = self.counted, Counter()
                pipe.send((dict(counted), self.active))


def seconds_of(kind: Kind) -> float:
    return STALL if kind.transport == STALLED else _PATIENCE


def threads(pipe: Connection, module: str, folder: Path) -> None:
    """Blocking sockets: a pool of threads, each of which accepts."""
    server = _Server(module, folder)
    for _ in range(_THREADS):
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
    server.talk(pipe)


def _accept(server: _Server) -> None:
    while True:
        plain, _ = server.listener.accept()
        server.begin()
        plain.settimeout(_PATIENCE)
        number = plain.recv(1)[0]
        kind = KINDS[number]
        plain.settimeout(seconds_of(kind))
        server.end(kind, _serve(kind, server.contexts[number], plain))


def _serve(kind: Kind, context: Any, plain: socket.socket) -> str:
    try:
        with context.wrap_socket(plain, server_side=True) as tls:
            request = b""
            while len(request) < REQUEST:
                piece = tls.recv(REQUEST - len(request))
                if not piece:
                    raise EOFError
                request += piece
            tls.sendall(LARGE if kind.transport == UNREAD else request)
    except Exception as error:
        return mixture.words_of(error)
    finally:
        plain.close()
    return "ok"


def on_loop(pipe: Connection, loop: str, module: str, folder: Path) -> None:
    """The same on an event loop, with asyncio's streams."""
    server = _Server(module, folder)
    talking = threading.Thread(target=_until_closed, args=(server.talk, pipe), daemon=True)
    talking.start()
    with asyncio.Runner(loop_factory=LOOPS[loop]().new_loop) as runner:
        runner.run(_loop_server(server, talking))


def _until_closed(talk: Callable[[Connection], None], pipe: Connection) -> None:
    with suppress(EOFError):
        talk(pipe)


async def _loop_server(server: _Server, talking: threading.Thread) -> None:
    loop = asyncio.get_running_loop()
    reported: list[str] = []

    def report(_: Any, context: dict[str, Any]) -> None:
        reported.append(context["message"])
        with server.lock:
            server.counted["reported to the loop", f"{context['message']} {context.get('exception')!r}"] += 1

    loop.set_exception_handler(report)
    server.listener.setblocking(False)
    tasks: set[asyncio.Task[None]] = set()
    while talking.is_alive():
        try:
            async with asyncio.timeout(1):
                plain, _ = await loop.sock_accept(server.listener)
        except TimeoutError:
            continue
        server.begin()
        task = asyncio.create_task(_one(loop, server, plain))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _one(loop: asyncio.AbstractEventLoop, server: _Server, plain: socket.socket) -> None:
    number = (await loop.sock_recv(plain, 1))[0]
    kind = KINDS[number]
    seconds = seconds_of(kind)
    reader = asyncio.StreamReader()
    transport = None
    lost = loop.create_future()
    try:
        transport, protocol = await loop.connect_accepted_socket(
            lambda: _Protocol(reader, lost, server.module is not ssl),
            plain,
            ssl=server.contexts[number],
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )
        async with asyncio.timeout(seconds):
            request = await reader.readexactly(REQUEST)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            writer.write(LARGE if kind.transport == UNREAD else request)
            await writer.drain()
            transport.close()
            error = await lost
            if error is not None:
                raise error
        word = "ok"
    except Exception as error:
        word = mixture.words_of(error)
    if transport is not None:
        transport.abort()
        await lost
    server.end(kind, word)


class _Protocol(asyncio.StreamReaderProtocol):
    """Tells when the connection is lost, and by what error."""

    def __init__(
        self, reader: asyncio.StreamReader, lost: asyncio.Future[Exception | None], keeps_open: bool
    ) -> None:
        """`keeps_open`: a client that is half-closed is answered, which `ssl` on a loop cannot do."""
        super().__init__(reader)
        self._lost = lost
        self._keeps_open = keeps_open

    def eof_received(self) -> bool:
        super().eof_received()
        return self._keeps_open

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self._lost.done():
            self._lost.set_result(exc)
