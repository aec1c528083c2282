"""Both directions at once, random sizes, hashed: against itself, `ssl`, openssl with key updates, Go."""

from __future__ import annotations

import itertools
import os
import random
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import veritls
from campaign import integrity_programs as programs
from campaign.credentials import VERSIONS, Credentials
from campaign.integrity_ends import PATIENCE, Digests, End, Plan, on_loop, one_thread, two_threads
from campaign.part import Part, Result, Scale, Table

_LARGEST = 24_000_000
_LARGEST_QUICK = 300_000
_SLOW = 8
"""openssl's programs take their data through pipes, as text: an eighth as much."""

_ENDS: dict[str, tuple[End, str]] = {
    "veritls, two threads": (two_threads, "veritls"),
    "veritls, one thread": (one_thread, "veritls"),
    "veritls.aio.EventLoop": (on_loop("veritls.aio.EventLoop"), "veritls"),
    "veritls.aio.UvloopEventLoop": (on_loop("veritls.aio.UvloopEventLoop"), "veritls"),
    "ssl, one thread": (one_thread, "ssl"),
    "ssl, asyncio": (on_loop("ssl, asyncio"), "ssl"),
}
_OURS = [name for name, (_, module) in _ENDS.items() if module == "veritls"]
_PAIRS = [
    *itertools.product(_OURS, _OURS),
    *itertools.product(_OURS, ["ssl, one thread", "ssl, asyncio", *programs.PROGRAMS]),
    *itertools.product(["ssl, one thread", "ssl, asyncio", *programs.PROGRAMS], _OURS),
]
"""(the server, the client)."""
_QUICK = (
    ("veritls, two threads", "veritls.aio.EventLoop"),
    ("veritls.aio.UvloopEventLoop", "ssl, one thread"),
    ("ssl, asyncio", "veritls, one thread"),
    ("veritls, two threads", "openssl"),
    ("openssl", "veritls.aio.EventLoop"),
    ("veritls, two threads", "go"),
)


@dataclass
class Tally:
    transfers: int = 0
    up: int = 0
    down: int = 0
    updates: int = 0
    wrong: list[str] = field(default_factory=list)


def _sockets() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        client = socket.create_connection(listener.getsockname(), PATIENCE)
        server, _ = listener.accept()
    return server, client


class _Transfer:
    """One connection: `server` and `client` are names of _ENDS or of programs."""

    def __init__(self, credentials: Credentials, version: str, server: str, client: str, plan: Plan) -> None:
        """`plan`: the server's."""
        self._credentials, self._version = credentials, version
        self._names = {True: server, False: client}
        self._plans = {True: plan, False: plan.other()}
        self._both = threading.Barrier(2, timeout=PATIENCE)
        self.updates = 0

    def run(self) -> Iterator[str]:
        """What is wrong with it. Raises what either end raised."""
        with ThreadPoolExecutor(2) as pool:
            foreign = [side for side, name in self._names.items() if name in programs.PROGRAMS]
            got = self._beside_a_program(pool, foreign[0]) if foreign else self._among_us(pool)
        for sender in (True, False):
            if got[sender][0] != got[not sender][1]:
                yield f"what the {'server' if sender else 'client'} sent is not what came"

    def _among_us(self, pool: ThreadPoolExecutor) -> dict[bool, Digests]:
        server, client = _sockets()
        with server, client:
            return self._results(
                {True: self._start(pool, True, server), False: self._start(pool, False, client)}
            )

    def _beside_a_program(self, pool: ThreadPoolExecutor, is_server: bool) -> dict[bool, Digests]:
        make, plan = programs.PROGRAMS[self._names[is_server]], self._plans[is_server]
        if is_server:
            program = make(self._credentials, self._version, plan, 0)
            raw = socket.create_connection(("127.0.0.1", program.port), PATIENCE)
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(PATIENCE)
                program = make(self._credentials, self._version, plan, listener.getsockname()[1])
                raw, _ = listener.accept()
        self._plans[not is_server] = replace(self._plans[not is_server], mark=program.mark)
        try:
            with raw:
                ours = self._start(pool, not is_server, raw)
                theirs = pool.submit(self._until_both, program.digests)
                return self._results({not is_server: ours, is_server: theirs})
        finally:
            self.updates = program.updates
            program.close()

    def _until_both(self, work: Callable[..., Digests], *args: Any) -> Digests:
        try:
            digests = work(*args)
            self._both.wait()
            return digests
        except BaseException:
            self._both.abort()
            raise

    def _start(self, pool: ThreadPoolExecutor, server: bool, raw: socket.socket) -> Future[Digests]:
        end, name = _ENDS[self._names[server]]
        module = veritls if name == "veritls" else ssl
        files = self._credentials
        context = (files.server_context if server else files.client_context)(module, self._version)

        def work() -> Digests:
            try:
                return end(context, raw, self._plans[server], self._both.wait)
            except BaseException:
                self._both.abort()
                raise

        return pool.submit(work)

    def _results(self, futures: dict[bool, Future[Digests]]) -> dict[bool, Digests]:
        """The first error that is no consequence of the other end's."""
        errors = [error for future in futures.values() if (error := future.exception(2 * PATIENCE))]
        errors.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
        if errors:
            raise errors[0]
        return {side: future.result() for side, future in futures.items()}


def _plan(chance: random.Random, pair: tuple[str, str], *, quick: bool) -> Plan:
    """The server's. Some transfers go one way, and some carry nothing at all."""
    largest = _LARGEST_QUICK if quick else _LARGEST // (_SLOW if "openssl" in pair else 1)
    sizes = [chance.choice((0, 1, chance.randrange(20_000), *[chance.randrange(largest)] * 5)) for _ in "ud"]
    return Plan(True, sizes[0], sizes[1], chance.randrange(1 << 30))


def _run(
    credentials: Credentials, pair: tuple[str, str], chance: random.Random, tally: Tally, quick: bool
) -> None:
    version, plan = chance.choice(list(VERSIONS)), _plan(chance, pair, quick=quick)
    transfer = _Transfer(credentials, version, *pair, plan)
    try:
        wrong = list(transfer.run())
    except Exception as error:
        wrong = [f"{type(error).__name__}: {error}"]
    tally.transfers += 1
    tally.down += plan.outgoing
    tally.up += plan.incoming
    tally.updates += transfer.updates
    tally.wrong += [f"{' <- '.join(pair)}, {version}, {plan}: {words}" for words in wrong]


def run(scale: Scale) -> Result:
    result = Result()
    missing = programs.missing()
    for name in missing:
        (result.failures if os.environ.get("CI") else result.notes).append(
            f"Left out: {name} is not installed."
        )
    pairs = [pair for pair in (_QUICK if scale.quick else _PAIRS) if not set(pair) & set(missing)]
    seed = scale.number("seed", random.randrange(1 << 30))
    chance, end = random.Random(seed), time.monotonic() + scale.seconds
    tallies = {pair: Tally() for pair in pairs}
    with tempfile.TemporaryDirectory() as folder:
        credentials = Credentials.made_in(Path(folder))
        while True:
            for pair, tally in tallies.items():
                if scale.quick or not tally.transfers or time.monotonic() < end:
                    _run(credentials, pair, chance, tally, scale.quick)
            if scale.quick or time.monotonic() >= end:
                break
    rows = []
    for (server, client), tally in tallies.items():
        result.failures += tally.wrong
        megabytes = [f"{amount / 1e6:,.1f}" for amount in (tally.up, tally.down)]
        rows.append([server, client, str(tally.transfers), *megabytes, str(tally.updates or "")])
    head = ("server", "client", "transfers", "MB up", "MB down", "key updates asked for by openssl")
    result.tables.append(Table("What was carried, TLS 1.2 and 1.3 by chance, mutual", head, rows))
    carried = sum(each.up + each.down for each in tallies.values())
    transfers = sum(each.transfers for each in tallies.values())
    result.notes.append(f"{transfers:,} transfers, {carried / 1e9:.1f} GB.")
    result.notes.append(f"`--set seed={seed}`: the same sizes again.")
    return result


PART = Part(
    "integrity",
    "Both directions at once",
    "What one end sends is what comes at the other, whatever the sizes, in both directions at once, while "
    "keys are updated.",
    run,
)
