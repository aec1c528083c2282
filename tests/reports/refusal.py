"""``python -m tests.reports.refusal`` draws docs/refusal.svg: what `veritls check` says of a real server.

The server has a certificate of an intermediate that it does not send. A name stands in for its address.
"""

from __future__ import annotations

import html
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

import veritls
from tests.check_servers import serving
from tests.reports.broken import leaf, root
from tests.support.connections import SECONDS

PICTURE = Path(__file__).parents[2] / "docs" / "refusal.svg"
_COLUMNS = 92
_SHOWN = "db.internal:8443"
_OWN_FONTS = re.sub(r"\s*@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S)
"""The picture loads nothing from another place."""
_ANOTHER_EACH_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d|[0-9a-fA-F]{36,}|\d+ days")


def _checked() -> str:
    """What the command prints on a terminal, with its colours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ca = folder / "ca.pem"
        ca.write_bytes(root().certificate.public_bytes(Encoding.PEM))
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf().file(folder))
        with serving(context) as server:
            done = subprocess.run(
                [sys.executable, "-m", "veritls", "check", str(server), "--name", "db.internal", "--ca", ca],
                env=os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(_COLUMNS), "TERM": "xterm-256color"},
                capture_output=True,
                timeout=SECONDS,
                text=True,
            )
    assert done.returncode == 1, done.stderr
    return done.stdout.replace(str(server), _SHOWN)


def drawn() -> str:
    """The picture of it, as SVG."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ veritls check {_SHOWN} --ca ca.pem", style="bold"))
    console.print(Text.from_ansi(_checked().rstrip()))
    return console.export_svg(title="veritls", code_format=_OWN_FONTS, unique_id="refusal")


def lines(picture: str) -> list[str]:
    """The text of the picture, without what is another in each run: dates, serial number, fingerprint."""
    rows: dict[str, str] = {}
    for y, words in re.findall(r'<text [^>]*\by="([\d.]+)"[^>]*>(.*?)</text>', picture):
        rows[y] = rows.get(y, "") + html.unescape(words).replace("\xa0", " ")
    return [_ANOTHER_EACH_TIME.sub("…", row) for row in rows.values()]


if __name__ == "__main__":
    PICTURE.write_text(drawn(), "utf-8")
