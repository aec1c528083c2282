"""No server falls back to plain text: not where its context cannot be made, not without certificate files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.operate.callers import WEB, Callers
from tests.operate.server_processes import (
    READY,
    SERVERS,
    START_SECONDS,
    answer,
    asked_in_plain,
    refused,
    running,
)
from tests.operate.serving_ways import get

servers = pytest.mark.parametrize("kind", SERVERS)


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Callers:
    return Callers(tmp_path_factory.mktemp("callers"))


def ready(kind: str) -> str:
    return READY[kind.partition("-")[0]].pattern


FAULTS = {
    "raises": 'raise RuntimeError("the secret is not there")',
    "no file": "veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER).load_cert_chain('/nowhere.pem')",
    "none": "return None",
    "ssl": "return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)",
    "of a client": "return veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)",
    "no version": "it = context(); it.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3; return it",
}


@servers
@pytest.mark.parametrize("fault", FAULTS)
def test_a_context_that_cannot_be_made_ends_the_server_and_nothing_answers(
    callers: Callers, tmp_path: Path, kind: str, fault: str
) -> None:
    with running(tmp_path, kind, callers.cert, callers.ca, FAULTS[fault]) as server:
        asked = [asked_in_plain(server.port) for _ in range(3)]
        assert server.process.wait(START_SECONDS) != 0, server.said()
        assert [answer(each) for each in asked] == [b"", b"", b""], server.said()
        assert refused(server.port)
        assert len(server.contexts_made()) <= 2, server.said()


@pytest.mark.parametrize("kind", ["gunicorn-sync", "gunicorn-gthread"])
def test_a_context_that_fails_later_leaves_connections_unanswered(
    callers: Callers, tmp_path: Path, kind: str
) -> None:
    """gunicorn answers with an error, and there is no TLS to answer in."""
    failing = "type('Failing', (veritls.SSLContext,), {'wrap_socket': lambda *given, **named: 1 / 0})"
    making = f"return {failing}(veritls.PROTOCOL_TLS_SERVER)"
    with running(tmp_path, kind, callers.cert, callers.ca, making) as server:
        server.wait_for(ready(kind))
        assert answer(asked_in_plain(server.port)) == b"", server.said()
        server.wait_for("Closed a connection unanswered.*division by zero")


@servers
def test_without_certificate_files_the_port_speaks_tls_and_nothing_else(
    callers: Callers, tmp_path: Path, kind: str
) -> None:
    """The context comes from a function, and no certificate option is set."""
    with running(tmp_path, kind, callers.cert, callers.ca) as server:
        server.wait_for(ready(kind))
        for _ in range(3):
            assert not re.match(rb"HTTP/", answer(asked_in_plain(server.port))), server.said()
        status, body = get(server.port, callers.client(callers.web))
        assert (status, json.loads(body)["spiffe"]) == (200, WEB), server.said()
        assert not re.match(rb"HTTP/", answer(asked_in_plain(server.port)))


@servers
def test_a_context_is_made_once_in_each_process_that_serves(
    callers: Callers, tmp_path: Path, kind: str
) -> None:
    workers = 2 if kind.startswith("gunicorn") else 1
    with running(tmp_path, kind, callers.cert, callers.ca, workers=workers) as server:
        server.wait_for(ready(kind), workers)
        for _ in range(10):
            assert get(server.port, callers.client(callers.web))[0] == 200
        made = server.contexts_made()
        assert len(made) == len(set(made)) <= workers
        if kind.startswith("gunicorn"):
            assert server.process.pid not in made, "before the fork"


@pytest.mark.parametrize("kind", [each for each in SERVERS if each.startswith("gunicorn")])
@pytest.mark.parametrize("certfile", ["", "certfile = None"])
def test_gunicorn_without_its_switch_for_tls_does_not_start(
    callers: Callers, tmp_path: Path, kind: str, certfile: str
) -> None:
    with running(tmp_path, kind, callers.cert, callers.ca, certfile=certfile) as server:
        asked = [asked_in_plain(server.port) for _ in range(3)]
        assert server.process.wait(START_SECONDS) != 0
        assert [answer(each) for each in asked] == [b"", b"", b""]
        assert refused(server.port)
        assert "set it to CERTFILE" in server.said()
