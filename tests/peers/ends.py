"""veritls's end of one connection with a peer."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.peers.cases import NONE, Case, Outcome
from tests.peers.peer import SECONDS, Cannot, Peer, Role, certificate, server_certificate
from tests.support.connections import in_thread


def extra(peer: Peer, name: str) -> Any:
    """What a driver says, or the default where it says nothing."""
    return getattr(peer, name, getattr(Peer, name))


def require(peer: Peer, role: Role, case: Case) -> None:
    """Skips the test where the peer cannot take part; a missing program is an error under CI."""
    if lacks := peer.missing():
        report = pytest.fail if os.environ.get("CI") else pytest.skip
        report(f"{peer.name}: {lacks} is not installed")
    exempt(peer, role, case, extra(peer, "cannot"))
    peer.prepare()


def exempt(peer: Peer, role: Role, case: Case, unable: tuple[Cannot, ...]) -> None:
    """Skips the test where that stands among what the peer cannot do."""
    for cannot in unable:
        if cannot.role == role and all(getattr(case, field) == it for field, it in cannot.case.items()):
            pytest.skip(f"{peer.name}: {cannot.reason}")


@dataclass
class End:
    """What veritls made of one connection."""

    error: Exception | None = None
    received: bytes = b""
    certificate: Any = None
    """The client's, as `getpeercert()` gives it; for a server."""
    der: bytes | None = None
    """The peer's certificate."""
    resumed: bool | None = None
    session: Any = None
    """For a client."""
    peer: Outcome = field(default_factory=lambda: Outcome(False))
    """What the peer made of it."""


def server_context(peer: Peer, case: Case, files: Files) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_certificate(files, case))
    context.load_verify_locations(files.ca)
    context.verify_mode = case.mode
    context.minimum_version = context.maximum_version = case.version
    if not extra(peer, "takes_tickets"):
        context.num_tickets = 0
    return context


def answer(listener: socket.socket, context: ssl.SSLContext, peer: Peer) -> End:
    """A server's end of the next connection, all but what the peer made of it."""
    end = End()
    plain, _ = listener.accept()
    plain.settimeout(SECONDS)
    with plain.dup() as under:  # left open after a refusal, until the client has read the alert
        under.settimeout(SECONDS)
        with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as tls:
            try:
                tls.do_handshake()
                end.certificate, end.der = tls.getpeercert(), tls.getpeercert(binary_form=True)
                end.resumed = tls.session_reused
                while not end.received.endswith(extra(peer, "request")) and (data := tls.recv(4096)):
                    end.received += data
                tls.sendall(extra(peer, "reply"))
            except OSError as error:
                end.error = error
            with suppress(OSError):  # the client may have closed by now
                tls.shutdown(socket.SHUT_WR)
        drain(under)
    return end


def drain(plain: socket.socket) -> None:
    """Ends the sending side and reads until the other end closes."""
    with suppress(OSError):  # not connected: the other end has closed already
        plain.shutdown(socket.SHUT_WR)
    with suppress(ConnectionError):
        while plain.recv(4096):
            pass


def client_context(case: Case, files: Files, own: ssl.VerifyMode) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.ca)
    context.check_hostname = own is not NONE
    context.verify_mode = own
    context.minimum_version = context.maximum_version = case.version
    if shown := certificate(files, case.client):
        context.load_cert_chain(shown)
    return context


def ask(port: int, context: ssl.SSLContext, peer: Peer, silent: bool = False, session: Any = None) -> End:
    """A client's end of a connection, all but what the peer made of it; one that is silent sends nothing."""
    end = End()
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
                end.resumed, end.der = tls.session_reused, tls.getpeercert(binary_form=True)
                if not silent:
                    tls.sendall(extra(peer, "request"))
                while extra(peer, "reply") not in end.received and (data := tls.recv(4096)):
                    end.received += data
                end.session = tls.session
        except OSError as error:
            end.error = error
    return end


def as_server(peer: Peer, case: Case, files: Files) -> End:
    """One connection of the peer to a veritls server."""
    require(peer, "client", case)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        answering = in_thread(answer, listener, server_context(peer, case, files), peer)
        outcome = peer.connect(case, files, listener.getsockname()[1])
        end: End = answering.result(SECONDS)
    end.peer = outcome
    return end


def as_client(peer: Peer, case: Case, files: Files, own: ssl.VerifyMode, refused: bool) -> End:
    """One connection of a veritls client to the peer."""
    require(peer, "server", case)
    # What is sent to an end that has closed could cost us the alert that it sent before.
    silent = refused and not extra(peer, "refusal")
    with peer.serve(case, files) as (port, finish):
        end = ask(port, client_context(case, files, own), peer, silent)
        end.peer = finish()
    return end
