"""One connection over real TCP on 127.0.0.1, and what each of its two ends saw."""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import veritls
from veritls.cli.cases import Case, Side
from veritls.cli.certificates import Credential, Credentials

TIMEOUT = 5.0
PEERS: dict[str, type[ssl.SSLContext]] = {"ssl": ssl.SSLContext, "veritls": veritls.SSLContext}
"""The implementations that a peer is made with, by name."""

CLIENT_DATA = b"from the client"
SERVER_DATA = b"from the server"


@dataclass
class End:
    """What one end of a connection saw."""

    received: bytes = b""
    error: Exception | None = None
    version: str | None = None
    certificate: dict[str, Any] | None = None
    der: bytes | None = None

    def note_peer(self, sock: ssl.SSLSocket) -> None:
        """Notes what a successful handshake says of the peer."""
        self.version = sock.version()
        self.der = sock.getpeercert(binary_form=True)
        self.certificate = sock.getpeercert()


@dataclass(frozen=True)
class Outcome:
    """Both ends of one connection."""

    server: End
    client: End

    def end(self, side: Side) -> End:
        """The end on that side."""
        return self.server if side == "server" else self.client


def _context(
    kind: type[ssl.SSLContext],
    protocol: int,
    version: ssl.TLSVersion,
    trusted: str,
    credential: Credential | None,
) -> ssl.SSLContext:
    context = kind(protocol)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(cadata=trusted)
    if credential is not None:
        context.load_cert_chain(credential.path)
    return context


def _receive(sock: ssl.SSLSocket, length: int) -> bytes:
    data = b""
    while len(data) < length and (more := sock.recv(length - len(data))):
        data += more
    return data


def _record(end: End, conversation: Callable[[], None]) -> None:
    try:
        conversation()
    except Exception as error:
        # The row shows what a program would catch, an exception of a wrong type included.
        end.error = error


def _serve(listener: socket.socket, context: ssl.SSLContext, end: End) -> None:
    def conversation() -> None:
        raw, _ = listener.accept()
        raw.settimeout(TIMEOUT)
        with raw, context.wrap_socket(raw, server_side=True) as sock:
            end.note_peer(sock)
            # The server sends first: a TLS 1.3 client learns of its refusal in its first recv.
            sock.sendall(SERVER_DATA)
            end.received = _receive(sock, len(CLIENT_DATA))

    _record(end, conversation)


def _connect(address: Any, context: ssl.SSLContext, name: str, end: End) -> None:
    def conversation() -> None:
        raw = socket.create_connection(address, timeout=TIMEOUT)
        with raw, context.wrap_socket(raw, server_hostname=name) as sock:
            end.note_peer(sock)
            end.received = _receive(sock, len(SERVER_DATA))
            sock.sendall(CLIENT_DATA)

    _record(end, conversation)


def exchange(
    case: Case, peer: type[ssl.SSLContext], version: ssl.TLSVersion, credentials: Credentials
) -> Outcome:
    """Connects as `case` says: veritls on its side, `peer` on the other. Failures are in the outcome."""
    credential = credentials.by_label[case.credential] if case.credential else None
    on_server = case.side == "server"
    server_context = _context(
        veritls.SSLContext if on_server else peer,
        ssl.PROTOCOL_TLS_SERVER,
        version,
        credentials.trusted,
        credentials.valid_server if on_server else credential,
    )
    client_context = _context(
        peer if on_server else veritls.SSLContext,
        ssl.PROTOCOL_TLS_CLIENT,
        version,
        credentials.trusted,
        credential if on_server else None,
    )
    if on_server:
        server_context.verify_mode = case.mode
    else:
        client_context.check_hostname = case.mode != ssl.CERT_NONE
        client_context.verify_mode = case.mode
    outcome = Outcome(End(), End())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        server = threading.Thread(target=_serve, args=(listener, server_context, outcome.server), daemon=True)
        server.start()
        _connect(listener.getsockname(), client_context, case.asked_name, outcome.client)
        server.join(2 * TIMEOUT)
        if server.is_alive():
            outcome.server.error = TimeoutError("the server did not end")
    return outcome
