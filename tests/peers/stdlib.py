"""Python's own ssl, and a driver of any module with its interface."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from typing import Any

from tests.conftest import Files
from tests.peers.cases import Case, Outcome
from tests.peers.peer import PING, PONG, SECONDS, Peer, Serving, certificate, server_certificate
from tests.support.connections import in_thread


class Stdlib(Peer):
    name = "ssl"
    version_command = (sys.executable, "-c", "import ssl; print(ssl.OPENSSL_VERSION)")
    roles = frozenset({"client", "server"})
    tells = frozenset({"certificate", "which alert"})
    resumes = roles

    def module(self) -> Any:
        return ssl

    def missing(self) -> str | None:
        return None

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        return self._connect(self._client(case, files), port)[0]

    def connect_twice(self, case: Case, files: Files, port: int) -> list[Outcome]:
        context = self._client(case, files)
        first, session = self._connect(context, port)
        return [first, self._connect(context, port, session)[0]]

    def _client(self, case: Case, files: Files) -> Any:
        context = self._context(case, files, self.module().PROTOCOL_TLS_CLIENT)
        if shown := certificate(files, case.client):
            context.load_cert_chain(shown)
        return context

    def _connect(self, context: Any, port: int, session: Any = None) -> tuple[Outcome, Any]:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), SECONDS) as plain,
                context.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
            ):
                tls.sendall(PING)
                return Outcome(tls.recv(100) == PONG), tls.session
        except OSError as error:
            return Outcome(False, str(error)), None

    def serve(self, case: Case, files: Files) -> AbstractContextManager[Serving]:
        return self._serve(case, files, 1)

    def serve_twice(self, case: Case, files: Files) -> AbstractContextManager[Serving]:
        return self._serve(case, files, 2)

    @contextmanager
    def _serve(self, case: Case, files: Files, connections: int) -> Iterator[Serving]:
        context = self._context(case, files, self.module().PROTOCOL_TLS_SERVER)
        context.verify_mode = self.module().VerifyMode(case.mode)
        context.load_cert_chain(server_certificate(files, case))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS)
            outcomes: SimpleQueue[Outcome] = SimpleQueue()
            in_thread(_answer, listener, context, connections, outcomes.put)
            yield Serving(listener.getsockname()[1], lambda: outcomes.get(timeout=SECONDS))

    def _context(self, case: Case, files: Files, protocol: int) -> Any:
        module = self.module()
        context = module.SSLContext(protocol)
        context.load_verify_locations(files.ca)
        context.minimum_version = context.maximum_version = module.TLSVersion[case.version.name]
        return context


def _answer(listener: socket.socket, context: Any, connections: int, tell: Callable[[Outcome], None]) -> None:
    for _ in range(connections):
        tell(_answered(listener, context))


def _answered(listener: socket.socket, context: Any) -> Outcome:
    try:
        plain, _ = listener.accept()
        plain.settimeout(SECONDS)
        with plain, context.wrap_socket(plain, server_side=True) as tls:
            received = tls.recv(100)
            tls.sendall(PONG)
            return Outcome(received == PING, str(tls.getpeercert()))
    except OSError as error:
        return Outcome(False, str(error))
