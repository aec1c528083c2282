"""``veritls demo``: the policy of verify_mode as one table, each row made with real connections."""

from __future__ import annotations

import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from veritls.cli import certificates
from veritls.cli.cases import Case, cases
from veritls.cli.certificates import Credentials
from veritls.cli.conformance import describe_outcome, describe_policy, faults
from veritls.cli.exchange import PEERS, Outcome, exchange

_VERSIONS = {ssl.TLSVersion.TLSv1_2: "TLS 1.2", ssl.TLSVersion.TLSv1_3: "TLS 1.3"}
_LONGEST_REASON = 34
_FIXED = 55
"""The width of all columns but "its peer has" and the error."""
_SHORTEST_TRIED = 11


def _short(error: Exception) -> str:
    """The type of the error and its reason."""
    words = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
    return f"{type(error).__name__}: {words}"


@dataclass
class _Errors:
    """The errors in full, each once, under the number that the table gives it."""

    numbers: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def number(self, key: str, error: Exception) -> int:
        if key not in self.numbers:
            self.texts.append(f"{type(error).__name__}: {error}")
            self.numbers[key] = len(self.texts)
        return self.numbers[key]

    def lines(self, case: Case, outcome: Outcome) -> list[str]:
        """The error that a program on veritls' side catches, then the error that its peer gets."""
        lines = []
        own, peers = outcome.end(case.side).error, outcome.end(case.peer_side).error
        if own is not None:
            # Not by its full text: the time of day in it differs from row to row.
            key = f"{case.credential} {_short(own)}"
            lines.append(f"{_short(own)} ({self.number(key, own)})")
        if peers is not None:
            lines.append(f"{case.peer_side} got {_short(peers)}")
        return lines

    def print(self, console: Console) -> None:
        if not self.texts:
            return
        listing = Table.grid(padding=(0, 1))
        listing.add_column(justify="right", no_wrap=True)
        listing.add_column(overflow="fold")
        for number, text in enumerate(self.texts, 1):
            listing.add_row(f"({number})", Text(text))
        console.print("The errors in full:", style="bold")
        console.print(listing)
        console.print()


def _merge(by_peer: dict[str, list[str]]) -> Text:
    """The lines once where they are the same with every peer, else once for each peer that differs."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for peer, lines in by_peer.items():
        groups.setdefault(tuple(lines), []).append(peer)
    if len(groups) == 1:
        return Text("\n".join(next(iter(groups))))
    lines = [f"{', '.join(peers)}: {line}" for same, peers in groups.items() for line in same or ("-",)]
    return Text("\n".join(lines))


def _mark(problems: list[str]) -> Text:
    return Text("WRONG", style="bold red") if problems else Text("ok", style="green")


@dataclass(frozen=True)
class _Row:
    """A case; what its peer has, the policy, what happened and the errors; what is WRONG, for each peer."""

    case: Case
    texts: tuple[str, str, Text, Text]
    problems: dict[str, list[str]]


def _title(version: ssl.TLSVersion) -> str:
    return f"What verify_mode means (veritls, {_VERSIONS[version]})"


def _table(version: ssl.TLSVersion, groups: list[list[_Row]], width: int) -> Table:
    table = Table(
        title=_title(version),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    # Rich would narrow the longest column first, and break the names of errors in two.
    spare = width - _FIXED
    error = max(_LONGEST_REASON, spare - 26)
    table.add_column("veritls is", no_wrap=True)
    table.add_column("its peer has", width=spare - error, overflow="fold")
    table.add_column("policy", max_width=7, overflow="fold")
    table.add_column("what happened", max_width=9, overflow="fold")
    table.add_column("the error that a program gets", width=error, overflow="fold")
    for peer in PEERS:
        table.add_column(f"peer\n{peer}", min_width=5, no_wrap=True)
    for rows in groups:
        headings = (rows[0].case.side, rows[0].case.mode.name, *[""] * len(rows))
        for heading, row in zip(headings, rows, strict=False):
            marks = (_mark(row.problems[name]) for name in PEERS)
            table.add_row(Text(heading, style="bold"), *row.texts, *marks)
        table.add_section()
    return table


def _paragraphs(version: ssl.TLSVersion, groups: list[list[_Row]]) -> Iterator[RenderableType]:
    """What the table says, for a terminal that is too narrow for it."""
    yield Text(_title(version), style="bold")
    yield "Each line: what its peer has: the policy; what happened\n"
    for rows in groups:
        yield Text(f"veritls is a {rows[0].case.side}, {rows[0].case.mode.name}", style="bold")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for row in rows:
            tried, policy, happened, evidence = row.texts
            said = f"{tried}: {policy}; {', '.join(happened.plain.splitlines())}"
            grid.add_row(_mark(list(chain.from_iterable(row.problems.values()))), Text(said))
            if evidence.plain:
                grid.add_row("", evidence)
        yield grid
        yield ""


def _row(case: Case, version: ssl.TLSVersion, credentials: Credentials, errors: _Errors) -> _Row:
    """Makes the connections of a case."""
    outcomes = {name: exchange(case, peer, version, credentials) for name, peer in PEERS.items()}
    problems = {name: list(faults(case, each, version, credentials)) for name, each in outcomes.items()}
    happened = {name: [describe_outcome(case, outcome)] for name, outcome in outcomes.items()}
    evidence = {
        name: [*(f"WRONG: {fault}" for fault in problems[name]), *errors.lines(case, outcome)]
        for name, outcome in outcomes.items()
    }
    texts = case.tried, describe_policy(case), _merge(happened), _merge(evidence)
    return _Row(case, texts, problems)


def demonstrate(version: ssl.TLSVersion, console: Console) -> bool:
    """Makes every connection and prints the table on `console`; whether every row is as the policy says."""
    started = time.monotonic()
    groups, errors = list[list[_Row]](), _Errors()
    with tempfile.TemporaryDirectory(prefix="veritls-demo-") as folder:
        credentials = certificates.make(Path(folder))
        for _, group in groupby(cases(), key=lambda case: (case.side, case.mode)):
            groups.append([_row(case, version, credentials, errors) for case in group])
    if console.width < _FIXED + _SHORTEST_TRIED + _LONGEST_REASON:
        console.print(*_paragraphs(version, groups), sep="\n")
    else:
        console.print(_table(version, groups, console.width))
    errors.print(console)
    seconds = time.monotonic() - started
    problems = [any(row.problems.values()) for rows in groups for row in rows]
    rows, wrong, connections = len(problems), sum(problems), len(problems) * len(PEERS)
    summary = f"{wrong} of {rows} rows are WRONG" if wrong else "every row is as the policy says"
    console.print(
        "Each row was made twice over TCP: with Python's own ssl as the peer, and with veritls as the peer.\n"
        f"{rows} rows, {connections} connections, {seconds:.1f} s: {summary}.",
        style="bold red" if wrong else "",
    )
    return not wrong
