"""``veritls check``: reports on servers, for a terminal, a table of many, or JSON."""

from __future__ import annotations

import json
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from veritls._report.rendering import counted
from veritls._report.tree import Node, tree
from veritls.cli.drawing import NARROW, add_below
from veritls.cli.probe import Probe
from veritls.cli.result import STATUSES, Negotiated, Result
from veritls.cli.target import Target
from veritls.cli.words import as_dict
from veritls.report import VerificationReport

_RESULTS = {0: "bold green", 1: "bold red", 2: "bold yellow", 3: "bold yellow", 4: "bold yellow"}
_UNLIMITED_WIDTH = 1_000_000
_WIDE = 120
"""Columns from which the table has what was negotiated beside the reason."""
_SOON = 14
"""A certificate with fewer days left is yellow."""


def check_all(targets: Sequence[Target], probe: Probe, jobs: int, console: Console) -> list[Result]:
    """The results in the order of `targets`; at most `jobs` servers at a time, with a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = len(targets) < 2 or not console.is_terminal
    with (
        Progress(*columns, console=console, transient=True, disable=hidden) as progress,
        ThreadPoolExecutor(min(jobs, len(targets))) as pool,
    ):
        task = progress.add_task("checking", total=len(targets))
        try:
            futures = [pool.submit(probe, target) for target in targets]
            for _ in as_completed(futures):
                progress.advance(task)
        except BaseException:  # Ctrl-C: nobody waits for servers any more
            pool.shutdown(wait=False, cancel_futures=True)
            probe.stop()
            raise
        return [future.result() for future in futures]


def _negotiated(negotiated: Negotiated | None) -> str:
    if negotiated is None:
        return "negotiated: unknown"
    parts = (negotiated.version, negotiated.suite, negotiated.group, f"ALPN {negotiated.alpn or 'none'}")
    return f"negotiated: {', '.join(part for part in parts if part)}"


def _wanted(result: Result) -> tuple[Node, ...]:
    """The line about a client certificate, unless the title has it; the CAs below it if these are many."""
    wanted = result.wanted
    if wanted is None:
        return ()
    more = wanted.count - len(wanted.authorities)
    names = (*wanted.authorities, *([f"and {more:,} more"] if more else ()))
    below = tuple(map(Node, names)) if len(names) > 3 else ()
    if result.status != 4:
        return (Node(f"client certificate: {wanted.sentence}", below),)
    return (Node("CAs of its clients", below),) if below else ()


def _lines(result: Result, report: VerificationReport) -> Iterator[Node]:
    """What stands below the title; the certificates each by itself, so that a fingerprint fits 80 columns."""
    yield Node(_negotiated(result.negotiated))
    yield from _wanted(result)
    for each in tree(as_dict(report)).below:
        yield from each.below if each.text == "certificates" else (each,)


def _titled(result: Result) -> Text:
    title = (STATUSES[result.status], _RESULTS[result.status])
    return Text.assemble((str(result.target), "bold"), " ", title, f": {result.sentence}")


def _detailed(result: Result, with_chain: bool) -> RenderableType:
    if result.report is None:
        return _titled(result)
    root = Tree(_titled(result))
    add_below(root, Node("", tuple(_lines(result, result.report))))
    if not with_chain:
        return root
    return Group(root, *(Text(text) for text in _sent(result.report)))


def _sent(report: VerificationReport) -> list[str]:
    """The certificates that the server sent, PEM, in its order."""
    return [ssl.DER_cert_to_PEM_cert(der).rstrip() for der in report.question.chain]


def _left(result: Result) -> Text:
    if result.report is None:
        return Text("")
    days = result.days_left
    if days is None:
        return Text("?")
    soon = max(_SOON, result.warn_days or 0)
    return Text(f"{days:,}", style="red" if days < 0 else "yellow" if days < soon else "")


def _summary(results: Sequence[Result], *, wide: bool) -> Table:
    """A row for each server. Where there is no room, what was negotiated gives way to what is wrong."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("server", overflow="fold", max_width=None if wide else 30)
    table.add_column("result", no_wrap=True)
    table.add_column("days\nleft", justify="right", no_wrap=True)
    if wide:
        table.add_column("negotiated", overflow="fold")
    table.add_column("why" if wide else "negotiated, or what is wrong", overflow="fold")
    for result in results:
        negotiated = result.negotiated
        parts = (negotiated.version, negotiated.suite, negotiated.group) if negotiated is not None else ()
        agreed, why = " ".join(part for part in parts if part), result.sentence
        table.add_row(
            Text(str(result.target)),
            Text(STATUSES[result.status], style=_RESULTS[result.status]),
            _left(result),
            *((Text(agreed), Text(why)) if wide else (Text(why if result.status else agreed),)),
        )
    return table


def _counted(results: Sequence[Result]) -> str:
    """ "12 servers: 2 not trusted, 10 trusted"."""
    found = Counter(result.status for result in results)
    counts = ", ".join(f"{found[status]:,} {words}" for status, words in STATUSES.items() if found[status])
    return f"{counted(len(results), 'server')}: {counts}"


def show(
    results: Sequence[Result], console: Console, *, with_chain: bool, only_failing: bool = False
) -> None:
    """Prints one server in full, several as a table; `with_chain`: each in full, with its chain as PEM.

    `only_failing`: only those that are not in order. Into a pipe, nothing is cut or folded: each line of a
    report, each row of the table is one line.
    """
    terminal = console.is_terminal
    if not terminal:
        console.width = _UNLIMITED_WIDTH
    shown = failing(results) if only_failing else results
    if len(results) == 1 or with_chain:
        for result in shown:
            console.print(_detailed(result, with_chain))
    if len(results) > 1:
        if console.width < NARROW and not with_chain:
            for result in shown:
                console.print(_titled(result))
        elif shown:
            console.print(_summary(shown, wide=console.width >= _WIDE))
        if terminal:
            console.print(_counted(results))


def failing(results: Sequence[Result]) -> list[Result]:
    """Those that are not in order."""
    return [result for result in results if result.status]


def print_json(results: Sequence[Result]) -> None:
    """Prints one line of JSON for each server."""
    for result in results:
        print(json.dumps(result.as_dict()))
