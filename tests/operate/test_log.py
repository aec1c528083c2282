"""The logger veritls.handshake: a refusal is a line, without configuration. What a peer chose forges none."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.operate.ways import KNOW_ADDRESSES, SEND_ALERTS, Heard, ask, mutual, serving, ways
from tests.support.certificates import Party, common_name
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context
from veritls._connection import log
from veritls._report import limiter as limits
from veritls.events import HandshakeEvent, PeerIdentity

LOGGER = "veritls.handshake"


@pytest.fixture(autouse=True)
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_limiter", limits.Limiter())


class Lines(logging.Handler):
    """Keeps the lines at `level` and above."""

    def __init__(self, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self.heard = Heard()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.heard(record.handshake)  # type: ignore[attr-defined]

    def __enter__(self) -> Lines:
        logging.getLogger(LOGGER).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(LOGGER).removeHandler(self)

    def of(self, side: str) -> list[str]:
        return [
            record.getMessage()
            for record in self.records
            if record.handshake.side == side  # type: ignore[attr-defined]
        ]


def tried(port: int, client: Any) -> None:
    try:
        answer = ask("sockets", port, client)
    except OSError:
        return
    assert answer == b"", "the client was not refused"  # asyncio's own TLS drops the alert


@ways
@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("stranger", "is missing: it is not in the trust set"),
        ("expired", "expired"),
        (None, "peer did not return a certificate"),
    ],
)
def test_a_client_that_is_refused_is_one_line_at_warning(
    files: Files, way: str, own: str | None, words: str
) -> None:
    server, client = mutual(files, own)
    with Lines() as lines, serving(way, server) as port:
        tried(port, client)
        lines.heard.wait(2 if way in SEND_ALERTS else 1)
    (line,) = lines.of("server")
    assert line.startswith("refused the client ") and words in line
    assert (" 127.0.0.1:" in line) == (way in KNOW_ADDRESSES)
    for theirs in lines.of("client"):
        assert theirs.startswith("refused, after the handshake, by the server localhost at 127.0.0.1:")
    assert {record.levelname for record in lines.records} == {"WARNING"}
    assert {record.name for record in lines.records} == {LOGGER}


@ways
def test_a_server_that_is_refused_is_one_line_on_either_side(files: Files, way: str) -> None:
    server, client = server_context(files.stranger), client_context(files.ca)
    with Lines() as lines, serving(way, server) as port:
        tried(port, client)
        lines.heard.wait(2)
    (line,) = lines.of("client")
    assert line.startswith("refused the server localhost at 127.0.0.1:")
    (theirs,) = lines.of("server")
    assert theirs.startswith("refused by the client ") and "alert unknown_ca (48)" in theirs


@pytest.mark.parametrize("way", ["sockets", "memory", "veritls", "veritls-uvloop"])
def test_probes_and_completed_handshakes_are_lines_at_debug_only(
    files: Files, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    for level, expected in ((logging.DEBUG, {"completed", "probe"}), (logging.INFO, set())):
        with caplog.at_level(level, LOGGER), Lines(logging.DEBUG) as lines, serving(way, server) as port:
            assert ask("sockets", port, client) == b"x"
            for data in (b"", b"GET / HTTP/1.0\r\n\r\n", os.urandom(20).replace(b"\x16", b"x")):
                with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw:
                    raw.sendall(data)
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(100):
                        pass
            if expected:
                lines.heard.wait(5)
        assert set(lines.heard.outcomes()) == expected
        assert {record.levelname for record in lines.records} <= {"DEBUG"}
        lines.records.clear()


def test_a_listener_does_not_make_lines(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()
    client.on_handshake(heard)
    with Lines(logging.DEBUG) as lines, serving("sockets", server) as port:
        ask("sockets", port, client)
    assert heard.one().outcome == "completed"
    assert lines.records == []


EVIL = [
    "evil\nWARNING:root:all is well",
    "evil\r\x1b[2J\x1b]0;title\x07",
    "evil\u202egnp.exe\u2066\u200b\ufeff",
    "evil\u2028\u2029\x85line",
    "\x00evil%s%n%(levelname)s{0}",
    "evil" + "A" * 5000,
]


@pytest.mark.parametrize("name", EVIL)
def test_what_a_peer_chose_forges_no_line(files: Files, name: str) -> None:
    """A client that signs its own certificate chooses every byte of it."""
    client_party = Party(
        common_name(name) if len(name) < 65 else common_name("evil" + "A" * 60),
        names=[name[:60].encode("ascii", "ignore").decode()],
    )
    server, client = mutual(files, None)
    client.load_cert_chain(client_party.pem + client_party.key_pem)
    with Lines() as lines, serving("veritls", server) as port:
        tried(port, client)
        lines.heard.wait(2)
    (line,) = lines.of("server")
    assert line.isprintable(), ascii(line)
    assert len(line) < 900
    assert "evil" in line


@pytest.mark.parametrize("name", EVIL)
def test_every_text_of_an_event_is_escaped_and_shortened_in_a_line(name: str) -> None:
    event = HandshakeEvent(
        side="server",
        outcome="completed",
        kind=None,
        sentence=None,
        peer_address=name,
        server_name=name,
        version="TLSv1.3",
        suite=None,
        group=None,
        resumed=False,
        duration=None,
        peer_identity=PeerIdentity(name, ()),
        generation=0,
        time=0.0,
    )
    line = log.line(event)
    assert line.isprintable() and len(line) < 600


def test_lines_of_one_kind_are_held_back_by_rate_and_counted() -> None:
    now = 100.0
    limiter = limits.Limiter(lambda: now)
    key = ("server", "refused", "expired")
    assert [limiter.admit(key) for _ in range(limits.BURST)] == [0] * limits.BURST
    assert [limiter.admit(key) for _ in range(50)] == [None] * 50
    assert limiter.admit(("server", "refused", "unknown_issuer")) == 0
    now += limits.EVERY
    assert limiter.admit(key) == 50
    assert limiter.admit(key) is None
    now -= 1000.0  # a clock that goes back
    assert limiter.admit(key) is None
    now += 1_000_000.0
    assert limiter.admit(key) == 2
    assert [limiter.admit(key) for _ in range(limits.BURST)] == [0] * (limits.BURST - 1) + [None]


def test_the_table_of_kinds_is_bounded() -> None:
    limiter = limits.Limiter(lambda: 1.0)
    for number in range(10 * limits.MOST_KINDS):
        limiter.admit(("server", "refused", str(number)))
    assert len(limiter) <= limits.MOST_KINDS + 1
    assert limiter.admit(("server", "refused", "new")) is None
    assert limiter.admit(("server", "refused", "0")) == 0


def test_the_next_line_says_how_many_were_held_back(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(log, "_limiter", limits.Limiter(lambda: now))
    server, client = mutual(files, "stranger")
    refused = Heard()
    server.on_handshake(refused)
    with Lines() as lines, serving("veritls", server) as port:
        for _ in range(limits.BURST + 7):
            tried(port, client)
        refused.wait(limits.BURST + 7)
        assert len(lines.of("server")) == limits.BURST
        now += limits.EVERY
        tried(port, client)
        refused.wait(limits.BURST + 8)
    assert lines.of("server")[-1].endswith("(7 more of this kind were not logged)")


def test_a_handler_that_makes_tls_connections_does_not_log_itself(files: Files) -> None:
    class Sends(Lines):
        def emit(self, record: logging.LogRecord) -> None:
            super().emit(record)
            tried(port, client_context(files.server.with_name("ca.pem")))

    server = server_context(files.stranger)
    with Sends() as lines, serving("sockets", server) as port:
        tried(port, client_context(files.ca))
        lines.heard.wait(1)
    assert len(lines.of("client")) == 1


def test_a_handler_that_raises_hurts_no_connection(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ValueError("from the handler")

    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: found.append(args.exc_value))
    server, client = server_context(files.server), client_context(files.ca)
    handler, heard = Raises(), Heard()
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with client.on_handshake(heard), serving("veritls", server) as port:
            assert ask("sockets", port, client) == b"x"
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert heard.one().outcome == "completed"
    assert {type(each) for each in found} == {ValueError}


CLIENT = """
import socket, sys, ssl
import veritls
context = veritls.create_default_context(cafile=sys.argv[1])
with socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=60) as raw:
    try:
        context.wrap_socket(raw, server_hostname="localhost")
    except ssl.SSLCertVerificationError:
        pass
"""


def test_a_program_that_configures_no_logging_gets_the_line_on_stderr(files: Files, tmp_path: Path) -> None:
    with serving("sockets", server_context(files.stranger)) as port:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, str(files.ca), str(port)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"refused the server localhost at 127.0.0.1:{port}: ")
    assert done.stderr.count("\n") == 1


def test_a_handshake_in_a_forked_child_is_logged_whatever_threads_hold(files: Files) -> None:
    server, client = mutual(files, None)
    with log._limiter._lock:  # as another thread could
        child = os.fork()
        if not child:
            lines = Lines()
            with lines:
                ours, theirs = raw_pair()
                asking = in_thread(client.wrap_socket, theirs, server_hostname="localhost")
                try:
                    server.wrap_socket(ours, server_side=True)
                except ssl.SSLError:
                    asking.exception(SECONDS)
                    os._exit(len(lines.of("server")))
                os._exit(99)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1


def test_the_command_line_says_it_itself(files: Files) -> None:
    library("typer")
    with serving("sockets", server_context(files.stranger)) as port:
        done = subprocess.run(
            [sys.executable, "-m", "veritls", "check", f"localhost:{port}", "--ca", str(files.ca)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert "refused the server" not in done.stderr + done.stdout
    assert "not in the trust set" in done.stdout + done.stderr
