"""Ends of a connection over which both sides send at once, in random sizes, hashed at both ends."""

from __future__ import annotations

import asyncio
import hashlib
import random
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.loops import LOOPS
from campaign.credentials import NAME

PATIENCE = 120.0
_SIZES = (1, 17, 1000, 16383, 16384, 16385, 65536, 300_000)


Digests = tuple[str, str]
"""Of what was sent and of what came."""


@dataclass(frozen=True)
class Plan:
    """What one end does: how much it sends and how much will come."""

    server: bool
    outgoing: int
    incoming: int
    seed: int
    mark: bytes = b""
    """Sent before all else, and not counted."""

    def other(self) -> Plan:
        return Plan(not self.server, self.incoming, self.outgoing, self.seed + 1)

    def pieces(self) -> Iterator[bytes]:
        """What is sent, in pieces of random sizes."""
        chance, left = random.Random(self.seed), self.outgoing
        while left:
            piece = chance.randbytes(min(left, 1 + chance.randrange(chance.choice(_SIZES))))
            left -= len(piece)
            yield piece

    @property
    def name(self) -> str | None:
        return None if self.server else NAME


@dataclass
class Hashes:
    """SHA-256 of what was sent and of what came, and how much did."""

    sent: Any = field(default_factory=hashlib.sha256)
    came: Any = field(default_factory=hashlib.sha256)
    count: int = 0

    def take(self, data: Any) -> None:
        self.came.update(data)
        self.count += len(data)

    def digests(self) -> Digests:
        return self.sent.hexdigest(), self.came.hexdigest()


End = Callable[[Any, socket.socket, Plan, Callable[[], Any]], Digests]
"""(context, raw socket, plan, meet). It closes once `meet` returns: the other end has all by then."""


def two_threads(context: Any, raw: socket.socket, plan: Plan, meet: Callable[[], Any]) -> Digests:
    """A thread that sends and one that receives, on the same blocking socket."""
    hashes, failed = Hashes(), []
    raw.settimeout(PATIENCE)
    with context.wrap_socket(raw, server_side=plan.server, server_hostname=plan.name) as tls:

        def receive() -> None:
            chance = random.Random(plan.seed + 7)
            try:
                while hashes.count < plan.incoming:
                    most = min(plan.incoming - hashes.count, 1 + chance.randrange(chance.choice(_SIZES)))
                    if not (data := tls.recv(most)):
                        raise EOFError(f"the stream ended after {hashes.count:,} of {plan.incoming:,} bytes")
                    hashes.take(data)
            except Exception as error:
                failed.append(error)

        receiving = threading.Thread(target=receive)
        receiving.start()
        tls.sendall(plan.mark)
        for piece in plan.pieces():
            hashes.sent.update(piece)
            tls.sendall(piece)
        receiving.join()
        if failed:
            raise failed[0]
        meet()
    return hashes.digests()


def one_thread(context: Any, raw: socket.socket, plan: Plan, meet: Callable[[], Any]) -> Digests:
    """One thread on a non-blocking socket: sends and receives as `select` says."""
    hashes, end = Hashes(), time.monotonic() + PATIENCE
    chance, pieces = random.Random(plan.seed + 7), plan.pieces()
    raw.settimeout(PATIENCE)
    with context.wrap_socket(raw, server_side=plan.server, server_hostname=plan.name) as tls:
        tls.sendall(plan.mark)
        tls.setblocking(False)
        waiting: bytes = next(pieces, b"")
        while waiting or hashes.count < plan.incoming:
            moved = False
            try:
                if waiting:
                    count = tls.send(waiting)
                    hashes.sent.update(waiting[:count])
                    waiting, moved = waiting[count:] or next(pieces, b""), True
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            try:
                if hashes.count < plan.incoming:
                    most = min(plan.incoming - hashes.count, 1 + chance.randrange(chance.choice(_SIZES)))
                    if not (data := tls.recv(most)):
                        raise EOFError(f"the stream ended after {hashes.count:,} of {plan.incoming:,} bytes")
                    hashes.take(data)
                    moved = True
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            if not moved:
                select.select([tls], [tls] if waiting else [], [], 1)
            if time.monotonic() > end:
                raise TimeoutError(f"{hashes.count:,} of {plan.incoming:,} bytes came in {PATIENCE:.0f} s")
        meet()
    return hashes.digests()


class _Receiver(asyncio.Protocol):
    def __init__(self, hashes: Hashes, plan: Plan) -> None:
        self._hashes, self._plan = hashes, plan
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = loop.create_future()
        self._may_write = asyncio.Event()
        self._may_write.set()
        if not plan.incoming:
            self.done.set_result(None)

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    async def writable(self) -> None:
        await self._may_write.wait()

    def data_received(self, data: bytes) -> None:
        self._hashes.take(data)
        if self._hashes.count >= self._plan.incoming and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._may_write.set()
        if not self.done.done():
            self.done.set_exception(exc or EOFError(f"the stream ended after {self._hashes.count:,} bytes"))


def on_loop(loop: str) -> End:
    """An event loop of its own, with pauses and writes as its flow control says."""

    async def talk(context: Any, raw: socket.socket, plan: Plan, meet: Callable[[], Any]) -> Digests:
        hashes, running, chance = Hashes(), asyncio.get_running_loop(), random.Random(plan.seed + 7)
        protocol = _Receiver(hashes, plan)
        if plan.server:
            transport, _ = await running.connect_accepted_socket(lambda: protocol, raw, ssl=context)
        else:
            transport, _ = await running.create_connection(
                lambda: protocol, sock=raw, ssl=context, server_hostname=NAME
            )
        transport.write(plan.mark)
        for piece in plan.pieces():
            hashes.sent.update(piece)
            transport.write(piece)
            await protocol.writable()
            if chance.random() < 0.02:
                transport.pause_reading()
                await asyncio.sleep(0)
                transport.resume_reading()
        await asyncio.wait_for(protocol.done, PATIENCE)
        await running.run_in_executor(None, meet)
        transport.abort()
        return hashes.digests()

    def end(context: Any, raw: socket.socket, plan: Plan, meet: Callable[[], Any]) -> Digests:
        raw.setblocking(False)
        with asyncio.Runner(loop_factory=LOOPS[loop]().new_loop) as runner:
            return runner.run(talk(context, raw, plan, meet))

    return end
