"""Caddy: a server, and a client as a reverse proxy in front of a server with TLS. Both speak HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from tests.conftest import Files
from tests.peers.cases import NONE, OPTIONAL, REQUIRED, VERSIONS, Case, Outcome
from tests.peers.peer import (
    Peer,
    Program,
    Serving,
    certificate,
    lacking,
    ping,
    running,
    server_certificate,
)

PINS = {VERSIONS[0]: "tls1.2", VERSIONS[1]: "tls1.3"}


class Caddy(Peer):
    name = "caddy"
    version_command = ("caddy", "version")
    demands = MappingProxyType({OPTIONAL: "verify_if_given", REQUIRED: "require_and_verify"})
    roles = frozenset({"server"})
    request = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
    tells = frozenset({"certificate", "which alert"})
    resumes = roles

    def missing(self) -> str | None:
        return lacking("caddy")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        raise NotImplementedError

    @contextmanager
    def serve(self, case: Case, files: Files) -> Iterator[Serving]:
        own = str(server_certificate(files, case))
        policy: dict[str, Any] = {"protocol_min": PINS[case.version], "protocol_max": PINS[case.version]}
        if case.mode is not NONE:
            authorities = [str(files.ca)]
            policy["client_authentication"] = {
                "mode": self.demands[case.mode],
                "trusted_ca_certs_pem_files": authorities,
            }
        handlers: list[dict[str, Any]] = [
            {"handler": "headers", "response": {"set": {"Seen": ["{http.request.tls.client.subject}"]}}},
            {"handler": "static_response", "body": "pong\n"},
        ]
        server = {"tls_connection_policies": [policy], "logs": {}}
        identity = {"certificates": {"load_files": [{"certificate": own, "key": own}]}}
        with _caddy(files, handlers, server, {"tls": identity}) as (program, port):

            def finish() -> Outcome:
                detail = program.take("handled request.*\n|TLS handshake error.*\n")
                return Outcome('"status":200' in detail, detail)

            yield Serving(port, finish)


class CaddyProxy(Peer):
    name = "caddy as a proxy"
    version_command = ("caddy", "version")
    roles = frozenset({"client"})
    request = b"\r\n\r\n"
    reply = b"HTTP/1.0 200 OK\r\n\r\npong\n"

    def missing(self) -> str | None:
        return lacking("caddy")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        tls = {"server_name": "localhost", "root_ca_pem_files": [str(files.ca)]}
        if shown := certificate(files, case.client):
            tls |= {"client_certificate_file": str(shown), "client_certificate_key_file": str(shown)}
        handler = {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": f"127.0.0.1:{port}"}],
            "transport": {"protocol": "http", "versions": ["1.1"], "tls": tls},
        }
        with _caddy(files, [handler], {"logs": {}}, {}) as (program, plain):
            answer = ping(plain, Caddy.request)
            program.until("handled request.*\n")
            return Outcome(answer.endswith(b"\r\n\r\npong\n"), program.output)

    def serve(self, case: Case, files: Files) -> AbstractContextManager[Serving]:
        raise NotImplementedError


@contextmanager
def _caddy(
    files: Files, handlers: list[dict[str, Any]], server: dict[str, Any], apps: dict[str, Any]
) -> Iterator[tuple[Program, int]]:
    """Caddy, and its port."""
    server |= {
        "listen": ["127.0.0.1:0"],
        "routes": [{"handle": handlers}],
        "automatic_https": {"disable": True},
        "protocols": ["h1"],
    }
    with TemporaryDirectory(dir=files.ca.parent) as folder:
        path = Path(folder, "caddy.json")
        configuration = {
            "admin": {"disabled": True, "config": {"persist": False}},
            "storage": {"module": "file_system", "root": folder},
            "logging": {"logs": {"default": {"level": "DEBUG"}}},
            "apps": apps | {"http": {"servers": {"only": server}}},
        }
        path.write_text(json.dumps(configuration))
        with running(["caddy", "run", "--config", path]) as program:
            found = program.until(r'"actual_address":"127\.0\.0\.1:(\d+)"')
            assert found, program.output
            yield program, int(found[1])
