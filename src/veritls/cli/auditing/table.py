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
    "refuses too much": ("{what}", "bold yellow"),
    "proves nothing": ("{what}", "yellow"),
    "unknown": ("not known", "bold yellow"),
    "not offered": ("not offered", "dim"),
    "either will do": ("{what}", ""),
}
_STYLES = {"open": "bold red", "doubt": "bold yellow", "good": "bold green", "note": ""}
_STATUS = (
    ("nothing fails open", "bold green"),
    ("fails open", "bold red"),
    ("could not be told", "bold yellow"),
)

_OPEN_TO_ALL = ("asks for no certificate", "bold yellow")


def _cell(cell: Cell, between: str) -> Text:
    word, style = _WORDS[cell.verdict]
    what = "refused" if cell.outcome.what == "closed" else cell.outcome.what
    if cell.verdict == "not offered":
        return Text(word, style)
    return Text.assemble((word.format(what=what), style), between, (cell.outcome.in_words(), "dim"))


def _row(row: Row, side: Side, between: str) -> list[Text]:
    shown = Text(row.peer.described(side))
    must = Text(row.fate or "either", "" if row.fate else "dim")
    if row.not_tried:
        return [shown, must, Text.assemble(("not tried", "dim"), between, (row.not_tried, "dim")), Text("")]
    return [shown, must, *(_cell(row.cells[version], between) for version in VERSIONS)]


def show(audit: Audit, console: Console) -> None:
    """Prints the table and the result in words. Into a pipe, each row is one line."""
    between = "\n"
    if not console.is_terminal:
        console.width, between = _UNLIMITED_WIDTH, ": "
    side = other(audit.demands.side)
    words, style = _STATUS[audit.status] if not audit.open_to_all else _OPEN_TO_ALL
    console.print(Text.assemble((audit.target, "bold"), " ", (words, style)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(f"a {side} with", overflow="fold", min_width=20)
    table.add_column("must be", no_wrap=True)
    for version in VERSIONS:
        table.add_column(version.replace("v", " "), overflow="fold")
    for row in audit.rows:
        table.add_row(*_row(row, side, between))
    console.print(table)
    for kind, sentence in audit.sentences():
        console.print(Text(sentence, _STYLES[kind]))
