"""Wherever a mutual handshake is cut, or whichever byte of it is changed, each side has one event."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.operate.ways import Heard, mutual

STEP = 13
"""Every so many bytes: a signature's length differs from run to run, and so does what is hit."""


Change = Callable[[int, bytes], tuple[bytes, bool]]


def shaken(server: Any, client: Any, change: Change) -> int:
    """Drives both ends in memory. `change`: what becomes of the bytes that the client sends from a place on,
    and whether that is all that comes.

    Returns how many bytes the client sent.
    """
    into_server, into_client = veritls.MemoryBIO(), veritls.MemoryBIO()
    from_client = veritls.MemoryBIO()
    theirs = client.wrap_bio(into_client, from_client, server_hostname="localhost")
    ours = server.wrap_bio(into_server, into_client, server_side=True)
    sent, ended, running = 0, False, {theirs, ours}
    while running:
        for end in (theirs, ours):
            if end not in running:
                continue
            try:
                end.do_handshake()
                running.discard(end)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                running.discard(end)
        if theirs not in running and ours in running and not (from_client.pending or ended):
            ended = True
            into_server.write_eof()
        data = from_client.read()
        if data and not ended:
            passed, ended = change(sent, data)
            into_server.write(passed)
            if ended:
                into_server.write_eof()
        sent += len(data)
        if ours not in running and theirs in running and not into_client.pending:
            into_client.write_eof()
    if ours.version() and theirs.version():
        return sent
    try:
        theirs.read(1)
    except ssl.SSLError:
        return sent
    return sent


def one_each(files: Files, change: Change) -> tuple[list[str], list[str], int]:
    server, client = mutual(files)
    heard = Heard(), Heard()
    server.on_handshake(heard[0])
    client.on_handshake(heard[1])
    sent = shaken(server, client, change)
    return heard[0].outcomes(), heard[1].outcomes(), sent


@pytest.fixture(scope="module")
def length(files: Files) -> int:
    server, client, sent = one_each(files, lambda at, data: (data, False))
    assert server == client == ["completed"]
    return sent


def test_a_handshake_that_is_cut_at_any_byte_is_one_event(files: Files, length: int) -> None:
    for end in [0, 1, 5, *range(STEP, length - 1, STEP)]:

        def cut(at: int, data: bytes, end: int = end) -> tuple[bytes, bool]:
            return data[: end - at], at + len(data) > end

        server, _, _ = one_each(files, cut)
        assert len(server) == 1, (end, server)
        assert server[0] in ("gone", "probe"), (end, server)
        assert (server[0] == "probe") == (end == 0), (end, server)


def test_a_handshake_with_any_byte_changed_is_one_event(files: Files, length: int) -> None:
    ends = {"completed", "refused", "refused_by_peer", "probe", "gone"}
    for place in range(0, length, STEP):

        def flip(at: int, data: bytes, place: int = place) -> tuple[bytes, bool]:
            if at <= place < at + len(data):
                data = data[: place - at] + bytes([data[place - at] ^ 0x20]) + data[place - at + 1 :]
            return data, False

        server, client, _ = one_each(files, flip)
        assert len(server) == 1 and server[0] in ends, (place, server)
        assert [each for each in client if each != "refused_late"] in (
            [["completed"], ["refused_by_peer"], ["refused"], ["gone"]]
        ), (place, client)
        assert client.count("refused_late") <= 1
