"""Nothing that the handshake leaves unacknowledged holds what is written first, on blocking sockets."""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import sys
from typing import Any

import pytest

import veritls
from tests import test_in_sight
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context

V = ssl.TLSVersion
_SIOCOUTQNSD = 0x894B


class Client(test_in_sight.Client):
    """A client whose records the test sends when it likes, by default of TLS 1.3."""

    def __init__(self, files: Files, raw: socket.socket, version: ssl.TLSVersion = V.TLSv1_3) -> None:
        super().__init__(files, raw, version)

    def data(self) -> bytes:
        """What the next piece from the server brings: b"" where there is no data in it."""
        self.receive()
        try:
            return bytes(self.tls.read(65536))
        except ssl.SSLWantReadError:
            return b""

    def has_ticket(self) -> bool:
        session = self.tls.session
        return session is not None and session.has_ticket


@pytest.mark.parametrize("timeout", [None, SECONDS, 0], ids=["blocking", "timeout", "non-blocking"])
def test_a_servers_tickets_go_before_it_writes_anything(files: Files, timeout: float | None) -> None:
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        client = Client(files, client_raw)
        server = server_context(files.server).wrap_socket(
            server_raw, server_side=True, do_handshake_on_connect=False
        )
        with server:
            client.step()
            client.send()
            server.settimeout(timeout)
            if timeout == 0:
                with pytest.raises(ssl.SSLWantReadError):
                    until_done(server)
                client.handshake()
                until_done(server)
            else:
                serving = in_thread(server.do_handshake)
                client.handshake()
                serving.result(SECONDS)
            assert client.data() == b""
            assert client.has_ticket()


def until_done(server: Any) -> None:
    """Hands a non-blocking server what has come; the kernel may show it a moment later."""
    test_in_sight.readable(server)
    server.do_handshake()


def test_a_server_reads_what_a_client_sent_that_is_gone_before_it_gets_its_tickets(files: Files) -> None:
    server_raw, client_raw = socket.socketpair()
    with server_raw, client_raw:
        client = Client(files, client_raw)
        server = server_context(files.server).wrap_socket(
            server_raw, server_side=True, do_handshake_on_connect=False
        )
        with server:
            client.step()
            client.send()
            server.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                server.do_handshake()
            client.receive()
            assert client.step()
            client.tls.write(b"request")
            client.send()
            client_raw.close()
            server.do_handshake()
            assert server.recv(100) == b"request"


def not_sent(connection: socket.socket) -> int:
    """Bytes that the kernel has taken and holds back."""
    found: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), _SIOCOUTQNSD, bytes(4)))[0]
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much it holds back")
@pytest.mark.parametrize("nodelay", [False, True])
@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize("writer", ["server", "client", "client that resumed"])
def test_what_is_written_first_is_not_held_until_the_handshake_is_acknowledged(
    files: Files, version: ssl.TLSVersion, writer: str, nodelay: bool
) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    client.minimum_version = client.maximum_version = version
    session = None
    for last in (False, True) if writer == "client that resumed" else (True,):
        if writer == "client":
            server.num_tickets = 0  # nothing of the server's acknowledges the client's last flight
        server_raw, client_raw = raw_pair()
        with server_raw, client_raw:
            serving = in_thread(server.wrap_socket, server_raw, server_side=True)
            client_end = client.wrap_socket(client_raw, server_hostname="localhost", session=session)
            with client_end, serving.result(SECONDS) as server_end:
                end, other = (server_end, client_end) if writer == "server" else (client_end, server_end)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
                end.sendall(b"first")
                held = not_sent(end)
                assert other.recv(100) == b"first"
                assert not held
                assert bool(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) == nodelay
                other.sendall(b"answer")
                assert end.recv(100) == b"answer"
                session = client_end.session
                assert client_end.session_reused == (last and writer == "client that resumed")


def acknowledges_at_once(connection: socket.socket) -> bool:
    """What the kernel does with the next segment that arrives: else it waits 40 ms for something to send."""
    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))


ENDS_WITH_READING = [
    (V.TLSv1_3, "client", "full"),
    (V.TLSv1_3, "client", "resumed"),
    (V.TLSv1_2, "client", "full"),
    (V.TLSv1_2, "server", "resumed"),
    (V.TLSv1_3, "server", "without tickets"),
]
"""Who has the peer's last flight, or its tickets, to acknowledge, and sends nothing that does it."""


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_QUICKACK is Linux's")
@pytest.mark.parametrize("module", [ssl, veritls], ids=["ssl", "veritls"])
@pytest.mark.parametrize(("version", "who", "kind"), ENDS_WITH_READING)
def test_what_the_peer_may_hold_its_first_words_for_is_acknowledged_at_once(
    files: Files, version: ssl.TLSVersion, who: str, kind: str, module: Any
) -> None:
    """The peer is `module`'s: a client of `ssl` that resumed in TLS 1.2 waits with its request, too."""
    server = server_context(files.server, module=module if who == "client" else veritls)
    client = client_context(files.ca, module=module if who == "server" else veritls)
    client.minimum_version = client.maximum_version = version
    if kind == "without tickets":
        server.num_tickets = 0
    session = None
    for last in (False, True) if kind == "resumed" else (True,):
        server_raw, client_raw = raw_pair()
        with server_raw, client_raw:
            serving = in_thread(server.wrap_socket, server_raw, server_side=True)
            client_end = client.wrap_socket(client_raw, server_hostname="localhost", session=session)
            with client_end, serving.result(SECONDS) as server_end:
                end, other = (client_end, server_end) if who == "client" else (server_end, client_end)
                if last:
                    assert client_end.session_reused == (kind == "resumed")
                    assert acknowledges_at_once(end)
                    end.sendall(b"first")
                    assert acknowledges_at_once(end), "its tickets may come after this"
                    assert other.recv(100) == b"first"
                other.sendall(b"answer")
                assert end.recv(100) == b"answer"
                session = client_end.session


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_QUICKACK is Linux's")
def test_tickets_carry_the_acknowledgement_and_need_no_other(files: Files) -> None:
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        server, client = server_context(files.server), client_context(files.ca)
        serving = in_thread(server.wrap_socket, server_raw, server_side=True)
        with client.wrap_socket(client_raw, server_hostname="localhost"), serving.result(SECONDS) as end:
            assert not acknowledges_at_once(end)
