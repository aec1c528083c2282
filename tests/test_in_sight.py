"""What has come from the peer is visible to `select` until the program has been given it."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context

V = ssl.TLSVersion


def readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], SECONDS)[0])


def arrive(connection: socket.socket, count: int) -> None:
    """Waits until `count` bytes are there to be read at once."""
    while len(socket.socket.recv(connection, count, socket.MSG_PEEK)) < count:
        pass


class Client:
    """A client whose records the test sends when it likes."""

    def __init__(self, files: Files, raw: socket.socket, version: ssl.TLSVersion) -> None:
        context = client_context(files.ca)
        context.minimum_version = context.maximum_version = version
        self.raw = raw
        self.incoming, self.outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def step(self) -> bool:
        """One step of the handshake; what it says is kept for `send`."""
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def send(self) -> int:
        data = self.outgoing.read()
        self.raw.sendall(data)
        return len(data)

    def receive(self) -> None:
        self.incoming.write(self.raw.recv(65536))

    def handshake(self) -> None:
        while not self.step():
            self.send()
            self.receive()
        self.send()


@contextmanager
def connected(files: Files, version: ssl.TLSVersion) -> Iterator[tuple[Any, Client]]:
    server_raw, client_raw = raw_pair()
    client = Client(files, client_raw, version)
    server = server_context(files.server)
    server.num_tickets = 0
    with client_raw, server_raw:
        serving = in_thread(server.wrap_socket, server_raw, server_side=True)
        client.handshake()
        with serving.result(SECONDS) as end:
            yield end, client


def test_data_in_the_same_segment_as_the_end_of_the_handshake_stays_in_sight(files: Files) -> None:
    server_raw, client_raw = raw_pair()
    with client_raw, server_raw:
        client = Client(files, client_raw, V.TLSv1_3)
        serving = in_thread(server_context(files.server).wrap_socket, server_raw, server_side=True)
        assert not client.step()
        client.send()
        while not client.step():
            client.receive()
        client.tls.write(b"early bird")
        client.send()
        with serving.result(SECONDS) as server:
            assert readable(server)
            server.setblocking(False)
            assert server.recv(100) == b"early bird"


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize(("sent", "wanted"), [(10, 100), (10, 65536), (50_000, 65536), (50_000, 50_000)])
@pytest.mark.parametrize("blocking", [True, False])
def test_the_end_in_the_same_segment_as_data_stays_in_sight(
    files: Files, version: ssl.TLSVersion, sent: int, wanted: int, blocking: bool
) -> None:
    with connected(files, version) as (server, client):
        client.tls.write(b"x" * sent)
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.unwrap()
        arrive(server, client.send())
        server.setblocking(blocking)
        received = 0
        while received < sent:
            assert server.pending() or readable(server)
            received += len(server.recv(wanted))
        assert received == sent
        assert readable(server)
        assert server.recv(wanted) == b""


def test_a_large_read_takes_several_records_at_once(files: Files) -> None:
    with connected(files, V.TLSv1_3) as (server, client):
        client.tls.write(b"x" * 100_000)
        arrive(server, client.send())
        assert len(server.recv(100_000)) > 5 * 16_384


def test_reading_after_both_have_said_close_notify_is_an_error(files: Files) -> None:
    with connected(files, V.TLSv1_3) as (server, client):
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.unwrap()
        client.send()
        server.unwrap()
        client.receive()
        with pytest.raises(ssl.SSLZeroReturnError):
            client.tls.read(10)
        client.tls.unwrap()
