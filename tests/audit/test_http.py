"""`veritls audit HOST:PORT --http PATH`: servers that refuse a certificate in their HTTP answer."""

from __future__ import annotations

import http.server
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import veritls
from tests.audit.support import (
    INVALID,
    LATER,
    Files,
    as_json,
    audit,
    needs,
    server_context,
    with_verdict as having,
)
from tests.operate.serving_ways import hypercorn, served, telling, uvicorn
from tests.peers.nginx import CONFIGURATION
from tests.peers.peer import listening
from veritls.cli.auditing.server import Server as Audited
from veritls.cli.target import Target
from veritls.serving import ANY_PEER, RequirePeer


@contextmanager
def nginx(demand: str, audited: Files, folder: Path) -> Iterator[str]:
    needs("nginx")

    def arguments(port: int) -> list[str | Path]:
        values = {"folder": folder, "port": port, "own": audited.server, "ca": audited.ca}
        text = CONFIGURATION.format(**values, version="TLSv1.2 TLSv1.3", demand=demand)
        (folder / "nginx.conf").write_text(text)
        return ["nginx", "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]

    with listening(arguments, "event method") as (_, port):
        yield f"127.0.0.1:{port}"


class TestNginx:
    def test_on_refuses_by_http_what_tls_let_in(self, audited: Files, tmp_path: Path) -> None:
        with nginx("on", audited, tmp_path) as server:
            code, result = as_json(server, *audited.keys, "--require", "--http", "/")
            assert code == 0, result["sentences"]
            assert having(result, "as it must") == {"valid", "none", *INVALID}
            [none] = [each["got"] for each in result["peers"] if each["peer"] == "none"]
            assert {(got["outcome"], got["evidence"], got["http"]) for got in none.values()} == {
                ("refused", "HTTP 400", 400)
            }
            code, result = as_json(server, *audited.keys, "--require")
            out = audit(server, *audited.keys, "--require")[1]
        assert (code, having(result, "open in TLS")) == (2, {"none", *INVALID})
        assert "--http /" in result["sentences"][0]
        assert "fails open" not in out.lower() and "nothing" not in out

    def test_optional_lets_in_no_invalid_one(self, audited: Files, tmp_path: Path) -> None:
        with nginx("optional", audited, tmp_path) as server:
            code, result = as_json(server, *audited.keys, "--optional", "--http", "/")
            assert code == 0, result["sentences"]
            assert having(result, "as it must") == {"valid", "none", *INVALID}
            code, result = as_json(server, *audited.keys, "--require", "--http", "/")
        assert (code, having(result, "fails open")) == (1, {"none"})

    def test_optional_no_ca_lets_in_certificates_of_any_ca(self, audited: Files, tmp_path: Path) -> None:
        with nginx("optional_no_ca", audited, tmp_path) as server:
            code, result = as_json(server, *audited.keys, "--http", "/")
            assert (code, having(result, "fails open")) == (1, {"other-ca", "self-signed"}), result["peers"]
            code, result = as_json(server, *audited.keys)
        assert (code, having(result, "open in TLS")) == (2, {*INVALID})

    def test_off_fails_open_whether_it_is_asked_or_not(self, audited: Files, tmp_path: Path) -> None:
        with nginx("off", audited, tmp_path) as server:
            for option in ([], ["--http", "/"]):
                code, result = as_json(server, *audited.keys, "--require", *option)
                assert (code, having(result, "fails open")) == (1, {"none", *INVALID})


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def python_server(context: ssl.SSLContext, answer: Answer) -> Iterator[str]:
    """`http.server` on a context of ours, or of `ssl`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)


def by_certificate(handler: http.server.BaseHTTPRequestHandler) -> None:
    """What an application does that requires a verified certificate under CERT_OPTIONAL."""
    handler.send_response(200 if handler.connection.getpeercert() else 403)
    handler.end_headers()


def everybody(status: int) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.end_headers()

    return answer


@pytest.mark.parametrize("module", [veritls, ssl])
def test_an_application_that_answers_403_without_a_certificate_requires_one(
    module: Any, audited: Files
) -> None:
    with python_server(server_context(audited, ssl.CERT_OPTIONAL, module), by_certificate) as server:
        code, result = as_json(server, *audited.keys, "--require", "--http", "/admin")
        assert code == 0, result["sentences"]
        assert having(result, "as it must") == {"valid", "none", *INVALID}
        # It announces no HTTP, so that TLS is all there is.
        code, result = as_json(server, *audited.keys, "--require")
    assert (code, having(result, "fails open")) == (1, {"none"})
    assert any("--http / tells" in each for each in result["sentences"])


@pytest.mark.parametrize("make", [uvicorn("h11"), hypercorn], ids=["uvicorn", "hypercorn"])
def test_a_path_that_require_peer_keeps_for_one_name_is_for_no_other(make: Any, audited: Files) -> None:
    rules: Any = {"/admin": [veritls.DNSPattern("*.admin.internal")], "/peers": ANY_PEER}
    context = server_context(audited, ssl.CERT_OPTIONAL)
    with served(make, RequirePeer(telling, rules), context) as port:
        given = [f"127.0.0.1:{port}", *audited.keys, "--require", "--allow", "DNS:*.admin.internal"]
        code, result = as_json(*given, "--http", "/admin")
        assert code == 0, result["sentences"]
        assert having(result, "as it must") == {"valid", "none", "other-name", *INVALID}
        code, result = as_json(*given, "--http", "/peers")
        assert (code, having(result, "fails open")) == (1, {"other-name"})


def test_an_application_that_refuses_everybody_proves_nothing(audited: Files) -> None:
    with python_server(server_context(audited, ssl.CERT_OPTIONAL), everybody(403)) as server:
        code, result = as_json(server, *audited.keys, "--require", "--http", "/")
    assert (code, having(result, "refuses too much")) == (2, {"valid"})
    assert having(result, "proves nothing") == {"none", *INVALID}


def test_an_application_that_answers_everybody_fails_open(audited: Files) -> None:
    for status in (200, 404):
        with python_server(server_context(audited, ssl.CERT_OPTIONAL), everybody(status)) as server:
            code, result = as_json(server, *audited.keys, "--require", "--http", "/")
        assert (code, having(result, "fails open")) == (1, {"none"})


def after_the_handshake(handler: http.server.BaseHTTPRequestHandler) -> None:
    """What Apache does for one folder: with TLS 1.3, it asks once the path is known."""
    tls = handler.connection
    try:
        if handler.path == "/secure" and not tls.getpeercert():
            tls.verify_client_post_handshake()
    except ssl.SSLError:
        status = 403
    else:
        status = 200
    handler.send_response(status)
    handler.end_headers()


def test_a_server_that_asks_after_the_handshake_is_never_passed(audited: Files) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED, ssl)
    context.post_handshake_auth = True
    with python_server(context, after_the_handshake) as server:
        code, result = as_json(server, *audited.keys, "--require", "--http", "/secure")
        assert (code, result["status"]) == (2, "inconclusive")
        assert any(each.startswith(LATER.format("TLS 1.3")) for each in result["sentences"])
        got = {each["peer"]: each["got"] for each in result["peers"]}
        assert {each["TLSv1.3"]["evidence"] for each in got.values()} == {"HTTP 403"}
        code, result = as_json(server, *audited.keys, "--require", "--http", "/")
        assert (code, result["status"]) == (1, "fails open")
    got = {each["peer"]: each["got"] for each in result["peers"]}
    assert {each["TLSv1.3"]["evidence"] for each in got.values()} == {"HTTP 200, not asked"}


ANSWERS = {
    "ssh": (b"SSH-2.0-OpenSSH_9.9\r\n", "its answer is not HTTP"),
    "a long line": (b"HTTP/1.1 200 " + b"a" * 100_000, "its answer is not HTTP"),
    "many headers": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "its answer is not HTTP"),
    "a number": (b"HTTP/1.1 \xb2\xb0\xb0 OK\r\n\r\n", "its answer is not HTTP"),
    "nothing": (b"", "closed, without an answer"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_not_http_is_never_passed(kind: str, audited: Files) -> None:
    data, words = ANSWERS[kind]

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(data)

    with python_server(server_context(audited, ssl.CERT_OPTIONAL), answer) as server:
        code, result = as_json(server, *audited.keys, "--require", "--http", "/")
    assert code == 2
    [valid] = [each["got"] for each in result["peers"] if each["peer"] == "valid"]
    assert {(got["verdict"], got["evidence"]) for got in valid.values()} == {("unknown", words)}


def test_a_server_that_never_ends_its_answer_is_given_up(audited: Files) -> None:
    def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
        while True:
            handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    with python_server(server_context(audited, ssl.CERT_OPTIONAL), endless) as server:
        target = Target("127.0.0.1", int(server.rpartition(":")[2]))
        tried = Audited(target, "localhost", timeout=0.2, path="/")
        [outcome] = tried.try_all([(None, ssl.TLSVersion.TLSv1_2)])
    assert outcome.what == "unknown"


@pytest.mark.parametrize("path", ["", "index", "/a b", "/\r\nX: y", "/\x1b[1m", "/é", "/" + "a" * 3000])
def test_what_is_no_path_is_status_2(path: str) -> None:
    code, out, err = audit("127.0.0.1:1", "--http", path)
    assert (code, out) == (2, "")
    assert err.startswith("veritls audit: --http") and err.rstrip("\n").isprintable()


def test_a_context_and_starttls_have_no_http(audited: Files) -> None:
    assert "--http is for HOST:PORT" in audit("veritls:create_default_context", "--http", "/")[2]
    assert "exclude each other" in audit("127.0.0.1:1", "--http", "/", "--starttls", "smtp")[2]
