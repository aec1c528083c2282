"""Round trips over many connections at once: how long each took, not how long they took together."""

from __future__ import annotations

import asyncio
import math
import selectors
import ssl
import time
from array import array
from collections.abc import Sequence
from typing import Any

from bench.contestants import Contestant
from bench.loops import LoopContestant
from bench.recipe import SERVER_NAME, Recipe
from bench.work import Job, Say, crowd
from bench.work.blocking import Client
from bench.work.clock import Clock

_LIMIT = 120.0
_PATIENCE = 30.0


def serve(contestant: Contestant | LoopContestant, job: Job, say: Say) -> Job:
    def work(count: crowd.Count) -> Job:
        clock = Clock()
        count.wait(ended=job["connections"])
        return clock.report(job["count"])

    return crowd.serve(contestant, job, say, work, job["connections"])


def percentile(times: Sequence[float], share: float) -> float:
    """The least time that `share` of all times, which are sorted, do not exceed."""
    return times[max(0, math.ceil(share * len(times)) - 1)]


class Times:
    """Of all round trips but the first `warm`; those that are under way at the end count too."""

    def __init__(self, job: Job) -> None:
        self._warm: int = job["warm"]
        self._left: int = job["warm"] + job["count"]
        self._under_way = 0
        self._times = array("d")
        self._clock = Clock()

    def begin(self) -> float:
        self._under_way += 1
        return time.perf_counter()

    def end(self, began: float) -> bool:
        """Keeps the time of one. Returns whether the connection makes another one."""
        self._times.append(time.perf_counter() - began)
        self._under_way -= 1
        self._left -= 1
        if len(self._times) == self._warm:
            self._clock = Clock()
        return self._left > 0

    def over(self) -> bool:
        return self._left <= 0 and not self._under_way

    def report(self) -> Job:
        times = sorted(self._times[self._warm :])
        shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        found = {name: percentile(times, share) for name, share in shares.items()}
        return self._clock.report(len(times)) | found | {"worst": times[-1]}


class _Caller(asyncio.Protocol):
    """Greeted; then a message whenever the answer to the one before is there."""

    def __init__(self, times: Times, message: bytes, greeted: Any, done: Any) -> None:
        self._times, self._message = times, message
        self._greeted, self._done = greeted, done
        self._missing = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._greeted.done():
            self._greeted.set_result(None)
            return
        self._missing -= len(data)
        if self._missing:
            return
        if self._times.end(self._began):
            self.call()
        elif self._times.over() and not self._done.done():
            self._done.set_result(None)

    def call(self) -> None:
        self._missing = len(self._message)
        self._began = self._times.begin()
        self.transport.write(self._message)

    def connection_lost(self, why: Exception | None) -> None:
        for future in (self._greeted, self._done):
            if not future.done():
                future.set_exception(why or EOFError("the connection ended"))


def make(contestant: Contestant | LoopContestant, job: Job, say: Say) -> Job:
    """`count` round trips of `size` bytes over `connections` connections, each with one under way."""
    if isinstance(contestant, LoopContestant):
        return _on_loop(contestant, job)
    return _in_one_thread(contestant, job)


def _on_loop(contestant: LoopContestant, job: Job) -> Job:
    context = contestant.context(Recipe.of(job["recipe"]), server=False)
    message = bytes(job["size"])

    async def main() -> Job:
        loop, times = asyncio.get_running_loop(), Times(job)
        done = loop.create_future()
        callers: list[_Caller] = []
        async with asyncio.timeout(_LIMIT):
            for _ in range(job["connections"]):
                greeted = loop.create_future()
                _, caller = await loop.create_connection(
                    lambda greeted=greeted: _Caller(times, message, greeted, done),
                    "127.0.0.1",
                    job["port"],
                    ssl=context,
                    server_hostname=SERVER_NAME if context is not None else None,
                )
                await greeted
                callers.append(caller)
            for caller in callers:
                caller.call()
            await done
            report = times.report()
            for caller in callers:
                caller.transport.abort()
        return report

    return contestant.run(main())  # type: ignore[no-any-return]


def _in_one_thread(contestant: Contestant, job: Job) -> Job:
    """Over sockets that do not block: a client that costs the server's threads little."""
    client, times = Client(contestant, job), Times(job)
    size, message = job["size"], bytes(job["size"])
    connections = [client.checked()[0] for _ in range(job["connections"])]
    began, missing = dict.fromkeys(connections, 0.0), dict.fromkeys(connections, 0)

    def call(connection: Any) -> None:
        missing[connection] = size
        began[connection] = times.begin()
        connection.sendall(message)

    def answered(connection: Any) -> bool:
        """Whether the answer is there, and another call is to be made."""
        try:
            received = len(connection.recv(missing[connection]))
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        if not received:
            raise EOFError("the connection ended")
        missing[connection] -= received
        return not missing[connection] and times.end(began[connection])

    with selectors.DefaultSelector() as selector:
        for connection in connections:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        for connection in connections:
            call(connection)
        while not times.over():
            ready = selector.select(_PATIENCE)
            if not ready:
                raise TimeoutError("no answer")
            for key, _ in ready:
                if answered(key.fileobj):
                    call(key.fileobj)
        report = times.report()
    for connection in connections:
        connection.close()
    return report
