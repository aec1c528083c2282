"""One connection over real TCP on 127.0.0.1, and what each of its two ends saw."""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import veritls
from veritls.cli.cases import Case, Side
from veritls.cli.certificates import Credential, Wardrobe

TIMEOUT = 5.0
PEERS: dict[str, type[ssl.SSLContext]] = {"ssl": ssl.SSLContext, "veritls": veritls.SSLContext}
"""The implementations that a peer is made with, by name."""

QUESTION = b"the client's words"
ANSWER = b"the server's words"


@dataclass
class End:
    """What one end of a connection saw."""

    received: bytes = b""
    error: Exception | None = None
    version: str | None = None
    certificate: dict[str, Any] | None = None
    der: bytes | None = None

    def note_peer(self, sock: ssl.SSLSocket) -> None:
        """Notes the facts of a handshake that ended well."""
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
        # Whatever a user would get, a wrong kind of exception too, is what the row has to show.
        end.error = error


def _serve(listener: socket.socket, context: ssl.SSLContext, end: End) -> None:
    def conversation() -> None:
        raw, _ = listener.accept()
        raw.settimeout(TIMEOUT)
        with raw, context.wrap_socket(raw, server_side=True) as sock:
            end.note_peer(sock)
            # The server speaks first: a TLS 1.3 client learns of its refusal from its first recv.
            sock.sendall(ANSWER)
            end.received = _receive(sock, len(QUESTION))

    _record(end, conversation)


def _connect(address: Any, context: ssl.SSLContext, name: str, end: End) -> None:
    def conversation() -> None:
        raw = socket.create_connection(address, timeout=TIMEOUT)
        with raw, context.wrap_socket(raw, server_hostname=name) as sock:
            end.note_peer(sock)
            end.received = _receive(sock, len(ANSWER))
            sock.sendall(QUESTION)

    _record(end, conversation)


def exchange(case: Case, peer: type[ssl.SSLContext], version: ssl.TLSVersion, wardrobe: Wardrobe) -> Outcome:
    """Makes the connection that `case` describes: veritls on its side, `peer` on the other."""
    credential = wardrobe.credentials[case.credential] if case.credential else None
    on_server = case.side == "server"
    server_context = _context(
        veritls.SSLContext if on_server else peer,
        ssl.PROTOCOL_TLS_SERVER,
        version,
        wardrobe.trusted,
        wardrobe.valid_server if on_server else credential,
    )
    client_context = _context(
        peer if on_server else veritls.SSLContext,
        ssl.PROTOCOL_TLS_CLIENT,
        version,
        wardrobe.trusted,
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
            outcome.server.error = TimeoutError("the server did not come to an end")
    return outcome
