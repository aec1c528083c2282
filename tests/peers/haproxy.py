"""HAProxy: as a server it passes what it receives on to `answering`, as a client it passes on a `ping`."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from tests.conftest import Files
from tests.peers.cases import NONE, OPTIONAL, REQUIRED, VERSIONS, Case, Outcome
from tests.peers.peer import (
    PING,
    PONG,
    SECONDS,
    Peer,
    Program,
    Serving,
    answering,
    certificate,
    lacking,
    ping,
    running,
    server_certificate,
)

PINS = {VERSIONS[0]: "force-tlsv12", VERSIONS[1]: "force-tlsv13"}

# maxconn bounds the numbers of descriptors too, that of the listener among them.
CONFIGURATION = """
global
    log stdout format raw local0
    maxconn 2000
    nbthread 1
defaults
    mode tcp
    retries 0
    timeout connect {seconds}s
    timeout client {seconds}s
    timeout server {seconds}s
frontend front
    bind fd@{listener} {frontend}
    log global
    log-format "ended, certificate %[ssl_c_s_dn], %[bc_err_str], %[ssl_bc_err_str]"
    error-log-format "ended, %[fc_err_str], %[ssl_fc_err_str]"
    default_backend back
backend back
    server only 127.0.0.1:{port} {backend}
"""


class HAProxy(Peer):
    name = "haproxy"
    version_command = ("haproxy", "-v")
    demands = MappingProxyType({NONE: "none", OPTIONAL: "optional", REQUIRED: "required"})
    roles = frozenset({"client", "server"})
    tells = frozenset({"certificate", "which alert"})
    late_alerts = False
    resumes = roles

    def missing(self) -> str | None:
        return lacking("haproxy")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        with self._client(case, files, port) as ended:
            return ended()

    def connect_twice(self, case: Case, files: Files, port: int) -> list[Outcome]:
        with self._client(case, files, port) as ended:
            return [ended(), ended()]

    @contextmanager
    def _client(self, case: Case, files: Files, port: int) -> Iterator[Callable[[], Outcome]]:
        own = f"crt {shown}" if (shown := certificate(files, case.client)) else ""
        name = "sni str(localhost) verifyhost localhost"
        tls = f"ssl verify required ca-file {files.ca} {name} {own} {PINS[case.version]}"
        with _proxy(files, port, backend=tls) as (program, plain):
            yield lambda: Outcome(ping(plain) == PONG, program.take("ended.*\n"))

    @contextmanager
    def serve(self, case: Case, files: Files) -> Iterator[Serving]:
        demand = f"verify {self.demands[case.mode]} ca-file {files.ca}"
        tls = f"ssl crt {server_certificate(files, case)} {demand} {PINS[case.version]}"
        with answering() as (behind, received), _proxy(files, behind, frontend=tls) as (program, port):

            def finish() -> Outcome:
                detail = program.take("ended.*\n")
                return Outcome(bool(received) and received.pop() == PING, detail)

            yield Serving(port, finish)


@contextmanager
def _proxy(files: Files, port: int, frontend: str = "", backend: str = "") -> Iterator[tuple[Program, int]]:
    """HAProxy between its own port and another: the program, and its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    own = listener.getsockname()[1]
    with listener, TemporaryDirectory(dir=files.ca.parent) as folder:
        path = Path(folder, "haproxy.cfg")
        path.write_text(
            CONFIGURATION.format(
                seconds=SECONDS, listener=listener.fileno(), port=port, frontend=frontend, backend=backend
            )
        )
        with running(["haproxy", "-db", "-f", path], listener) as program:
            yield program, own
