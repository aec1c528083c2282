"""Several threads on one connection."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest

from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, server_context, tls_pair

SIZE = 6 * 1024 * 1024


def send(end: Any, data: bytes) -> None:
    """All of `data`, in calls of many sizes."""
    at, step = 0, 1
    while at < len(data):
        end.sendall(data[at : at + step])
        at, step = at + step, step % 300_000 * 2 + 1


def receive(end: Any, size: int) -> str:
    """The digest of the next `size` bytes, read in calls of many sizes and of both kinds."""
    digest, left, step = hashlib.sha256(), size, 1
    buffer = bytearray(200_000)
    while left:
        wanted = min(step, left, len(buffer))
        if step % 3:
            piece: Any = end.recv(wanted)
        else:
            piece = memoryview(buffer)[: end.recv_into(buffer, wanted)]
        assert 0 < len(piece) <= wanted
        digest.update(piece)
        left, step = left - len(piece), step % 150_000 * 2 + 1
    return digest.hexdigest()


@pytest.mark.parametrize("timeout", [None, SECONDS])
def test_both_directions_carry_data_at_once(files: Files, timeout: float | None) -> None:
    there, back = random.Random(1).randbytes(SIZE), random.Random(2).randbytes(SIZE)
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        for end in (server, client):
            end.settimeout(timeout)
        sending = [in_thread(send, client, there), in_thread(send, server, back)]
        receiving = [in_thread(receive, server, SIZE), in_thread(receive, client, SIZE)]
        digests = [each.result(6 * SECONDS) for each in receiving]
        for each in sending:
            each.result(SECONDS)
    assert digests == [hashlib.sha256(data).hexdigest() for data in (there, back)]


def test_what_several_threads_send_arrives_in_whole_calls(files: Files) -> None:
    size, calls, threads = 200_000, 10, 4
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        client.settimeout(6 * SECONDS)

        def work(mark: int) -> None:
            for _ in range(calls):
                client.sendall(bytes([mark]) * size)

        sending = [in_thread(work, mark) for mark in range(threads)]
        received = bytearray()
        while len(received) < size * calls * threads:
            received += server.recv(65_536)
        for each in sending:
            each.result(SECONDS)
    blocks = [received[at : at + size] for at in range(0, len(received), size)]
    assert all(len(set(block)) == 1 for block in blocks)
    assert sorted(block[0] for block in blocks) == sorted(list(range(threads)) * calls)
