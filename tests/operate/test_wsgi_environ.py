"""WSGI applications get the client under the names of mod_ssl and nginx, and no header of such a name."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref import simple_server

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.operate.callers import WEB, Callers
from tests.operate.server_processes import READY, running
from tests.operate.serving_ways import get
from tests.support.certificates import Party
from tests.support.connections import SECONDS
from veritls.serving import Peer
from veritls.serving.peer import KEY
from veritls.serving.wsgi import SSLEnviron, WSGIRequestHandler, environ_of, strip


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Callers:
    return Callers(tmp_path_factory.mktemp("callers"))


def telling(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    shown = {key: value for key, value in environ.items() if isinstance(value, str)}
    peer = Peer.of(environ)
    body = json.dumps({"environ": shown, "spiffe": peer.spiffe_id if peer else None}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


@contextmanager
def wsgiref(context: Any, handler: Any = WSGIRequestHandler) -> Iterator[int]:
    class Quiet(handler):  # type: ignore[misc]
        def log_message(self, *_: Any) -> None: ...

    with simple_server.make_server("127.0.0.1", 0, telling, handler_class=Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(SECONDS)


@contextmanager
def served(kind: str, folder: Path, callers: Callers) -> Iterator[int]:
    if kind == "wsgiref":
        with wsgiref(callers.server()) as port:
            yield port
        return
    with running(folder, kind, callers.cert, callers.ca) as server:
        server.wait_for(READY["gunicorn"].pattern)
        yield server.port


KINDS = pytest.mark.parametrize("kind", ["gunicorn-sync", "gunicorn-gthread", "wsgiref"])

FORGED = {
    "SSL_CLIENT_VERIFY": "SUCCESS",
    "Ssl-Client-Verify": "SUCCESS",
    "SSL-CLIENT-S-DN": "CN=admin",
    "ssl-client_s-dn": "CN=admin",
    "SSL-Client-Cert": "forged",
    "SSL-CLIENT-SAN-URI-0": "forged",
    "X-SSL-Client-Verify": "SUCCESS",
    "X_SSL_CLIENT_CERT": "forged",
    "X-Client-Cert": "forged",
    "X-Client-Verify": "SUCCESS",
    "X-Client-DN": "CN=admin",
    "X-Client-CN": "forged",
    "X-Client-Issuer-DN": "CN=forged",
    "X-Forwarded-Client-Cert": "forged",
    "X-Forwarded-Tls-Client-Cert": "forged",
    "X-Forwarded-Ssl": "on",
    "X-TLS-Client-Cert": "forged",
    "X-Amzn-Mtls-Clientcert-Leaf": "forged",
    "X-Apache-SSL-Client-Verify": "SUCCESS",
    "X-Client-Verified": "forged",
    "X-Client-Subject": "forged",
    "X-Tls-Verify": "forged",
    "Client-Cert": "forged",
    "Client-Cert-Chain": "forged",
    "HTTPS": "off",
    "HTTP-SSL-CLIENT-VERIFY": "SUCCESS",
}


@KINDS
def test_the_environ_has_the_validated_client(callers: Callers, tmp_path: Path, kind: str) -> None:
    with served(kind, tmp_path, callers) as port:
        status, body = get(port, callers.client(callers.web))
        _, nobody = get(port, callers.client())
    seen = json.loads(body)
    environ = seen["environ"]
    leaf = x509.load_pem_x509_certificates(callers.web.read_bytes())[0]
    assert (status, seen["spiffe"]) == (200, WEB)
    assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert environ["SSL_CLIENT_S_DN"] == "CN=a peer" == leaf.subject.rfc4514_string()
    assert environ["SSL_CLIENT_S_DN_CN"] == "a peer"
    assert environ["SSL_CLIENT_I_DN"] == "CN=The CA"
    assert environ["SSL_CLIENT_SAN_URI_0"] == WEB
    assert x509.load_pem_x509_certificate(environ["SSL_CLIENT_CERT"].encode()) == leaf
    assert int(environ["SSL_CLIENT_M_SERIAL"], 16) == leaf.serial_number
    assert environ["SSL_CLIENT_CERT_CHAIN_0"] == callers.root.pem.decode()
    assert 28 <= int(environ["SSL_CLIENT_V_REMAIN"]) <= 30
    assert (environ["HTTPS"], environ["SSL_PROTOCOL"]) == ("on", "TLSv1.3")
    assert environ["SSL_CIPHER"].startswith("TLS_")
    assert environ["SSL_SERVER_SAN_DNS_0"] == "localhost"
    assert environ["wsgi.url_scheme"] == "https"
    nothing = json.loads(nobody)
    assert nothing["spiffe"] is None and nothing["environ"]["SSL_CLIENT_VERIFY"] == "NONE"
    assert {key for key in nothing["environ"] if key.startswith("SSL_CLIENT")} == {"SSL_CLIENT_VERIFY"}


@KINDS
def test_no_header_of_those_names_reaches_the_application(
    callers: Callers, tmp_path: Path, kind: str
) -> None:
    with served(kind, tmp_path, callers) as port:
        for own in (None, callers.web):
            for name, value in FORGED.items():
                status, body = get(port, callers.client(own), headers={name: value, "X-Kept": "kept"})
                if status == 400:  # gunicorn refuses the name
                    continue
                environ = json.loads(body)["environ"]
                assert environ["HTTP_X_KEPT"] == "kept"
                assert environ["SSL_CLIENT_VERIFY"] == ("NONE" if own is None else "SUCCESS"), name
                assert not [key for key in environ if key.startswith("HTTP_") and "SSL" in key], name
                assert value in ("SUCCESS", "on") or value not in environ.values(), name
                assert json.loads(body)["spiffe"] == (None if own is None else WEB)


@pytest.mark.parametrize("name", FORGED)
def test_a_header_is_removed_by_its_name_in_the_environ(name: str) -> None:
    key = "HTTP_" + name.upper().replace("-", "_")
    environ = {key: "forged", "HTTP_HOST": "localhost", "HTTP_COOKIE": "a=b", "HTTP_X_FORWARDED_FOR": "x"}
    strip(environ)
    assert environ.keys() == {"HTTP_HOST", "HTTP_COOKIE", "HTTP_X_FORWARDED_FOR"}


@pytest.mark.parametrize(
    "key", ["HTTP_HOST", "HTTP_ACCEPT", "HTTP_X_CLIENT_ID", "HTTP_CERTAIN", "HTTP_X_DNS", "HTTP_X_CLIENT"]
)
def test_other_headers_stay(key: str) -> None:
    environ = {key: "x"}
    strip(environ)
    assert environ == {key: "x"}


def test_a_handler_of_http_server_has_them_from_its_connection(callers: Callers) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = {key: value for key, value in environ_of(self.connection).items() if key != KEY}
            peer = Peer.of_connection(self.connection)
            body = json.dumps([found["SSL_CLIENT_VERIFY"], peer.spiffe_id if peer else None]).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = callers.server().wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert json.loads(get(server.server_port, callers.client(callers.web))[1]) == ["SUCCESS", WEB]
            assert json.loads(get(server.server_port, callers.client())[1]) == ["NONE", None]
        finally:
            server.shutdown()
            thread.join(SECONDS)


def test_a_request_over_no_connection_of_ours_has_none_of_it() -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ)
        return []

    made = SSLEnviron(app)
    for sock in (None, object(), "socket"):
        made({"gunicorn.socket": sock, "SSL_CLIENT_VERIFY": "SUCCESS", "HTTP_SSL_CLIENT_VERIFY": "x"}, None)
    assert [set(each) for each in seen] == [{"gunicorn.socket"}] * 3
    assert environ_of(None) == {} == environ_of(ssl.create_default_context())


def test_names_are_text_of_latin_1_without_control_characters(callers: Callers) -> None:
    attributes = [
        (NameOID.COMMON_NAME, "Zoë\r\nX-Admin: yes"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "one"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "two"),
        (NameOID.EMAIL_ADDRESS, "zoe@example.org"),
    ]
    name = x509.Name([x509.NameAttribute(*each) for each in attributes])
    names = [x509.DNSName(f"n{number}.example.org") for number in range(120)]
    client = Party(name, callers.root, names=names)
    with wsgiref(callers.server()) as port:
        _, body = get(port, callers.client(client.file(callers.folder)))
    environ = json.loads(body)["environ"]
    assert environ["SSL_CLIENT_S_DN_CN"].encode("latin-1").decode() == "Zoë\\0D\\0AX-Admin: yes"
    assert environ["SSL_CLIENT_S_DN_OU"] == "one" and environ["SSL_CLIENT_S_DN_OU_1"] == "two"
    assert environ["SSL_CLIENT_S_DN_Email"] == "zoe@example.org"
    assert all(value.isascii() or value.encode("latin-1") for value in environ.values())
    assert "\n" not in environ["SSL_CLIENT_S_DN"]
    assert len([key for key in environ if key.startswith("SSL_CLIENT_SAN_DNS_")]) == 100
