"""veritls's end of one connection with a peer."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.peers.cases import NONE, Case, Outcome
from tests.peers.peer import SECONDS, Peer, Role, certificate, server_certificate
from tests.support.connections import in_thread


def extra(peer: Peer, name: str) -> Any:
    """What a driver says, or the default where it says nothing."""
    return getattr(peer, name, getattr(Peer, name))


def require(peer: Peer, role: Role, case: Case) -> None:
    """Skips the test where the peer cannot take part; a missing program is an error under CI."""
    if lacks := peer.missing():
        report = pytest.fail if os.environ.get("CI") else pytest.skip
        report(f"{peer.name}: {lacks} is not installed")
    for cannot in extra(peer, "cannot"):
        if cannot.role == role and all(getattr(case, field) == it for field, it in cannot.case.items()):
            pytest.skip(f"{peer.name}: {cannot.reason}")
    peer.prepare()


class Server:
    """What a veritls server made of one connection."""

    def __init__(self, peer: Peer, case: Case, files: Files) -> None:
        require(peer, "client", case)
        self.error: Exception | None = None
        self.received = b""
        self.certificate: Any = None
        self.der: bytes | None = None
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server_certificate(files, case))
        context.load_verify_locations(files.ca)
        context.verify_mode = case.mode
        context.minimum_version = context.maximum_version = case.version
        if not extra(peer, "takes_tickets"):
            context.num_tickets = 0
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS)
            serving = in_thread(self._serve, listener, context, peer)
            self.peer: Outcome = peer.connect(case, files, listener.getsockname()[1])
            serving.result(SECONDS)

    def _serve(self, listener: socket.socket, context: ssl.SSLContext, peer: Peer) -> None:
        plain, _ = listener.accept()
        plain.settimeout(SECONDS)
        with plain.dup() as under:  # left open after a refusal, until the client has read the alert
            under.settimeout(SECONDS)
            with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as tls:
                try:
                    tls.do_handshake()
                    self.certificate, self.der = tls.getpeercert(), tls.getpeercert(binary_form=True)
                    while not self.received.endswith(extra(peer, "request")) and (data := tls.recv(4096)):
                        self.received += data
                    tls.sendall(extra(peer, "reply"))
                except OSError as error:
                    self.error = error
                with suppress(OSError):  # the client may have closed by now
                    tls.shutdown(socket.SHUT_WR)
            drain(under)


def drain(plain: socket.socket) -> None:
    """Ends the sending side and reads until the other end closes."""
    with suppress(OSError):  # not connected: the other end has closed already
        plain.shutdown(socket.SHUT_WR)
    with suppress(ConnectionError):
        while plain.recv(4096):
            pass


class Client:
    """What a veritls client made of one connection."""

    def __init__(self, peer: Peer, case: Case, files: Files, own: ssl.VerifyMode, refused: bool) -> None:
        require(peer, "server", case)
        self.error: Exception | None = None
        self.received = b""
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(files.ca)
        context.check_hostname = own is not NONE
        context.verify_mode = own
        context.minimum_version = context.maximum_version = case.version
        if shown := certificate(files, case.client):
            context.load_cert_chain(shown)
        # What is sent to an end that has closed could cost us the alert that it sent before.
        silent = refused and not extra(peer, "refusal")
        with peer.serve(case, files) as (port, finish):
            with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
                try:
                    with context.wrap_socket(plain, server_hostname="localhost") as tls:
                        if not silent:
                            tls.sendall(extra(peer, "request"))
                        while extra(peer, "reply") not in self.received and (data := tls.recv(4096)):
                            self.received += data
                except OSError as error:
                    self.error = error
            self.peer = finish()
