"""What README.md and docs/performance.md quote: tables between two lines, written anew by each run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measurements import cold_start
from bench.measurements.contexts import AGAIN
from bench.measurements.event_loops import SELECTOR_SSL, UVLOOP_SSL
from bench.measurements.first_request import WITHOUT_NODELAY, pairing
from bench.measurements.handshakes import FULL, MUTUAL, RESUMED
from bench.measurements.records import DOWN, UP
from bench.measurements.servers_bill import KEPT, NEW
from bench.measurements.tails import LOOP, QUIET, UVLOOP
from bench.promises import OUR_LOOP, OUR_UVLOOP, OURS, PROMISES, Results
from bench.recipe import TLS12, TLS13
from bench.results import Record, find, ratio, values
from bench.servers import GO, NGINX, UVICORN_PLAIN, UVICORN_SSL, UVICORN_VERITLS
from bench.tables import number, table

README, PERFORMANCE = Path("README.md"), Path("docs") / "performance.md"


@dataclass(frozen=True)
class Row:
    """Two entrants of a case. `felt`: the README's words for it, or empty, the default."""

    words: str
    case: Record
    theirs: str
    ours: str
    felt: str = ""


Rows = Iterator[Row]


def _processes(results: Results) -> Rows:
    for case in find(results, "cold-start", kind=cold_start.IMPORT, what=cold_start.PROCESSOR):
        yield Row("ms of processor, import, above a bare interpreter", case, "ssl", OURS)
    for kind in (cold_start.CA_FILE, cold_start.SYSTEM):
        for case in find(results, "cold-start", kind=kind):
            yield Row(f"ms, a process with {kind}", case, "ssl", OURS)
    for kind in (cold_start.CA_FILE, cold_start.SYSTEM):
        for case in find(results, "cold-memory", kind=kind):
            yield Row(f"MiB, peak of a process with {kind}", case, "ssl", OURS)


def _contexts(results: Results) -> Rows:
    for case in find(results, "contexts"):
        words = f"ms, `{case['tags']['kind']}`, {case['tags']['when']}"
        yield Row(words, case, "ssl", OURS)


def _libraries(results: Results) -> Rows:
    for case in find(results, "libraries"):
        again = case["tags"]["library"] == "httpx" and case["tags"]["when"] == AGAIN
        felt = "make an `httpx.Client()`, ask once, close it" if again else ""
        yield Row(f"ms, {case['label']}", case, "ssl", OURS, felt)


def _first_requests(results: Results) -> Rows:
    for ours, theirs, words in (
        (OURS, "ssl", "blocking sockets"),
        (OUR_LOOP, SELECTOR_SSL, "server on asyncio"),
        (OUR_UVLOOP, UVLOOP_SSL, "server on uvloop"),
    ):
        for case in find(results, "first-request", version=TLS13, nodelay=WITHOUT_NODELAY):
            full = case["tags"]["kind"] == "full"
            words_of_kind = words if full else f"{words}, {case['tags']['kind']}"
            over, under = pairing(theirs, "ssl"), pairing(ours, OURS)
            yield Row(f"ms to the first response, {words_of_kind}", case, over, under)


def _tails(results: Results) -> Rows:
    for case in find(results, "tails"):
        words = f"ms, p99 with 200 busy connections, {case['label']}"
        leads = (case["tags"]["way"], case["tags"]["load"]) == (LOOP, QUIET)
        felt = "the slowest hundredth of answers, 200 busy connections on asyncio" if leads else ""
        yield Row(words, case, "ssl", OURS, felt)


def _servers_bill(results: Results) -> Rows:
    for kind in (FULL, MUTUAL):
        for version in (TLS13, TLS12):
            for case in find(results, "servers-bill", what=NEW, kind=kind, version=version):
                words = f"us of a server's processor, {NEW}, {kind}, {version}"
                for rival in (NGINX, GO, UVICORN_SSL):
                    leads = (rival, kind, version) == (UVICORN_SSL, MUTUAL, TLS13)
                    felt = "serve a new mutual connection (uvicorn, uvloop): processor" if leads else ""
                    yield Row(words, case, rival, UVICORN_VERITLS, felt)
    for case in find(results, "servers-bill", what=KEPT):
        for rival in (UVICORN_PLAIN, UVICORN_SSL):
            yield Row(f"us of a server's processor, {KEPT}", case, rival, UVICORN_VERITLS)


def _memory(results: Results) -> Rows:
    for case in find(results, "memory"):
        if case["x"] == 1000:
            yield Row("KiB, an idle connection's end, blocking sockets", case, "ssl", OURS)
    for case in find(results, "idle-thousands"):
        felt = "hold an idle connection, one of 10,000 on uvloop" if case["tags"]["way"] == UVLOOP else ""
        yield Row(f"KiB, a server's idle connection, {case['label']}", case, "ssl", OURS, felt)


def _steady(results: Results) -> Rows:
    for kind in (FULL, MUTUAL, RESUMED):
        for case in find(results, "handshakes", kind=kind, key="P-256", version=TLS13):
            yield Row(f"handshakes/s, {kind}", case, "ssl", OURS)
    for direction in (UP, DOWN):
        for case in find(results, "bulk", direction=direction, version=TLS13):
            yield Row(f"MB/s, {direction}", case, "ssl", OURS)
    for case in find(results, "roundtrips", version=TLS13):
        yield Row("64-byte round trips/s", case, "ssl", OURS)
    for loop, theirs, ours in (("asyncio", SELECTOR_SSL, OUR_LOOP), ("uvloop", UVLOOP_SSL, OUR_UVLOOP)):
        for name, words in (
            ("loop-connections", "connections/s"),
            ("loop-bulk", "MB/s"),
            ("loop-roundtrips", "64-byte round trips/s"),
        ):
            for case in find(results, name):
                if case["tags"].get("direction", UP) == UP:
                    yield Row(f"{loop}: {words}", case, theirs, ours)


_FELT: dict[str, Callable[[Results], Rows]] = {
    "processes": _processes,
    "contexts": _contexts,
    "libraries": _libraries,
    "first-request": _first_requests,
    "tails": _tails,
    "servers-bill": _servers_bill,
    "memory": _memory,
}
"""What a user waits for or pays: less of it is better."""


def _measured(row: Row) -> tuple[str, str, str] | None:
    """The medians of both, theirs first, and their ratio; None where one was not measured."""
    measured = ratio(row.case, row.ours, row.theirs)
    if measured is None:
        return None
    theirs, ours = (number(statistics.median(values(row.case, each))) for each in (row.theirs, row.ours))
    return theirs, ours, str(measured)


def _figures(head: str, rows: Sequence[Row]) -> str:
    """A table of medians; where the other is not `ssl`, its name stands beside its figure."""
    lines = []
    for row in rows:
        found = _measured(row)
        if found is not None:
            theirs, ours, measured = found
            if not row.theirs.startswith("ssl"):
                theirs = f"{row.theirs}: {theirs}"
            lines.append([row.words, theirs, ours, measured])
    if not lines:
        return "Not measured."
    return table([head, "`ssl`, or as named", "veritls", "ratio (spread)"], lines)


def readme_table(results: Results) -> str:
    """The few figures that people feel; of all of them less is better."""
    lines = []
    for row in (row for rows in _FELT.values() for row in rows(results) if row.felt):
        found = _measured(row)
        if found is not None:
            theirs, ours, measured = found
            unit = row.words.split()[0].removesuffix(",")
            lines.append([row.felt, f"{theirs} {unit}", f"{ours} {unit}", measured])
    return table(["", "`ssl`", "veritls", "ratio (spread)"], lines) if lines else "Not measured."


def not_reached(results: Results) -> str:
    """Every case that falls short of what is wanted, whether or not it is ahead of its rival."""
    lines = []
    for promise in PROMISES:
        wanted = f"{'at most' if promise.at_most else 'at least'} {promise.bound:g}"
        for each in promise.found(results):
            if not promise.holds(each.ratio):
                lines.append([promise.words, each.label, wanted, str(each.ratio)])
    return table(["what", "case", "wanted", "measured (spread)"], lines) if lines else "All is reached."


def blocks(results: Results) -> dict[str, str]:
    """The tables of docs/performance.md by the names in its lines."""
    found = {name: _figures("less is better", list(rows(results))) for name, rows in _FELT.items()}
    found["steady"] = _figures("more is better", list(_steady(results)))
    return found | {"not-reached": not_reached(results)}


def between(name: str = "") -> tuple[str, str]:
    """The lines between which a table stands in a page; the README has one, without a name."""
    words = f" {name}" if name else ""
    return f"<!-- bench:begin{words} -->", f"<!-- bench:end{words} -->"


def write_between(path: Path, content: str, name: str = "") -> bool:
    """Puts `content` between its two lines of a file. False where the file has no such lines."""
    old = path.read_text()
    first, last = between(name)
    before, begin, rest = old.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        return False
    path.write_text(f"{before}{begin}\n{content}\n{end}{after}")
    return True


def write(results: Results, root: Path) -> None:
    """The tables of both pages, where they have a place for them."""
    write_between(root / README, readme_table(results))
    for name, content in blocks(results).items():
        write_between(root / PERFORMANCE, content, name)
