"""``veritls check``: reports on servers, for a terminal, a table of many, or JSON."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from veritls._report.tree import Node, tree
from veritls.cli.probe import Negotiated, Probe, Result
from veritls.cli.target import Target
from veritls.report import VerificationReport

_STYLES = {"passed": "green", "failed": "bold red", "not checked": "dim"}
_VERDICTS = (("trusted", "bold green"), ("not trusted", "bold red"), ("no connection", "bold yellow"))
_NO_EDGE = 1_000_000
_SOON = 14
"""Days left from which on a certificate is shown as one that ends soon."""


def look_at(targets: Sequence[Target], probe: Probe, jobs: int, console: Console) -> list[Result]:
    """The results in the order of the targets; at most `jobs` servers at a time. Shows a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = len(targets) < 2 or not console.is_terminal
    with (
        Progress(*columns, console=console, transient=True, disable=hidden) as progress,
        ThreadPoolExecutor(min(jobs, len(targets))) as pool,
    ):
        task = progress.add_task("checking", total=len(targets))
        futures = [pool.submit(probe, target) for target in targets]
        for _ in as_completed(futures):
            progress.advance(task)
        return [future.result() for future in futures]


def status_of(results: Sequence[Result]) -> int:
    """1 where one is not trusted, else 2 where one could not be connected to, else 0."""
    statuses = {result.status for result in results}
    return next((status for status in (1, 2) if status in statuses), 0)


def _below(parent: Tree, node: Node) -> None:
    for each in node.below:
        text = Text(each.text)
        if each.verdict:
            text = Text.assemble((f"{each.verdict:<12}", _STYLES[each.verdict]), each.text)
        _below(parent.add(text), each)


def _agreed(negotiated: Negotiated | None) -> str:
    if negotiated is None:
        return "agreed on: nothing (the server did not let us look)"
    shown = (negotiated.version, negotiated.suite, negotiated.group, f"ALPN {negotiated.alpn or 'none'}")
    return f"agreed on: {', '.join(part for part in shown if part)}"


def _detailed(result: Result, with_chain: bool) -> RenderableType:
    verdict, style = _VERDICTS[result.status]
    title = Text.assemble((str(result.target), "bold"), " ", (verdict, style))
    if result.report is None:
        return Text.assemble(title, f": {result.problem}")
    node = tree(result.report.as_dict())
    root = Tree(Text.assemble(title, f": {result.report.sentence}"))
    root.add(Text(_agreed(result.negotiated)))
    _below(root, node)
    if not with_chain:
        return root
    return Group(root, *(Text(text) for text in _sent(result.report)))


def _sent(report: VerificationReport) -> list[str]:
    """The certificates as they were sent, PEM."""
    return [ssl.DER_cert_to_PEM_cert(der).rstrip() for der in report.question.chain]


def _left(result: Result) -> Text:
    if result.report is None:
        return Text("")
    days = result.report.certificates[0].days_left(result.report.question.at)
    if days is None:
        return Text("?")
    return Text(f"{days:,}", style="red" if days < 0 else "yellow" if days < _SOON else "")


def _summary(results: Sequence[Result]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("server", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("days\nleft", justify="right", no_wrap=True)
    table.add_column("agreed on", overflow="fold")
    table.add_column("why", overflow="fold")
    for result in results:
        verdict, style = _VERDICTS[result.status]
        agreed = result.negotiated
        parts = (agreed.version, agreed.suite, agreed.group) if agreed is not None else ()
        why = result.problem if result.report is None else result.report.sentence
        table.add_row(
            Text(str(result.target)),
            Text(verdict, style=style),
            _left(result),
            Text(" ".join(part for part in parts if part)),
            Text(why),
        )
    return table


def show(results: Sequence[Result], console: Console, *, with_chain: bool) -> None:
    """One server in full; several as a table, and each of them in full where the chain is wanted.

    What is piped is neither cut nor folded: each line of a report, each row of the table is one line.
    """
    if not console.is_terminal:
        console.width = _NO_EDGE
    if len(results) == 1 or with_chain:
        for result in results:
            console.print(_detailed(result, with_chain))
    if len(results) > 1:
        console.print(_summary(results))


def print_json(results: Sequence[Result]) -> None:
    """One line for each server."""
    for result in results:
        print(json.dumps(result.as_dict()))
