"""A small HTTPS server of veritls, and its clients."""

from __future__ import annotations

import http.server
import importlib
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, server_context, who

MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

SERVED = [
    ("none", "client", "anonymous"),
    ("optional", None, "anonymous"),
    ("optional", "client", "client@example.org"),
    ("required", "client", "client@example.org"),
]
"""The server's mode, the client's certificate, and the identity that the server sees."""

REFUSED = [
    ("optional", "stranger"),
    ("optional", "expired"),
    ("required", None),
    ("required", "stranger"),
    ("required", "expired"),
]
"""The server's mode, and the client's certificate that it does not take."""


def library(name: str) -> ModuleType:
    """The library, or a skip that names it; under CI a failure."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    module: ModuleType = pytest.importorskip(name)
    return module


def of(name: str, row: str | None = None) -> Any:
    """A parameter whose tests count for the library `row`, or for the one before the comma in `name`."""
    return pytest.param(name, marks=pytest.mark.library(row or name.split(",")[0]))


def refusal_behind(error: BaseException) -> veritls.SSLCertVerificationError | None:
    """The error with which veritls refused a certificate, if that made the library raise `error`."""
    reasons: list[Any] = [error]
    for reason in reasons:
        if isinstance(reason, veritls.SSLCertVerificationError):
            return reason
        further = [reason.__cause__, reason.__context__, getattr(reason, "reason", None), *reason.args]
        reasons += [each for each in further if isinstance(each, BaseException) and each not in reasons]
    return None


@contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A running process, ended at the end; what it said is shown where the test fails."""
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, **options) as running,
    ):
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()
            said.seek(0)
            print(said.read().decode(errors="replace"))


def contexts(files: Files, mode: str, client: str | None) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and a client's; `client` names the certificate that it has."""
    server, own = server_context(files.server), client_context(files.ca)
    server.load_verify_locations(files.ca)
    server.verify_mode = MODES[mode]
    if client and client != "none":
        own.load_cert_chain(getattr(files, client))
    return server, own


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the e-mail address in the client's certificate, or with "anonymous"."""

    timeout = SECONDS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = who(self.connection).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Does the handshake in the connection's own thread; a client that is refused is no event."""

    context: ssl.SSLContext
    daemon_threads = True

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(SECONDS)
        with self.context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def https_server(
    files: Files, mode: str = "none", *, certificate: Path | None = None, handler: type[Handler] = Handler
) -> Iterator[str]:
    """The address of a running server that demands what `mode` says."""
    context = server_context(certificate or files.server)
    context.load_verify_locations(files.ca)
    context.verify_mode = MODES[mode]
    with Server(("127.0.0.1", 0), handler) as server:
        server.context = context
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join(SECONDS)
