"""Python's own ssl, and a driver of any module with its interface."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.conftest import Files
from tests.peers.cases import Case, Outcome
from tests.peers.peer import PING, PONG, SECONDS, Peer, Serving, certificate, server_certificate
from tests.support.connections import in_thread


class Stdlib(Peer):
    name = "ssl"
    roles = frozenset({"client", "server"})
    tells = frozenset({"certificate", "which alert"})

    def module(self) -> Any:
        return ssl

    def missing(self) -> str | None:
        return None

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        context = self._context(case, files, self.module().PROTOCOL_TLS_CLIENT)
        if shown := certificate(files, case.client):
            context.load_cert_chain(shown)
        try:
            with (
                socket.create_connection(("127.0.0.1", port), SECONDS) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as tls,
            ):
                tls.sendall(PING)
                return Outcome(tls.recv(100) == PONG)
        except OSError as error:
            return Outcome(False, str(error))

    @contextmanager
    def serve(self, case: Case, files: Files) -> Iterator[Serving]:
        context = self._context(case, files, self.module().PROTOCOL_TLS_SERVER)
        context.verify_mode = self.module().VerifyMode(case.mode)
        context.load_cert_chain(server_certificate(files, case))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS)
            answered = in_thread(_answer, listener, context)
            yield Serving(listener.getsockname()[1], lambda: answered.result(SECONDS))

    def _context(self, case: Case, files: Files, protocol: int) -> Any:
        module = self.module()
        context = module.SSLContext(protocol)
        context.load_verify_locations(files.ca)
        context.minimum_version = context.maximum_version = module.TLSVersion[case.version.name]
        return context


def _answer(listener: socket.socket, context: Any) -> Outcome:
    try:
        plain, _ = listener.accept()
        plain.settimeout(SECONDS)
        with plain, context.wrap_socket(plain, server_side=True) as tls:
            received = tls.recv(100)
            tls.sendall(PONG)
            return Outcome(received == PING, str(tls.getpeercert()))
    except OSError as error:
        return Outcome(False, str(error))
