"""``veritls verify``: chains in files, verified as in a handshake, without one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from veritls import SSLContext
from veritls._report.rendering import counted, plain
from veritls._report.tree import Node, tree
from veritls.cli.certificate_files import Input, NoCertificateError, chain_in, stop_deriving
from veritls.cli.drawing import NARROW, add_below
from veritls.cli.verified import SKIPPED, STATUSES, Verified
from veritls.cli.words import as_dict
from veritls.errors import SSLCertVerificationError
from veritls.report import Purpose, VerificationReport

_LONGEST_PROBLEM = 300
_UNLIMITED_WIDTH = 1_000_000
_STYLES = {0: "bold green", 1: "bold red", 2: "bold yellow", 3: "bold yellow"}
_SOON = 14
"""A certificate with fewer days left is yellow."""
_NO_NAME = Node("host name: not checked (give --name)")


@dataclass(frozen=True)
class Question:
    """What is asked of each file. Called with an `Input`; any thread may call it; it never raises.

    `context`: a context for clients: whom to trust, and what to demand. `purpose`: whose certificates they
    are, "server" or "client". `name`: the host name that each must be for; None checks none. `at`: the moment
    to verify as of; None: now. `password`: of PKCS#12 files, None where there is none. `warn_days`: see
    `Verified`.
    """

    context: SSLContext
    purpose: Purpose = "server"
    name: str | None = None
    at: datetime | None = None
    password: bytes | None = None
    warn_days: int | None = None

    def __call__(self, file: Input) -> Verified:
        try:
            chain = chain_in(file.path, self.password)
        except NoCertificateError as why:
            return Verified(file, problem=plain(str(why), _LONGEST_PROBLEM), skipped=not file.named)
        except (OSError, ValueError) as why:
            words = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
            return Verified(file, problem=plain(words, _LONGEST_PROBLEM))
        try:
            report = self.context.verify_chain(
                chain, server_hostname=self.name, at=self.at, purpose=self.purpose
            )
        except SSLCertVerificationError as refused:
            report = refused.report
        return Verified(file, report, warn_days=self.warn_days)


def verify_all(files: Sequence[Input], question: Question, jobs: int, console: Console) -> list[Verified]:
    """The results in the order of `files`; at most `jobs` files at a time, with a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = len(files) < 2 or not console.is_terminal
    results = []
    with (
        Progress(*columns, console=console, transient=True, disable=hidden) as progress,
        ThreadPoolExecutor(max(1, min(jobs, len(files)))) as pool,
    ):
        task = progress.add_task("verifying", total=len(files))
        futures: list[Future[Verified]] = []
        try:
            for file in files:
                futures.append(pool.submit(question, file))
            for future in futures:
                results.append(future.result())
                progress.advance(task)
        except BaseException:  # Ctrl-C: the files that are left are not read
            pool.shutdown(wait=False, cancel_futures=True)
            while left := [future for future in futures if not future.done()]:
                stop_deriving()
                wait(left, 0.1)
            raise
    return results


def _lines(report: VerificationReport) -> Iterator[Node]:
    """What stands below the title; each certificate by itself, so that a fingerprint fits 80 columns."""
    for each in tree(as_dict(report)).below:
        yield from each.below if each.text == "certificates" else (each,)
    if _is_unnamed(report):
        yield _NO_NAME


def _is_unnamed(report: VerificationReport) -> bool:
    """Whether it is about a server of which no name was asked for."""
    request = report.request
    return request.purpose == "server" and request.server_hostname is None and request.allowed_peers is None


def _titled(result: Verified) -> Text:
    title = (result.word, "dim" if result.skipped else _STYLES[result.status])
    return Text.assemble((result.name, "bold"), " ", title, f": {result.sentence}")


def _left(result: Verified) -> Text:
    days = result.days_left
    if days is None:
        return Text("")
    soon = max(_SOON, result.warn_days or 0)
    return Text(f"{days:,}", style="red" if days < 0 else "yellow" if days < soon else "")


def _summary(results: Sequence[Verified]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold", max_width=30)
    table.add_column("result", no_wrap=True)
    table.add_column("days\nleft", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for result in results:
        style = "dim" if result.skipped else _STYLES[result.status]
        table.add_row(Text(result.name), Text(result.word, style=style), _left(result), Text(result.sentence))
    return table


def _counted(results: Sequence[Verified]) -> str:
    """ "12 files: 2 not trusted, 10 trusted"."""
    found = Counter(result.word for result in results)
    words = [*STATUSES.values(), SKIPPED]
    counts = ", ".join(f"{found[word]:,} {word}" for word in words if found[word])
    return f"{counted(len(results), 'file')}: {counts}"


def failing(results: Sequence[Verified]) -> list[Verified]:
    """Those that are not in order."""
    return [result for result in results if result.status]


def show(results: Sequence[Verified], console: Console, *, only_failing: bool = False) -> None:
    """Prints one file in full, several as a table. `only_failing`: only what is not in order.

    Into a pipe, nothing is cut or folded: each line of a report, each row of the table is one line.
    """
    terminal = console.is_terminal
    if not terminal:
        console.width = _UNLIMITED_WIDTH
    shown = failing(results) if only_failing else results
    if len(results) == 1:
        for result in shown:
            root = Tree(_titled(result))
            if result.report is not None:
                add_below(root, Node("", tuple(_lines(result.report))))
            console.print(root)
        return
    if shown and console.width < NARROW:
        for result in shown:
            console.print(_titled(result))
    elif shown:
        table = _summary(shown)
        if not terminal:
            table.columns[0].max_width = None
        console.print(table)
    if terminal:
        console.print(_counted(results))
        if any(each.report is not None and _is_unnamed(each.report) for each in results):
            console.print("host names: not checked (give --name)")


def print_json(results: Sequence[Verified]) -> None:
    """Prints one line of JSON for each file."""
    for result in results:
        print(json.dumps(result.as_dict()))
