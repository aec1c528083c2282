"""What a peer can make us hold and do is bounded: docs/decisions/0021 names each bound."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, server_context, tls_pair
from tests.support.forger import DATA, HANDSHAKE, OVERHEAD, Forger, message

KIB = 1024


class InMemory:
    """An established connection over memory, and forgers of what either end may send."""

    def __init__(self, files: Files, keylog: Path) -> None:
        client, server = client_context(files.ca), server_context(files.server)
        client.minimum_version = ssl.TLSVersion.TLSv1_3
        server.num_tickets = 0
        client.keylog_filename = str(keylog)
        self.client_in, self.client_out = veritls.MemoryBIO(), veritls.MemoryBIO()
        self.server_in, self.server_out = veritls.MemoryBIO(), veritls.MemoryBIO()
        self.client = client.wrap_bio(self.client_in, self.client_out, server_hostname="localhost")
        self.server = server.wrap_bio(self.server_in, self.server_out, server_side=True)
        with pytest.raises(ssl.SSLWantReadError):
            self.client.do_handshake()
        self.server_in.write(self.client_out.read())
        with pytest.raises(ssl.SSLWantReadError):
            self.server.do_handshake()
        self.client_in.write(self.server_out.read())
        self.client.do_handshake()
        self.server_in.write(self.client_out.read())
        self.server.do_handshake()
        assert self.server.cipher()[0] == "TLS_AES_128_GCM_SHA256"
        self.as_client, self.as_server = Forger(keylog, "CLIENT"), Forger(keylog, "SERVER")

    def server_reads(self, data: bytes, size: int = 65_536) -> bytes:
        """What the server gives of `data`; nothing where it waits for more."""
        self.server_in.write(data)
        received = b""
        try:
            while True:
                received += self.server.read(size)
        except ssl.SSLWantReadError:
            return received


@pytest.fixture
def memory(files: Files, tmp_path: Path) -> InMemory:
    return InMemory(files, tmp_path / "keys")


def test_a_forged_record_is_taken_like_a_real_one(memory: InMemory) -> None:
    first = memory.as_client.record(DATA, b"made ", padding=100)
    assert memory.server_reads(first + memory.as_client.record(DATA, b"by hand")) == b"made by hand"


def test_a_handshake_message_that_padding_spreads_over_many_records_is_refused(memory: InMemory) -> None:
    content, sent = message(24, b"", length=60_000), 0
    with pytest.raises(ssl.SSLError, match="a handshake message is too long"):
        for _ in range(100):
            record = memory.as_client.record(HANDSHAKE, content, padding=16_000)
            content = b"\x00"
            sent += len(record)
            assert memory.server_reads(record) == b""
    assert sent < 160 * KIB
    with pytest.raises(ssl.SSLError, match="a handshake message is too long"):
        memory.server.read(1)


def test_a_handshake_message_in_small_pieces_is_put_together(memory: InMemory) -> None:
    update = memory.as_client.key_update(requested=True, piece=1)
    assert memory.server_reads(update + memory.as_client.record(DATA, b"new keys")) == b"new keys"


def test_records_without_content_end_the_connection_after_a_few(memory: InMemory) -> None:
    with pytest.raises(ssl.SSLError):
        memory.server_reads(b"".join(memory.as_client.record(DATA, b"") for _ in range(1000)))


def test_key_updates_without_data_end_the_connection_after_a_few(memory: InMemory) -> None:
    with pytest.raises(ssl.SSLError):
        memory.server_reads(b"".join(memory.as_client.key_update(requested=False) for _ in range(1000)))


def fruitless(memory: InMemory, made: Callable[[int], bytes], side: str = "server") -> int:
    """How many bytes were sent until the end that reads them refused to go on; 4 MiB where it never does."""
    end, incoming = (
        (memory.server, memory.server_in) if side == "server" else (memory.client, memory.client_in)
    )
    sent = 0
    for number in range(4096 * KIB):
        piece = made(number)
        incoming.write(piece)
        sent += len(piece)
        try:
            assert end.read(100) == b"", "there was no data"
        except ssl.SSLWantReadError:
            if sent > 4096 * KIB:
                break
        except ssl.SSLError as error:
            assert "without any data" in str(error)
            break
    return sent


def test_key_updates_that_alternate_with_empty_records_end_the_connection(memory: InMemory) -> None:
    """Each of the two ends the other's row; neither is data."""
    forger = memory.as_client

    def made(_: int) -> bytes:
        pairs = (forger.key_update(requested=True) + forger.record(DATA, b"") for _ in range(100))
        return b"".join(pairs)

    assert 1024 * KIB < fruitless(memory, made) < 1100 * KIB


def test_tickets_without_end_end_the_connection(memory: InMemory) -> None:
    forger = memory.as_server

    def made(number: int) -> bytes:
        return b"".join(forger.ticket(100 * number + each) for each in range(100))

    assert 1024 * KIB < fruitless(memory, made, "client") < 1100 * KIB


def test_data_in_between_lets_a_connection_go_on(memory: InMemory) -> None:
    for number in range(30):
        tickets = b"".join(memory.as_server.ticket(each) for each in range(500))
        memory.client_in.write(tickets + memory.as_server.record(DATA, b"%d" % number))
        assert memory.client.read(100) == b"%d" % number


def test_a_peer_that_asks_for_key_updates_and_reads_nothing_makes_us_keep_one_answer(
    memory: InMemory,
) -> None:
    for _ in range(300):
        asked = memory.as_client.key_update(requested=True) + memory.as_client.record(DATA, b"x")
        assert memory.server_reads(asked) == b"x"
    assert memory.server_out.pending <= OVERHEAD + 5
    memory.server.write(b"y")
    memory.client_in.write(memory.server_out.read())
    assert memory.client.read(10) == b"y"


@pytest.fixture
def sockets(files: Files, tmp_path: Path) -> Iterator[tuple[Any, Any, Forger]]:
    """A client, the server's socket, and a forger of what the server sends."""
    server, client = server_context(files.server), client_context(files.ca)
    server.num_tickets = 0
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    client.keylog_filename = str(tmp_path / "keys")
    with tls_pair(server, client) as (server_end, client_end):
        raw = socket.socket(fileno=server_end.detach())
        raw.settimeout(SECONDS)
        with raw:
            yield client_end, raw, Forger(tmp_path / "keys", "SERVER")


def test_a_flood_of_tickets_does_not_hold_a_non_blocking_read(sockets: tuple[Any, Any, Forger]) -> None:
    client, raw, forger = sockets
    raw.sendall(b"".join(forger.ticket(number) for number in range(200)) + forger.record(DATA, b"data"))
    client.setblocking(False)
    waits = 0
    while True:
        assert select.select([client], [], [], SECONDS)[0], "what is left has to stay in sight"
        try:
            data = client.recv(100)
            break
        except ssl.SSLWantReadError:
            waits += 1
    assert data == b"data"
    assert waits >= 5


def test_after_a_flood_of_tickets_a_blocking_read_gives_the_data(sockets: tuple[Any, Any, Forger]) -> None:
    client, raw, forger = sockets
    for timeout in (None, SECONDS):
        client.settimeout(timeout)
        raw.sendall(b"".join(forger.ticket(number) for number in range(200)) + forger.record(DATA, b"data"))
        assert client.recv(100) == b"data"


@pytest.mark.parametrize("there", [1, 4, 5, 6, 1000])
def test_a_record_that_never_comes_whole_is_waited_for_until_the_timeout(
    sockets: tuple[Any, Any, Forger], there: int
) -> None:
    client, raw, forger = sockets
    record = forger.record(DATA, b"x" * 2000)
    raw.sendall(record[:there])
    for timeout, error in ((0.05, TimeoutError), (0, ssl.SSLWantReadError)):
        client.settimeout(timeout)
        with pytest.raises(error):
            client.recv(100)
        assert client.pending() == 0
    raw.sendall(record[there:])
    client.settimeout(SECONDS)
    assert client.recv(3000) == b"x" * 2000


@pytest.mark.parametrize("watched", [False, True], ids=["", "with sni_callback"])
def test_a_client_hello_spread_over_many_records_is_refused(files: Files, watched: bool) -> None:
    context = server_context(files.server)
    if watched:
        context.sni_callback = lambda connection, name, context: None
    incoming = veritls.MemoryBIO()
    server = context.wrap_bio(incoming, veritls.MemoryBIO(), server_side=True)
    content, sent, refused = message(1, b"", length=60_000), 0, False
    while not refused and sent < 200 * KIB:
        records = b"".join(bytes([HANDSHAKE, 3, 1, 0, 1, byte]) for byte in content)
        content = bytes(100)
        incoming.write(records)
        sent += len(records)
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            refused = True
    assert refused and sent < 160 * KIB
