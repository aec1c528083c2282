"""How long a program waits for its first response, from the call that connects."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from typing import Any

from bench.contestants import Contestant
from bench.loops import LoopContestant, listener, serving
from bench.recipe import SERVER_NAME, Recipe
from bench.work import Job, Say
from bench.work.blocking import RESET, NotTheWork, read
from bench.work.clock import Clock

_REQUEST, _RESPONSE = b"q" * 64, b"a" * 64
_LIMIT = 60


def _fast(plain: socket.socket, job: Job, side: str) -> None:
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, side in job["nodelay"])


def serve(contestant: Contestant | LoopContestant, job: Job, say: Say) -> Job:
    """`nodelay`: the sides that set TCP_NODELAY; an event loop always does.

    `greets`: the server speaks first.
    """
    recipe, count = Recipe.of(job["recipe"]), job["warm"] + job["count"]
    context = contestant.server_context(recipe) if isinstance(contestant, Contestant) else None
    if isinstance(contestant, LoopContestant):
        return _serve_on_loop(contestant, recipe, job, say)
    clock = Clock()
    with listener() as listening:
        listening.settimeout(_LIMIT)
        say({"port": listening.getsockname()[1]})
        for _ in range(count):
            plain, _ = listening.accept()
            plain.settimeout(_LIMIT)
            _fast(plain, job, "server")
            with contextlib.closing(contestant.accept(context, plain)) as connection:
                if not job["greets"]:
                    read(connection, len(_REQUEST))
                connection.sendall(_RESPONSE)
                with contextlib.suppress(Exception):
                    read(connection, 1)  # until the client is gone
    return clock.report(count)


class _Answering(asyncio.Protocol):
    def __init__(self, job: Job, gone: Any) -> None:
        self._greets, self._gone = job["greets"], gone

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._greets:
            transport.write(_RESPONSE)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_RESPONSE)

    def connection_lost(self, why: Exception | None) -> None:
        self._gone()


def _serve_on_loop(contestant: LoopContestant, recipe: Recipe, job: Job, say: Say) -> Job:
    context = contestant.context(recipe, server=True)
    left = count = job["warm"] + job["count"]

    async def main() -> None:
        nonlocal left
        done = asyncio.get_running_loop().create_future()

        def gone() -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set_result(None)

        sock = listener()
        async with serving(context, lambda: _Answering(job, gone), sock), asyncio.timeout(_LIMIT):
            say({"port": sock.getsockname()[1]})
            await done

    clock = Clock()
    contestant.run(main())
    return clock.report(count)


def make(contestant: Contestant, job: Job, say: Say) -> Job:
    """`count` connections, one after the other; with `resume` each resumes its predecessor's session."""
    recipe, resume = Recipe.of(job["recipe"]), job["resume"]
    context = contestant.client_context(recipe)
    session, times = None, []
    clock = Clock()
    for _ in range(job["warm"] + job["count"]):
        began = time.perf_counter()
        plain = socket.create_connection(("127.0.0.1", job["port"]), timeout=_LIMIT)
        _fast(plain, job, "client")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        with contextlib.closing(contestant.connect(context, plain, SERVER_NAME, session)) as connection:
            if not job["greets"]:
                connection.sendall(_REQUEST)
            read(connection, len(_RESPONSE))
            times.append(time.perf_counter() - began)
            if contestant.resumed(connection) != (session is not None):
                raise NotTheWork("does not resume" if resume else "resumed where it should not have")
            if resume:
                session = contestant.session(connection)
    times = times[job["warm"] :]
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    return clock.report(job["count"]) | {"p50": statistics.median(times), "p99": p99}
