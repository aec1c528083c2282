"""The result of an audit for a terminal or a pipe."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from veritls.cli.auditing.judging import Audit, Cell, Row, Verdict
from veritls.cli.auditing.peers import VERSIONS, Side, other

_UNLIMITED_WIDTH = 1_000_000
_WORDS: dict[Verdict, tuple[str, str]] = {
    "as it must": ("{what}", "green"),
    "fails open": ("FAILS OPEN", "bold red"),
    "open in TLS": ("accepted by TLS", "bold yellow"),
    "refuses too much": ("{what}", "bold yellow"),
    "proves nothing": ("{what}", "yellow"),
    "unknown": ("not known", "bold yellow"),
    "not offered": ("not offered", "dim"),
    "either will do": ("{what}", ""),
}
_STYLES = {"open": "bold red", "doubt": "bold yellow", "good": "bold green", "note": ""}
_STATUS = ("bold green", "bold red", "bold yellow")


def _got(cell: Cell, prefix: str = "", *, with_evidence: bool = True) -> Text:
    word, style = _WORDS[cell.verdict]
    what = "refused" if cell.outcome.what == "closed" else cell.outcome.what
    # The number of an alert is for JSON: it would fold at 80 columns.
    evidence = cell.outcome.in_words().removeprefix("alert ").partition(" (")[0]
    text = Text.assemble((prefix, "dim"), (word.format(what=what), style))
    return Text.assemble(text, (f": {evidence}", "dim")) if with_evidence else text


def _in_all(row: Row, versions: list[str]) -> Text:
    """What a peer got: once where that is the same in all versions, else with the version before it."""
    cells = [row.cells[each] for each in versions]
    if len({cell.verdict for cell in cells}) == 1:
        if len({cell.outcome.in_words() for cell in cells}) == 1:
            return _got(cells[0])
        if all(cell.outcome.what == "accepted" for cell in cells):
            return _got(cells[0], with_evidence=False)
    each = [
        _got(cell, f"{version.removeprefix('TLSv')} ") for version, cell in zip(versions, cells, strict=True)
    ]
    return Text("\n").join(each)


def _row(row: Row, side: Side, versions: list[str], *, one_line: bool) -> list[Text]:
    shown, must = Text(row.peer.described(side)), Text(row.fate or "either", "" if row.fate else "dim")
    got = Text(f"not tried: {row.not_tried}", "dim") if row.not_tried else _in_all(row, versions)
    if one_line:
        got = Text(", ").join(got.split("\n"))
    return [shown, must, got]


def show(audit: Audit, console: Console) -> None:
    """Prints the table and the result in words. Into a pipe, each row is one line."""
    if not console.is_terminal:
        console.width = _UNLIMITED_WIDTH
    side = other(audit.demands.side)
    style = "bold yellow" if audit.open_to_all else _STATUS[audit.status]
    console.print(Text.assemble((audit.target, "bold"), " ", (audit.status_words, style)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(f"a {side} with", no_wrap=True)
    table.add_column("must be", no_wrap=True)
    versions = audit.versions or list(VERSIONS)
    table.add_column(f"got, in {' and '.join(each.replace('v', ' ') for each in versions)}", overflow="fold")
    for row in audit.rows:
        table.add_row(*_row(row, side, versions, one_line=not console.is_terminal))
    console.print(table)
    for kind, sentence in audit.sentences():
        console.print(Text(sentence, _STYLES[kind]))
