"""How the result of an audit looks, on a terminal of 80 columns and in a pipe."""

from __future__ import annotations

import io
import ssl

import pytest
from rich.console import Console

from tests.audit.support import INVALID, Files, audit, server_context
from tests.check_servers import serving
from veritls.cli.auditing.preparing import Options, audited as audit_of
from veritls.cli.auditing.table import show


@pytest.fixture
def terminal() -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=80, highlight=False
    )


def shown(mode: ssl.VerifyMode, audited: Files, console: Console, **options: object) -> str:
    with serving(server_context(audited, mode)) as server:
        options = {"mode": ssl.CERT_REQUIRED, "ca": audited.ca, "ca_key": audited.key, **options}
        show(audit_of(Options(str(server), **options)), console)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_fails_open_is_red(audited: Files, terminal: Console) -> None:
    out = shown(ssl.CERT_OPTIONAL, audited, terminal)
    row = next(line for line in out.splitlines() if "no certificate" in line)
    assert "\x1b[1;31mFAILS OPEN" in row
    assert "\x1b[1;31mfails open" in out.splitlines()[0]
    assert out.count("FAILS OPEN") == 1


def test_a_server_that_does_what_it_must_takes_a_line_for_each_peer_of_80_columns(audited: Files) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80, highlight=False)
    out = shown(ssl.CERT_REQUIRED, audited, console)
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    # "no certificate" has one for each version.
    table = lines[4 : lines.index(" " * len(lines[1]), 4)]
    assert len(table) == 1 + len(INVALID) + 2, table


def test_a_pipe_gets_one_line_for_each_peer_and_no_colours(audited: Files) -> None:
    with serving(server_context(audited, ssl.CERT_REQUIRED)) as server:
        out = audit(server, *audited.keys, "--require", columns=40)[1]
    assert "\x1b" not in out
    rows = [line for line in out.splitlines() if " refused " in line or " accepted " in line]
    assert len(rows) == 2 + len(INVALID)
    [none] = [row for row in rows if "no certificate" in row]
    assert "1.3 refused: certificate required, 1.2 refused: handshake failure" in none
