"""Many connections held at once: what each costs, whether all answer, and what is left when all are closed.

`--set connections=N` on the loops (10,000), `--set threads=N` with a thread for each (1,000).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from campaign import connection_ends as ends
from campaign.credentials import Credentials
from campaign.part import Part, Result, Scale, Table
from campaign.processes import Child, Sample, raise_the_limit

_OTHERS = 200
"""Descriptors of a process besides its connections."""
_WAIT = 500.0
_BLOCKS = 0.1
"""Blocks for each connection that may be left: what Python itself keeps for later."""


class Way(NamedTuple):
    name: str
    serve: ends.Work
    ask: ends.Work
    args: tuple[str, ...]
    threads: bool = False


def _on_loop(name: str, module: str) -> Way:
    return Way(name, ends.serve_on_loop, ends.ask_on_loop, (name, module))


def _with_threads(module: str) -> Way:
    return Way(f"{module}, threads", ends.serve_with_threads, ends.ask_with_threads, (module,), True)


WAYS = (
    _on_loop("ssl, asyncio", "ssl"),
    _on_loop("veritls.aio.EventLoop", "veritls"),
    _on_loop("ssl, uvloop", "ssl"),
    _on_loop("veritls.aio.UvloopEventLoop", "veritls"),
    _with_threads("ssl"),
    _with_threads("veritls"),
)
_HEAD = (
    "way",
    "connections",
    "KiB each: the server",
    "the client",
    "connected in",
    "all answered in",
    "closed in",
    "descriptors left",
    "blocks left",
    "MiB before, held, after: the server",
)


class Held(NamedTuple):
    """What both processes held before, with all connections, and after."""

    server: tuple[Sample, Sample, Sample]
    client: tuple[Sample, Sample, Sample]
    seconds: tuple[float, float, float]
    right: int


def measure(way: Way, number: int, credentials: Credentials) -> Held:
    with Child(way.serve, *way.args, credentials) as server:
        port = server.hear()
        with Child(way.ask, *way.args, credentials, port) as client:
            # A tenth first: what is made once for a process is made then.
            for step in (("connect", number // 10), "echo", "close"):
                client.ask(step, _WAIT)
            both = [_samples(server, client, 0)]
            connected, _ = client.ask(("connect", number), _WAIT)
            both.append(_samples(server, client, number))
            answered, right = client.ask("echo", _WAIT)
            closed, _ = client.ask("close", _WAIT)
            both.append(_samples(server, client, 0))
            (one, two, three), (four, five, six) = zip(*both, strict=True)
            return Held((one, two, three), (four, five, six), (connected, answered, closed), right)


def _samples(server: Child, client: Child, number: int) -> tuple[Sample, Sample]:
    (theirs, held), (ours, _) = (each.ask(("sample", number), _WAIT) for each in (server, client))
    if held != number:
        raise RuntimeError(f"the server has {held:,} connections, not {number:,}")
    return theirs, ours


def _problems(way: Way, number: int, held: Held) -> Iterator[str]:
    if held.right != number:
        yield f"{way.name}: {held.right:,} of {number:,} answered right"
    for name, (before, _, after) in (("server", held.server), ("client", held.client)):
        for field in ("descriptors", "threads"):
            left = getattr(after, field) - getattr(before, field)
            if left > 0:
                yield f"{way.name}: {left} {field} of the {name} are left"
        if after.blocks - before.blocks > max(1000, _BLOCKS * number):
            yield f"{way.name}: {after.blocks - before.blocks:,} blocks of the {name} are left"


def _row(way: Way, number: int, held: Held) -> list[str]:
    each = [
        f"{(full.memory - before.memory) / number / 1024:.1f}"
        for before, full, _ in (held.server, held.client)
    ]
    left = [
        ", ".join(f"{getattr(after, field) - getattr(before, field):,}" for before, _, after in held[:2])
        for field in ("descriptors", "blocks")
    ]
    memory = ", ".join(f"{each.memory / 2**20:.0f}" for each in held.server)
    return [way.name, f"{number:,}", *each, *(f"{each:.1f} s" for each in held.seconds), *left, memory]


def run(scale: Scale) -> Result:
    result, rows = Result(), []
    most = raise_the_limit()
    with tempfile.TemporaryDirectory() as folder:
        credentials = Credentials.made_in(Path(folder))
        for way in WAYS:
            if scale.quick and "veritls" not in way.name:
                continue
            asked = scale.number("threads", 1000) if way.threads else scale.number("connections", 10_000)
            number = 40 if scale.quick else min(asked, most - _OTHERS)
            if not scale.quick and number < asked:
                result.notes.append(f"{way.name}: a process may open only {most:,} files here.")
            try:
                held = measure(way, number, credentials)
            except Exception as error:
                result.failures.append(f"{way.name}: {type(error).__name__}: {error}")
                continue
            rows.append(_row(way, number, held))
            if "veritls" in way.name:
                # How `ssl` does is shown beside it; nothing is demanded of it.
                result.failures += _problems(way, number, held)
    result.tables.append(Table("Mutual TLS 1.3, each end in a process of its own", _HEAD, rows))
    result.notes.append("Left: more than before, of the server and of the client.")
    result.notes.append("How many connections there are decides how long it takes, not `--minutes`.")
    return result


PART = Part(
    "connections",
    "Many connections at once",
    "All connections are made, all answer, and when all are closed neither process has a descriptor, a "
    "thread or an object more than before.",
    run,
)
