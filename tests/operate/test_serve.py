"""`veritls serve`: an application over TLS whose files are renewed, and whose clients are seen or refused."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ecosystem.parties import library
from tests.operate.callers import ADMIN, WEB, Callers, uri
from tests.operate.server_processes import START_SECONDS, answer, asked_in_plain
from tests.operate.serving_ways import connected, get, is_refused, websocket_status
from tests.support.certificates import Party, pem
from tests.support.connections import SECONDS

APP = """
import json
from veritls.serving import Peer

async def app(scope, receive, send):
    assert scope["type"] != "lifespan"
    peer = Peer.of(scope)
    body = json.dumps({"spiffe": peer.spiffe_id if peer else None}).encode()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body.decode()})
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Callers:
    return Callers(tmp_path_factory.mktemp("callers"))


@pytest.fixture
def folder(tmp_path: Path, callers: Callers) -> Path:
    library("uvicorn")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "server.pem").write_bytes(callers.cert.read_bytes())
    (tmp_path / "ca.pem").write_bytes(callers.ca.read_bytes())
    return tmp_path


class Serving:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()
        self.port = int(self.wait_for(r"on https://127\.0\.0\.1:(\d+); ")[1])
        self.wait_for("Started server process")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, words: str) -> re.Match[str]:
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or re.search(words, "".join(self._lines)), START_SECONDS
            )
            found = re.search(words, "".join(self._lines))
            assert found, "".join(self._lines)
            return found


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "veritls", "serve", *arguments]


@contextmanager
def serving(folder: Path, *arguments: str, end: signal.Signals = signal.SIGINT) -> Iterator[Serving]:
    process = subprocess.Popen(
        command("app:app", "--port", "0", "--cert", "server.pem", *arguments),
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "300"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Serving(process)
        process.send_signal(end)
        assert process.wait(START_SECONDS) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(SECONDS)
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("http", ["auto", "h11", "httptools"])
def test_the_application_sees_the_client(folder: Path, callers: Callers, http: str) -> None:
    with serving(folder, "--trust", "ca.pem", "--optional", "--http", http) as server:
        for own, spiffe in ((callers.web, WEB), (callers.admin, ADMIN), (None, None)):
            status, body = get(server.port, callers.client(own))
            assert (status, json.loads(body)["spiffe"]) == (200, spiffe)
        status, body = websocket_status(server.port, callers.client(callers.web))
        assert (status, json.loads(body)["spiffe"]) == (101, WEB)
        assert not answer(asked_in_plain(server.port)).startswith(b"HTTP/")


def test_a_client_without_a_certificate_is_refused_and_logged(folder: Path, callers: Callers) -> None:
    with serving(folder, "--trust", "ca.pem", "--require") as server:
        assert get(server.port, callers.client(callers.web))[0] == 200
        assert is_refused(lambda: get(server.port, callers.client()))
        server.wait_for(r"WARNING +veritls.handshake: refused the client 127\.0\.0\.1:\d+.*: .*certificate")


def test_a_client_that_a_crl_revokes_is_refused_and_so_is_one_that_no_crl_covers(
    folder: Path, callers: Callers
) -> None:
    banned = callers.root.issue(uri(WEB))
    (folder / "crl.pem").write_bytes(pem(callers.root.crl(banned)))
    with serving(folder, "--trust", "ca.pem", "--require", "--crls", "crl.pem") as server:
        assert get(server.port, callers.client(callers.web))[0] == 200
        assert is_refused(lambda: get(server.port, callers.client(banned.file(folder))))
        server.wait_for(r"refused the client 127\.0\.0\.1:\d+.* was revoked ")
    (folder / "crl.pem").write_bytes(pem(Party("Another CA", ca=True).crl()))
    with serving(folder, "--trust", "ca.pem", "--optional", "--crls", "crl.pem") as server:
        assert is_refused(lambda: get(server.port, callers.client(callers.web)))


def test_a_renewed_certificate_is_used_while_it_runs(folder: Path, callers: Callers) -> None:
    renewed = callers.root.issue("localhost")

    def shown(port: int) -> bytes | None:
        with connected(port, callers.client()) as tls:
            der: bytes | None = tls.getpeercert(True)
            return der

    with serving(folder) as server:
        assert shown(server.port) != renewed.der
        (folder / "next.pem").write_bytes(renewed.identity())
        (folder / "next.pem").rename(folder / "server.pem")
        server.wait_for("INFO +veritls.material: took over a new set")
        assert shown(server.port) == renewed.der


def test_trust_that_was_taken_away_refuses(folder: Path, callers: Callers) -> None:
    other = Callers(folder)
    with serving(folder, "--trust", "ca.pem", "--require") as server:
        assert get(server.port, callers.client(callers.web))[0] == 200
        (folder / "next.pem").write_bytes(other.root.pem)
        (folder / "next.pem").rename(folder / "ca.pem")
        server.wait_for("INFO +veritls.material: took over a new set")
        assert is_refused(lambda: get(server.port, callers.client(callers.web)))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_exits_with_0_when_it_is_told_to_end(folder: Path, callers: Callers, end: signal.Signals) -> None:
    with serving(folder, end=end) as server:
        assert get(server.port, callers.client(None))[0] == 200


def test_an_application_that_does_not_start_is_exit_code_2(folder: Path) -> None:
    (folder / "down.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    done = subprocess.run(
        command("down:app", "--cert", "server.pem", "--port", "0"),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    assert done.returncode == 2
    assert "no database" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("veritls serve: the application did not start")


WRONG = [
    (["app:app", "--cert", "nowhere.pem"], "--cert nowhere.pem: there is no such file"),
    (["app:app", "--cert", "app.py"], "app.py"),
    (["app:app", "--cert", "ca.pem"], "key"),
    (["app:app", "--cert", "server.pem", "--trust", "nowhere.pem", "--require"], "--trust nowhere.pem"),
    (["app:app", "--cert", "server.pem", "--require"], "need --trust"),
    (["app:app", "--cert", "server.pem", "--optional"], "need --trust"),
    (["app:app", "--cert", "server.pem", "--trust", "ca.pem"], "--trust needs --require or --optional"),
    (
        ["app:app", "--cert", "server.pem", "--trust", "ca.pem", "--require", "--optional"],
        "exclude each other",
    ),
    (["app:app", "--cert", "server.pem", "--crls", "crl.pem"], "--crls needs --trust"),
    (["app:app", "--cert", "."], "--cert .: cannot be used: not a regular file"),
    (["app", "--cert", "server.pem"], "give one as module:name"),
    ([":app", "--cert", "server.pem"], "give one as module:name"),
    (["nowhere:app", "--cert", "server.pem"], 'Could not import module "nowhere"'),
    (["app:nothing", "--cert", "server.pem"], 'Attribute "nothing" not found'),
    (["app:app", "--cert", "server.pem", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1, port 8443"),
    (["app:app", "--cert", "server.pem", "--host", ""], "--host is empty"),
    (["app:app", "--cert", "server.pem", "--host", "::1::"], "cannot listen on ::1::, port 8443: "),
    (["app:json", "--cert", "server.pem"], "app:json is no application"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(each) for each, _ in WRONG])
def test_what_cannot_be_used_is_one_sentence_and_exit_code_2(
    folder: Path, arguments: list[str], words: str
) -> None:
    done = subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=START_SECONDS
    )
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("veritls serve: ") and words in line and "Traceback" not in line
    assert "Unknown error" not in line and "[" not in line


def test_a_port_that_is_taken_is_one_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            command("app:app", "--cert", "server.pem", "--port", port),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
    assert done.returncode == 2
    assert done.stderr.strip().endswith(f"cannot listen on 127.0.0.1, port {port}: Address already in use")


def test_it_needs_uvicorn_and_says_so(folder: Path) -> None:
    (folder / "uvicorn.py").write_text("raise ImportError('no uvicorn')")
    done = subprocess.run(
        command("app:app", "--cert", "server.pem"), cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "pip install 'veritls[serve]'" in done.stderr


def test_a_client_of_the_interpreters_own_ssl_is_seen(folder: Path, callers: Callers) -> None:
    with serving(folder, "--trust", "ca.pem", "--require") as server:
        context = callers.client(callers.web, ssl)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert json.loads(get(server.port, context)[1])["spiffe"] == WEB
