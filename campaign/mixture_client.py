"""The client of the mixture, in a process of its own: threads that each make one handshake after another."""

from __future__ import annotations

import importlib
import random
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from campaign import mixture
from campaign.credentials import NAME
from campaign.mixture import CUT, HALF_CLOSED, KINDS, NOISE, PLAIN, RESET, RESUMED, STALLED, UNREAD, Kind
from campaign.mixture_server import REQUEST
from campaign.processes import sample

_SECONDS = 60.0
_FLIGHTS = 3600
"""More bytes than a client sends in its handshake and its request."""
_RAW = frozenset({CUT, RESET, STALLED, UNREAD, PLAIN, NOISE})


class _Client:
    def __init__(self, module: str, folder: Path, port: int) -> None:
        self.module = importlib.import_module(module)
        self.port = port
        self.numbers = [n for n, kind in enumerate(KINDS) if module == "veritls" or not kind.ours_alone]
        self.contexts = {n: mixture.client_context(self.module, KINDS[n], folder) for n in self.numbers}
        self.counted: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()
        self.left = 0
        self.end = 0.0
        self.sessions: dict[tuple[int, int], Any] = {}

    def round(self, handshakes: int, seconds: float, threads: int, seed: int) -> float:
        """Makes as many, or for as long. Returns the seconds that it took."""
        self.left, self.end = handshakes, time.monotonic() + seconds
        began = time.monotonic()
        workers = [
            threading.Thread(target=self._work, args=(number, random.Random(seed * 1000 + number)))
            for number in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.monotonic() - began

    def each_once(self) -> None:
        """Every kind, twice: once with nothing to resume."""
        chance = random.Random(1)
        for number in self.numbers * 2:
            self._count(number, self.one(number, 0, chance))

    def _work(self, worker: int, chance: random.Random) -> None:
        weights = [KINDS[n].weight for n in self.numbers]
        while True:
            with self.lock:
                if self.left <= 0 or time.monotonic() > self.end:
                    return
                self.left -= 1
            number = chance.choices(self.numbers, weights)[0]
            self._count(number, self.one(number, worker, chance))

    def _count(self, number: int, word: str) -> None:
        with self.lock:
            self.counted[KINDS[number].name, word] += 1

    def one(self, number: int, worker: int, chance: random.Random) -> str:
        kind = KINDS[number]
        plain = socket.create_connection(("127.0.0.1", self.port))
        try:
            plain.settimeout(_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.sendall(bytes([number]))
            if kind.transport in _RAW:
                self._misbehave(kind, self.contexts[number], plain, chance)
                return "raw"
            return self._behave(kind, number, worker, plain, chance)
        finally:
            plain.close()

    def _behave(
        self, kind: Kind, number: int, worker: int, plain: socket.socket, chance: random.Random
    ) -> str:
        session = self.sessions.get((number, worker)) if kind.transport == RESUMED else None
        request = chance.randbytes(REQUEST)
        try:
            more = {"session": session} if session is not None else {}
            with self.contexts[number].wrap_socket(plain, server_hostname=NAME, **more) as tls:
                tls.sendall(request)
                if kind.transport == HALF_CLOSED:
                    tls.shutdown(socket.SHUT_WR) if self.module is not ssl else None
                answer = b""
                while len(answer) < REQUEST:
                    piece = tls.recv(REQUEST - len(answer))
                    if not piece:
                        return "end of stream"
                    answer += piece
                if answer != request:
                    return "another answer"
                if kind.transport == RESUMED:
                    self.sessions[number, worker] = tls.session
                    if session is not None and not tls.session_reused:
                        return "not resumed"
        except Exception as error:
            return mixture.words_of(error)
        return "ok"

    def _misbehave(self, kind: Kind, context: Any, plain: socket.socket, chance: random.Random) -> None:
        with suppress(OSError):
            if kind.transport == PLAIN:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            elif kind.transport == NOISE:
                plain.sendall(
                    bytes([chance.randrange(128, 256)]) + chance.randbytes(chance.randrange(20, 2000))
                )
            else:
                self._partly(kind, context, plain, chance)
            if kind.transport in (PLAIN, NOISE, STALLED):
                while plain.recv(65536):
                    pass
            if kind.transport in (RESET, UNREAD):
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _partly(self, kind: Kind, context: Any, plain: socket.socket, chance: random.Random) -> None:
        """Sends the bytes of a real client, as many as it is allowed to; whole for UNREAD."""
        inward, outward = self.module.MemoryBIO(), self.module.MemoryBIO()
        tls = context.wrap_bio(inward, outward, server_hostname=NAME)
        allowed = 1 << 30 if kind.transport == UNREAD else chance.randrange(_MOST[kind.transport])
        request: bytes | None = bytes(REQUEST)
        while True:
            try:
                tls.do_handshake()
                if request is not None:
                    tls.write(request)
                    request = None
            except ssl.SSLWantReadError:
                pass
            said = outward.read()
            plain.sendall(said[:allowed])
            allowed -= len(said)
            if allowed <= 0:
                return
            if request is None:
                if kind.transport == UNREAD:
                    plain.recv(1)
                return
            inward.write(plain.recv(65536))


_MOST = {CUT: _FLIGHTS, RESET: _FLIGHTS, STALLED: 1500}


def run(pipe: Connection, module: str, folder: Path, port: int) -> None:
    """Answers ("round", handshakes, seconds, threads, seed), "each", "outcomes" and "sample"."""
    client = _Client(module, folder, port)
    while True:
        asked = pipe.recv()
        if asked == "sample":
            pipe.send(sample())
        elif asked == "outcomes":
            counted, client.counted = client.counted, Counter()
            pipe.send(dict(counted))
        elif asked == "each":
            client.each_once()
            pipe.send(None)
        else:
            pipe.send(client.round(*asked[1:]))
