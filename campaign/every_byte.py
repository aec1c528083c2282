"""Every byte of both sides' mutual handshakes, TLS 1.2 and 1.3: cut there, stalled there, or a bit flipped.

Both ends run in this process, the wire (campaign/wire.py) between them. What has to hold is in `problems`. A
flip that nobody notices is named with its reason (`_harmless`) or fails.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import ssl
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import veritls
from bench.loops import LOOPS
from campaign.credentials import VERSIONS, Credentials
from campaign.ends import OK, PING, PONG, Side, blocking, on_loop
from campaign.part import Finding, Part, Result, Scale, Table
from campaign.wire import CUT, DOWN, FLIP, STALL, UP, Fault, Link, Place, Wire

BLOCKING = {"ssl, blocking": ssl, "veritls, blocking": veritls}
ON_LOOPS = ("ssl, asyncio", "veritls.aio.EventLoop", "ssl, uvloop", "veritls.aio.UvloopEventLoop")
KINDS = (CUT, STALL, FLIP)
_QUICK = {CUT: 24, STALL: 16, FLIP: 24}
_SECONDS = {CUT: 8.0, STALL: 0.25, FLIP: 0.25}
"""The ends' own timeouts. A changed length makes a receiver wait for more than comes, so a flip can stall."""
_HANG = 30.0
_LANES = {CUT: 4, STALL: 48, FLIP: 16}
_VERSION = "the version in the header of a record that is not encrypted (RFC 8446, 5.1: it MUST be ignored)"
_ENCRYPTED = 23


def _harmless(place: Place) -> str | None:
    """Why it harms nobody that this byte is changed and nobody notices."""
    return _VERSION if place.content_type != _ENCRYPTED and place.offset in (1, 2) else None


@dataclass
class Way:
    """A driver with a version: the contexts, and what an undisturbed conversation needs."""

    driver: str
    version: str
    server: Any
    client: Any
    module: Any
    lengths: list[int] = field(default_factory=list)
    """Bytes of each direction, up to the last of the application's; and records."""
    records: list[int] = field(default_factory=list)
    needed: tuple[int, int] = (0, 0)
    """Records of each direction without which their receiver cannot have completed."""


@dataclass
class Tally:
    """What came out of the cases of one way and one kind of fault."""

    cases: int = 0
    positions: set[tuple[int, int]] = field(default_factory=set)
    unnoticed: int = 0
    server: Counter[str] = field(default_factory=Counter)
    client: Counter[str] = field(default_factory=Counter)


def records_needed(server: Any, client: Any, module: Any) -> tuple[int, int]:
    """How many records of each direction their receiver gets before its handshake is done."""
    buffers = {UP: (module.MemoryBIO(), module.MemoryBIO()), DOWN: (module.MemoryBIO(), module.MemoryBIO())}
    # Each direction: what the sender wrote, what the receiver reads.
    client_end = client.wrap_bio(buffers[DOWN][1], buffers[UP][0], server_hostname="localhost")
    server_end = server.wrap_bio(buffers[UP][1], buffers[DOWN][0], server_side=True)
    receivers, fed, done = {UP: server_end, DOWN: client_end}, [0, 0], {UP: False, DOWN: False}
    waiting = {UP: b"", DOWN: b""}
    with suppress(ssl.SSLWantReadError):
        client_end.do_handshake()
    for direction in itertools.cycle((UP, DOWN)):
        if all(done.values()):
            return fed[UP], fed[DOWN]
        waiting[direction] += buffers[direction][0].read()
        while waiting[direction] and not done[direction]:
            size = 5 + int.from_bytes(waiting[direction][3:5])
            buffers[direction][1].write(waiting[direction][:size])
            waiting[direction] = waiting[direction][size:]
            fed[direction] += 1
            with suppress(ssl.SSLWantReadError):
                receivers[direction].do_handshake()
                done[direction] = True
    raise AssertionError("unreachable")


def problems(way: Way, fault: Fault, link: Link, server: Side, client: Side) -> Iterator[str]:
    """What is not as promised about one case."""
    place = link.place
    receiver, _ = (server, client) if fault.direction == UP else (client, server)
    for name, side, expected in (("server", server, PING), ("client", client, PONG)):
        if not side.usual:
            yield f"the {name} raised {side.outcome}: {side.words}"
        if not expected.startswith(side.received):
            yield f"the {name} accepted changed data"
        if side.outcome == OK and side.received != expected:
            yield f"the {name} ended well without all data"
        if fault.kind == CUT and side.outcome == "TimeoutError":
            yield f"the {name} did not notice the end"
    if place is None or place.record >= way.records[fault.direction]:
        return  # signatures differ in length, so that the last bytes are not in every conversation
    excused = fault.kind == FLIP and _harmless(place)
    if receiver.handshaken and place.record < way.needed[fault.direction] and not excused:
        yield f"the receiver completed its handshake without record {place.record + 1} as it was sent"
    if server.outcome == client.outcome == OK and not excused:
        yield f"neither side noticed (offset {place.offset} of a record of type {place.content_type})"


def _positions(way: Way, kind: str, passes: int) -> Iterator[Fault]:
    """Every byte of both directions, far apart ones first; each pass of flips takes another bit."""
    every = [(direction, at) for direction in (UP, DOWN) for at in range(way.lengths[direction])]
    stride = next(s for s in range(int(len(every) * 0.618), 2 * len(every)) if _coprime(s, len(every)))
    for turn in range(passes):
        for number in range(len(every)):
            direction, at = every[number * stride % len(every)]
            yield Fault(kind, direction, at, (at * 5 + 3 + turn) % 8)


def _coprime(one: int, other: int) -> bool:
    while other:
        one, other = other, one % other
    return one == 1


Judge = Callable[[Fault, Link, Side, Side], None]


def _run_blocking(way: Way, wire: Wire, faults: Iterator[Fault], lanes: int, judge: Judge) -> None:
    lock = threading.Lock()

    def lane(pool: ThreadPoolExecutor) -> None:
        while True:
            with lock:
                fault = next(faults, None)
            if fault is None:
                return
            seconds = _SECONDS[fault.kind]
            link, client_raw, server_raw = wire.link(fault)
            serving = pool.submit(blocking, way.server, server_raw, server=True, seconds=seconds)
            client = blocking(way.client, client_raw, server=False, seconds=seconds)
            server = serving.result(_HANG)
            judge(fault, link, server, client)

    with ThreadPoolExecutor(lanes) as clients, ThreadPoolExecutor(lanes) as servers:
        for each in [clients.submit(lane, servers) for _ in range(lanes)]:
            each.result()


async def _run_on_loop(
    way: Way, wire: Wire, faults: Iterator[Fault], lanes: int, judge: Judge, told: list[str]
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: told.append(str(context.get("exception") or context["message"]))
    )
    links: list[Link] = []

    async def lane() -> None:
        for fault in faults:
            seconds = _SECONDS[fault.kind]
            link, client_raw, server_raw = wire.link(fault)
            links.append(link)
            client_raw.setblocking(False)
            server_raw.setblocking(False)
            async with asyncio.timeout(_HANG):
                server, client = await asyncio.gather(
                    on_loop(way.server, server_raw, server=True, seconds=seconds),
                    on_loop(way.client, client_raw, server=False, seconds=seconds),
                )
            judge(fault, link, server, client)

    await asyncio.gather(*(lane() for _ in range(lanes)))
    async with asyncio.timeout(_HANG):
        while not all(link.over.is_set() for link in links):
            await asyncio.sleep(0.01)


def _drive(way: Way, wire: Wire, faults: Iterator[Fault], lanes: int, judge: Judge, told: list[str]) -> None:
    if way.driver in BLOCKING:
        _run_blocking(way, wire, faults, lanes, judge)
        return
    with asyncio.Runner(loop_factory=LOOPS[way.driver]().new_loop) as runner:
        runner.run(_run_on_loop(way, wire, faults, lanes, judge, told))


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def _watched(told: list[str]) -> Iterator[None]:
    """Gathers warnings, and exceptions that Python reports to nobody."""
    thread_hook, unraisable_hook = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda args: told.append(f"in a thread: {args.exc_value!r}")
    sys.unraisablehook = lambda args: told.append(f"unraisable: {args.exc_value!r} {args.object!r}")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
            gc.collect()
        told += [f"warning: {each.message}" for each in warned]
    finally:
        threading.excepthook, sys.unraisablehook = thread_hook, unraisable_hook


class Campaign:
    def __init__(self, scale: Scale, folder: Path) -> None:
        self.scale = scale
        self.credentials = Credentials.made_in(folder)
        self.result = Result()
        self.rows: list[list[str]] = []
        self.reasons: Counter[str] = Counter()

    def way(self, driver: str, version: str) -> Way:
        module = BLOCKING.get(driver) or (ssl if driver.startswith("ssl") else veritls)
        server = self.credentials.server_context(module, version)
        client = self.credentials.client_context(module, version)
        way = Way(driver, version, server, client, module)
        way.needed = records_needed(server, client, module)
        # What follows the conversation, close_notify on a loop, is not of interest: the lengths are those of
        # blocking sockets. The conversation on a loop warms up what the loop opens once for a process.
        ours = "ssl, blocking" if module is ssl else "veritls, blocking"
        links = self._undisturbed(replace(way, driver=ours))
        way.lengths = [max(link.passed[direction] for link in links) for direction in (UP, DOWN)]
        way.records = [max(link.records[direction].number for link in links) for direction in (UP, DOWN)]
        self._undisturbed(way)
        return way

    def _undisturbed(self, way: Way) -> list[Link]:
        links: list[Link] = []

        def judge(_: Fault, link: Link, server: Side, client: Side) -> None:
            links.append(link)
            if server.outcome != OK or client.outcome != OK:
                words = f"{way.driver}, {way.version}, without a fault: {server}, {client}"
                self.result.failures.append(words)

        wire = Wire()
        _drive(way, wire, iter([Fault(CUT, UP, 1 << 40)] * 3), 1, judge, self.result.failures)
        for link in links:
            link.over.wait(_HANG)
        wire.close()
        return links

    def run(self, way: Way, kind: str, seconds: float) -> None:
        tally = Tally()
        told: list[str] = []
        self._work(way, kind, seconds, tally, told)
        for words, times in Counter(told).items():
            self.result.failures.append(f"{way.driver}, {way.version}, {kind}: {times} times {words}")
        covered, of = len(tally.positions), sum(way.lengths)
        self.rows.append(
            [
                way.driver,
                way.version,
                kind,
                f"{tally.cases:,}",
                f"{covered:,} of {of:,}",
                _counted(tally.server),
                _counted(tally.client),
                str(tally.unnoticed or ""),
            ]
        )

    def _work(self, way: Way, kind: str, seconds: float, tally: Tally, told: list[str]) -> None:
        end = time.monotonic() + seconds
        passes = 8 if kind == FLIP else 1
        faults = _positions(way, kind, passes)
        if self.scale.quick:
            faults = itertools.islice(faults, _QUICK[kind])
        else:
            faults = itertools.takewhile(lambda _: time.monotonic() < end, faults)
        lock = threading.Lock()

        def judge(fault: Fault, link: Link, server: Side, client: Side) -> None:
            with lock:
                tally.cases += 1
                tally.positions.add((fault.direction, fault.position))
                tally.server[server.outcome] += 1
                tally.client[client.outcome] += 1
                if kind == FLIP and link.place is not None and server.outcome == client.outcome == OK:
                    tally.unnoticed += 1
                    self.reasons[
                        _harmless(link.place) or "the bytes behind the last of the conversation"
                    ] += 1
                for words in problems(way, fault, link, server, client):
                    told.append(f"{words} ({fault})")

        lanes = _LANES[kind]
        with _watched(told):
            wire = Wire()
            before = _descriptors()
            _drive(way, wire, faults, lanes, judge, told)
            gc.collect()
            deadline = time.monotonic() + _HANG
            while _descriptors() > before and time.monotonic() < deadline:
                time.sleep(0.01)
            if (left := _descriptors() - before) > 0:
                told.append(f"{left} descriptors are left")
            wire.close()


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {times:,}" for name, times in counter.most_common())


def run(scale: Scale) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(scale, Path(folder))
        drivers = [*BLOCKING, *ON_LOOPS]
        if scale.quick:
            drivers = [driver for driver in drivers if not driver.startswith("ssl")]
        wanted = scale.options.get("drivers")
        if wanted:
            drivers = [driver for driver in drivers if driver in wanted.split(";")]
        ways = [campaign.way(driver, version) for driver in drivers for version in VERSIONS]
        bytes_of_all = sum(sum(way.lengths) for way in ways) * len(KINDS)
        end = time.monotonic() + scale.seconds
        for way in ways:
            for kind in KINDS:
                share = sum(way.lengths) / bytes_of_all
                campaign.run(way, kind, share * (end - time.monotonic()))
                bytes_of_all -= sum(way.lengths)
    campaign.result.notes += [
        f"Flips that nobody noticed, {times}: {reason}." for reason, times in campaign.reasons.items()
    ]
    head = ("driver", "version", "fault", "cases", "bytes met", "server's end", "client's end", "unnoticed")
    campaign.result.tables.append(Table("What each end made of it", head, campaign.rows))
    return campaign.result


PART = Part(
    "every-byte",
    "Every byte of a mutual handshake: cut, stalled, flipped",
    "No side completes a handshake of which it did not get every record as it was sent; at least one side "
    "notices, neither accepts changed data; every end is an SSLError, ConnectionError, TimeoutError, or the "
    "end of the stream after the handshake; nothing hangs, no descriptor is left, no exception or warning "
    "goes unraised to a log.",
    run,
    (
        Finding(
            "Type and version in the header of an encrypted TLS 1.3 record could be changed on the way, and "
            "neither end noticed: rustls authenticates the constants that belong there, not what came. It "
            "led to nothing.",
            "Mended (decision 0055; tests/test_broken_records.py).",
        ),
        Finding(
            "Two threads that explained the refusal of certificates with a serial number of zero or less at "
            "the same time could let a warning of `cryptography` through, and leave the filters changed.",
            "Mended (tests/test_odd_certificates.py).",
        ),
    ),
)
