"""SSLObject over memory: what stays in the buffers, and what is put back there."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import client_context, server_context


class Pair:
    """Both ends over buffers of `module`, established; `carry` takes what one says to the other."""

    def __init__(self, files: Files, module: Any) -> None:
        self.client_in, self.client_out = module.MemoryBIO(), module.MemoryBIO()
        self.server_in, self.server_out = module.MemoryBIO(), module.MemoryBIO()
        client, server = client_context(files.ca), server_context(files.server)
        self.client = client.wrap_bio(self.client_in, self.client_out, server_hostname="localhost")
        self.server = server.wrap_bio(self.server_in, self.server_out, server_side=True)
        for end in (self.client, self.server, self.client, self.server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            self.carry()

    def carry(self) -> None:
        self.server_in.write(self.client_out.read())
        self.client_in.write(self.server_out.read())


@pytest.fixture(params=[veritls, ssl], ids=["veritls", "ssl"])
def pair(files: Files, request: pytest.FixtureRequest) -> Pair:
    return Pair(files, request.param)


def test_data_of_many_records_is_read_in_pieces_of_any_size(pair: Pair) -> None:
    data = bytes(range(251)) * 1000
    pair.client.write(data)
    pair.carry()
    received, size = b"", 1
    while len(received) < len(data):
        piece = pair.server.read(size)
        assert 0 < len(piece) <= size
        received += piece
        size = size % 40_000 * 3 + 1
    assert received == data
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.read(1)


def test_records_that_come_byte_by_byte_are_put_together(pair: Pair) -> None:
    for data in (b"first", b"second" * 100):
        pair.client.write(data)
        *begin, last = pair.client_out.read()
        for byte in begin:
            pair.server_in.write(bytes([byte]))
            with pytest.raises(ssl.SSLWantReadError):
                pair.server.read(1000)
        pair.server_in.write(bytes([last]))
        assert pair.server.read(1000) == data


@pytest.mark.parametrize("apart", [True, False])
def test_plain_bytes_after_close_notify_are_put_back_in_order(pair: Pair, apart: bool) -> None:
    plain = b"220 in the clear from here on\r\n" * 50
    pair.client.write(b"the last words")
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.server_in.write(pair.client_out.read() + (b"" if apart else plain))
    assert pair.server.read(100) == b"the last words"
    assert pair.server.read(100) == b""
    if apart:
        pair.server_in.write(plain)
    pair.server.unwrap()
    assert pair.server_in.read() == plain
    assert pair.server.pending() == 0


def test_an_end_within_a_record_is_an_end_without_leave(pair: Pair) -> None:
    pair.client.write(b"cut off")
    pair.server_in.write(pair.client_out.read()[:-1])
    pair.server_in.write_eof()
    for _ in range(2):
        with pytest.raises(ssl.SSLEOFError):
            pair.server.read(100)
