"""`veritls check` and whoever runs the server that is checked: no status is better than the truth."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from rich.console import Console
from tlslite.constants import AlertLevel, ContentType
from tlslite.messages import Message

import veritls
from tests.check_servers import says, serving
from tests.hostile_peers.server import Server
from tests.hostile_peers.wire import TLS12, TLS13, Version
from tests.support.certificates import Party, new_key
from tests.support.connections import SECONDS
from tests.test_check import as_json
from veritls.cli.check import check_all
from veritls.cli.probe import Probe
from veritls.cli.result import Result
from veritls.cli.target import Target

CA = Party("A CA", ca=True)
VICTIM = CA.issue("localhost")
"""Anybody can have seen this certificate; the attacker does not hold its key."""
REFUSED = 40
Script = Callable[[Server], None]


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    path = tmp_path_factory.mktemp("attackers") / "ca.pem"
    path.write_bytes(CA.pem)
    return ["--ca", path, "--name", "localhost", "--timeout", 3]


def by_hand(version: Version, *scripts: Script) -> Callable[[socket.socket], None]:
    """What a server does that follows the script, then sends an alert and closes."""

    def dialogue(raw: socket.socket) -> None:
        server = Server(raw, version)
        server.hello()
        for each in scripts:
            each(server)
        server.wire.end_record()
        alert = Message(ContentType.alert, bytearray([AlertLevel.fatal, REFUSED]))
        server.wire._records.queueMessageBlocking(alert)
        server.wire.send()
        server.wire.answer()
        raise ConnectionError("done")

    return dialogue


def veritls_check(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veritls", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def asks(server: Server) -> None:
    server.request()


def shows(server: Server) -> None:
    server.certificate(VICTIM.der)


def proves_falsely(server: Server) -> None:
    server.prove(new_key())


def with_text_that_moves_the_cursor() -> Party:
    """Its name is longer than X.520 allows, and an attack on a terminal."""
    value = "\x1b[2J[red]\u202e\r\n" + "y" * 5000
    with warnings.catch_warnings(action="ignore"):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, value, _validate=False)])
        return Party(name, CA)


@pytest.mark.parametrize("date", [[], ["--at", "+1d"]])
@pytest.mark.parametrize(
    ("version", "scripts"),
    [
        pytest.param(TLS13, [asks], id="1.3-asks"),
        pytest.param(TLS13, [asks, shows], id="1.3-asks-shows"),
        pytest.param(TLS12, [shows, proves_falsely, asks], id="1.2-shows-asks"),
    ],
)
def test_a_server_that_asks_for_a_certificate_and_ends_before_it_proved_its_own_is_no_connection(
    version: Version, scripts: list[Script], date: list[str], trust: list[object]
) -> None:
    with serving(None, by_hand(version, *scripts)) as server:
        [result] = as_json(server, *trust, *date)
    assert (result["status"], result["report"], result["client_certificate"]) == ("no connection", None, None)
    assert result["problem"] == "the server ended the handshake (alert handshake failure)"


@pytest.mark.parametrize("date", [[], ["--at", "+1d"]])
def test_a_server_that_shows_anothers_certificate_and_asks_for_ours_is_not_trusted(
    date: list[str], trust: list[object]
) -> None:
    with serving(None, by_hand(TLS13, asks, shows, proves_falsely)) as server:
        [result] = as_json(server, *trust, *date)
    assert (result["status"], result["report"]) == ("no connection", None)
    assert "did not prove that it holds the key" in result["problem"]


def test_a_certificate_with_a_name_that_is_too_long_is_shown_escaped_and_without_a_warning(
    trust: list[object], tmp_path: Path
) -> None:
    odd = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    odd.load_cert_chain(with_text_that_moves_the_cursor().file(tmp_path))
    with serving(odd) as server:
        done = veritls_check(server, *trust)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert r"\x1b[2J[red]\u202e" in done.stdout


def test_what_ends_a_dialogue_is_said_in_words(trust: list[object]) -> None:
    for says_what, words in ((b"", "it closed the connection"), (b"\xff\xfe\r\n", "what it sent is no text")):
        with serving(None, says(says_what)) as server:
            [result] = as_json(server, *trust, "--starttls", "ftp")
        assert words in result["problem"]


def endless(greeting: bytes, line: bytes) -> Callable[[socket.socket], None]:
    """What a server does whose answer has no end, until the client is gone."""

    def dialogue(raw: socket.socket) -> None:
        raw.sendall(greeting)
        while True:
            raw.sendall(line * 100)

    return dialogue


@pytest.mark.parametrize(
    ("protocol", "greeting", "line"),
    [
        ("smtp", b"", b"220-x\r\n"),
        ("imap", b"* OK ready\r\n", b"* X y\r\n"),
        ("pop3", b"+OK ready\r\n+OK\r\n", b"x\r\n"),
        ("ftp", b"220-x\r\n", b"220-x\r\n"),
    ],
)
def test_an_answer_without_an_end_is_not_kept(
    protocol: str, greeting: bytes, line: bytes, trust: list[object]
) -> None:
    with serving(None, endless(greeting, line)) as server:
        [result] = as_json(server, *trust, "--starttls", protocol)
    assert result["status"] == "no connection"
    assert "the server says more than 64 KiB before TLS begins" in result["problem"]


WITH_CTRL_C = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from veritls.cli import main
main()
"""
"""A shell has what it starts in the background ignore SIGINT, and the tests may be such a program."""


def test_ctrl_c_waits_for_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(SECONDS)
        port = silent.getsockname()[1]
        servers = [f"127.0.0.{number}:{port}" for number in range(1, 4)]
        command = [sys.executable, "-c", WITH_CTRL_C, "check", *servers, "--timeout", "600", "--jobs", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            connection, _ = silent.accept()
            try:
                running.send_signal(signal.SIGINT)
                out, error = running.communicate(timeout=SECONDS)
            finally:
                running.kill()
                connection.close()
    assert (running.returncode, out) == (130, "")
    assert "Traceback" not in error


class InterruptedAfterOne(list[Any]):
    """Ctrl-C comes while the first is worked on, and before the others are handed out."""

    def __init__(self, first: Any, started: threading.Event) -> None:
        super().__init__([first, first])
        self.started = started

    def __iter__(self) -> Iterator[Any]:
        yield self[0]
        assert self.started.wait(SECONDS)
        raise KeyboardInterrupt


def test_ctrl_c_while_servers_are_handed_out_waits_for_none_of_them() -> None:
    started, stopped = threading.Event(), threading.Event()

    class Probing:
        def __call__(self, target: Target) -> Result:
            started.set()
            stopped.wait(SECONDS)
            return Result(target, problem="stopped" if stopped.is_set() else "waited for")

        stop = stopped.set

    servers = InterruptedAfterOne(Target("127.0.0.1", 1), started)
    with pytest.raises(KeyboardInterrupt):
        check_all(servers, cast(Probe, Probing()), 1, Console(file=io.StringIO()))
    assert stopped.is_set(), "the first server was waited for"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("form", ["--json", "--timeout=1"])
@pytest.mark.parametrize("buffered", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
def test_output_that_cannot_be_written_is_no_traceback(form: str, buffered: dict[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | buffered
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "veritls", "check", "127.0.0.1:1", form]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=environment
        )
    assert (done.returncode, done.stderr) == (2, "veritls: No space left on device\n")
