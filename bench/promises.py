"""What veritls wants to reach, as ratios of figures of one run: the table, and how each is looked up."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.contestants import RUSTLS
from bench.measurements import cold_start, contexts, libraries
from bench.measurements.event_loops import SELECTOR_SSL, UVLOOP_SSL
from bench.measurements.first_request import CLIENTS, WITHOUT_NODELAY, pairing
from bench.measurements.handshakes import FULL, MUTUAL, RESUMED
from bench.measurements.idle_thousands import GIVEN_BACK, SHARE
from bench.measurements.memory import USUAL
from bench.measurements.records import DOWN, UP
from bench.measurements.servers_bill import KEPT, NEW
from bench.measurements.tails import LOOP, P999, THREADS, UVLOOP
from bench.measurements.threads import ONE, TWO
from bench.recipe import TLS12, TLS13
from bench.results import Ratio, Record, find, processor_ratio, ratio, values
from bench.servers import GO, NGINX, UVICORN_PLAIN, UVICORN_VERITLS

Results = dict[str, Record]


@dataclass(frozen=True)
class Measured:
    """A ratio of a case, by the clock and, where that makes sense, by the processor's time of both ends."""

    label: str
    ratio: Ratio
    processor: Ratio | None = None


Found = Iterator[Measured]

OURS = "veritls"
OUR_LOOP, OUR_UVLOOP = "veritls.aio.EventLoop", "veritls.aio.UvloopEventLoop"
_FASTNET = ("ssl, aiofastnet on asyncio", "ssl, aiofastnet on uvloop")
_LOOP_MEASUREMENTS = {
    "bulk": "loop-bulk",
    "round trips": "loop-roundtrips",
    "connections": "loop-connections",
}


@dataclass(frozen=True)
class Promise:
    """`found`: the ratios that it is about, the most usual case first."""

    words: str
    bound: float
    found: Callable[[Results], Found]
    at_most: bool = False
    is_ratio: bool = True
    """False: a figure in a unit, which `words` name."""

    def holds(self, measured: Ratio) -> bool:
        return measured.median <= self.bound if self.at_most else measured.median >= self.bound


def _ratios(name: str, label: str, over: str | None = None, **tags: str) -> Callable[[Results], Found]:
    def found(results: Results) -> Found:
        for case in find(results, name, **tags):
            measured = ratio(case, label, over)
            if measured is not None:
                better = results[name]["more_is_better"]
                processor = processor_ratio(case, label, over, more_is_better=better)
                yield Measured(case["label"], measured, processor)

    return found


def _best(case: Record, labels: tuple[str, ...]) -> list[float]:
    """The figures of whichever did best."""
    lists = [figures for label in labels if (figures := values(case, label))]
    return max(lists, key=statistics.median, default=[])


def _against_fastnet(name: str) -> Callable[[Results], Found]:
    def found(results: Results) -> Found:
        for case in find(results, name):
            measured = Ratio.of(_best(case, (OUR_LOOP, OUR_UVLOOP)), _best(case, _FASTNET))
            if measured is not None:
                yield Measured(case["label"], measured)

    return found


def _memory(results: Results) -> Found:
    for case in find(results, "memory"):
        measured = ratio(case, OURS)
        if measured is not None and case["x"] == USUAL:
            yield Measured(case["label"], measured)


def _first_requests(results: Results) -> Found:
    for case in find(results, "first-request", version=TLS13, nodelay=WITHOUT_NODELAY):
        for ours, theirs in ((OUR_LOOP, SELECTOR_SSL), (OUR_UVLOOP, UVLOOP_SSL), (OURS, "ssl")):
            for client in CLIENTS:
                measured = ratio(case, pairing(ours, client), pairing(theirs, client))
                if measured is not None:
                    yield Measured(f"{case['label']}: {pairing(ours, client)}", measured)


def _on_loops() -> Iterator[Promise]:
    bounds = {"bulk": (1.5, 1.5), "round trips": (1.2, 1.3), "connections": (2.0, 2.0)}
    for what, name in _LOOP_MEASUREMENTS.items():
        found = _ratios(name, OUR_LOOP, SELECTOR_SSL)
        yield Promise(f"asyncio's selector loop, {what}, over `ssl`", bounds[what][0], found)
    tcp = _ratios("loop-roundtrips", OUR_LOOP, "TCP, asyncio")
    yield Promise("the same, round trips over plain TCP", 0.9, tcp)
    for what, name in _LOOP_MEASUREMENTS.items():
        found = _ratios(name, OUR_UVLOOP, UVLOOP_SSL)
        yield Promise(f"uvloop, {what}, over `ssl`", bounds[what][1], found)
    for what, name in _LOOP_MEASUREMENTS.items():
        words = f"{what}, over aiofastnet with `ssl`, each on its best loop"
        yield Promise(words, 1.0, _against_fastnet(name))


def _of_starts() -> Iterator[Promise]:
    imports = _ratios("cold-start", OURS, kind=cold_start.IMPORT, what=cold_start.PROCESSOR)
    yield Promise("import, processor time above a bare interpreter", 1.3, imports, at_most=True)
    for kind, bound in ((cold_start.CA_FILE, 1.15), (cold_start.SYSTEM, 0.8)):
        found = _ratios("cold-start", OURS, kind=kind)
        yield Promise(f"a process with {kind}, {cold_start.WALL}", bound, found, at_most=True)
    peak = _ratios("cold-memory", OURS, kind=cold_start.CA_FILE)
    yield Promise("its peak memory, CA file", 1.2, peak, at_most=True)
    for kind, when, bound in (
        (contexts.SYSTEM, contexts.FIRST, 0.3),
        (contexts.SYSTEM, contexts.AGAIN, 0.02),
        (contexts.CERTIFI, contexts.AGAIN, 0.02),
    ):
        found = _ratios("contexts", OURS, kind=kind, when=when)
        yield Promise(f"`{kind}`, {when}", bound, found, at_most=True)
    for when, words in libraries.WHEN.items():
        found = _ratios("libraries", OURS, when=when)
        yield Promise(f"httpx, requests, aiohttp: {words}", 0.7, found, at_most=True)


def _tails(way: str) -> Callable[[Results], Found]:
    """p99 and p99.9, on a quiet machine and on a loaded one."""

    def found(results: Results) -> Found:
        for case in find(results, "tails", way=way):
            for key, words in (("values", "p99"), (P999, P999)):
                measured = ratio(case, OURS, key=key)
                if measured is not None:
                    yield Measured(f"{case['tags']['load']}, {words}", measured)

    return found


def _all_tails() -> Iterator[Promise]:
    for way, bound in ((LOOP, 0.5), (UVLOOP, 0.5), (THREADS, 0.7)):
        words = f"{way}, p99 of round trips of 200 busy connections, over `ssl`"
        yield Promise(words, bound, _tails(way), at_most=True)


_BILLS = (
    (FULL, TLS13, 0.85, 0.85),
    (FULL, TLS12, 0.85, 0.85),
    (MUTUAL, TLS13, 0.45, 0.8),
    (MUTUAL, TLS12, 0.6, 0.85),
)
"""Kind and version of a new connection, and what uvicorn's bill may be over nginx's and over Go's."""


def _servers_bills() -> Iterator[Promise]:
    for kind, version, over_nginx, over_go in _BILLS:
        for rival, bound in ((NGINX, over_nginx), (GO, over_go)):
            found = _ratios("servers-bill", UVICORN_VERITLS, rival, what=NEW, kind=kind, version=version)
            words = f"server's processor time, {kind}, {version}, over {rival}"
            yield Promise(words, bound, found, at_most=True)
    found = _ratios("servers-bill", UVICORN_VERITLS, UVICORN_PLAIN, what=KEPT)
    words = "server's processor time, a request on a kept connection, over no TLS"
    yield Promise(words, 1.25, found, at_most=True)


def _each_idle(way: str, over: str | None) -> Callable[[Results], Found]:
    """A connection's KiB; `over`: the entrant whose KiB they are divided by."""

    def found(results: Results) -> Found:
        for case in find(results, "idle-thousands", way=way):
            ours = values(case, OURS)
            measured = Ratio.of(ours, values(case, over) if over else [1.0] * len(ours))
            if measured is not None:
                yield Measured(case["label"], measured)

    return found


def _given_back(results: Results) -> Found:
    for case in find(results, "idle-thousands"):
        shares = values(case, OURS, GIVEN_BACK)
        measured = Ratio.of(shares, [1.0] * len(shares))
        if measured is not None:
            yield Measured(case["label"], measured)


def _idle_thousands() -> Iterator[Promise]:
    for way in (LOOP, UVLOOP):
        found = _each_idle(way, None)
        words = f"KiB of a server's idle connection, {way}"
        yield Promise(words, 6.0, found, at_most=True, is_ratio=False)
    found = _each_idle(THREADS, "ssl")
    words = "memory of a server's idle connection, threads, over `ssl`"
    yield Promise(words, 0.8, found, at_most=True)
    words = "memory of a server after all connections, over that before the first"
    yield Promise(words, SHARE, _given_back, at_most=True)


PROMISES: tuple[Promise, ...] = (
    *_of_starts(),
    Promise(f"full handshakes, {FULL}", 2.0, _ratios("handshakes", OURS, kind=FULL)),
    Promise(f"full handshakes, {MUTUAL}", 3.0, _ratios("handshakes", OURS, kind=MUTUAL)),
    Promise("resumed handshakes", 2.0, _ratios("handshakes", OURS, kind=RESUMED)),
    Promise(f"bulk, blocking sockets, {UP}", 1.15, _ratios("bulk", OURS, direction=UP)),
    Promise(f"bulk, blocking sockets, {DOWN}", 1.15, _ratios("bulk", OURS, direction=DOWN)),
    Promise("64-byte round trips, blocking sockets", 1.1, _ratios("roundtrips", OURS)),
    *_on_loops(),
    Promise("first response, client without TCP_NODELAY, TLS 1.3", 1.1, _first_requests, at_most=True),
    *_all_tails(),
    *_servers_bills(),
    *_idle_thousands(),
    Promise("memory of an idle connection's end", 0.5, _memory, at_most=True),
    Promise("two threads' handshakes over one's", 1.8, _ratios("threads", TWO, ONE, contestant=OURS)),
    Promise("bulk, share of plain rustls's throughput", 0.9, _ratios("bulk", OURS, RUSTLS)),
)
