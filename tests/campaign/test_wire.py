"""The man in the middle hurts what it is told to and nothing else, and what nobody noticed is told."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest

from campaign import every_byte
from campaign.ends import OK, PING, PONG, Side
from campaign.wire import CUT, DOWN, FLIP, STALL, UP, Fault, Link, Place, Records, Wire
from tests.support.connections import SECONDS

FIRST = b"\x16\x03\x01\x00\x04data"
SECOND = b"\x17\x03\x03\x00\x02xy"


@pytest.fixture
def wire() -> Iterator[Wire]:
    running = Wire()
    yield running
    running.close()


def through(wire: Wire, fault: Fault | None) -> tuple[Link, socket.socket, socket.socket]:
    link, client, server = wire.link(fault)
    for end in (client, server):
        end.settimeout(SECONDS)
    return link, client, server


def all_of(end: socket.socket) -> bytes:
    data = b""
    while piece := end.recv(1000):
        data += piece
    return data


def test_bytes_go_both_ways_and_the_ends_of_both_streams_too(wire: Wire) -> None:
    link, client, server = through(wire, None)
    with client, server:
        client.sendall(FIRST)
        client.shutdown(socket.SHUT_WR)
        assert all_of(server) == FIRST
        server.sendall(SECOND)
        server.close()
        assert all_of(client) == SECOND
    assert link.over.wait(SECONDS)
    assert link.passed == [len(FIRST), len(SECOND)]
    assert [each.number for each in link.records] == [1, 1]


@pytest.mark.parametrize("at", range(len(FIRST + SECOND)))
def test_a_flip_changes_one_bit_of_one_byte(wire: Wire, at: int) -> None:
    link, client, server = through(wire, Fault(FLIP, DOWN, at, 3))
    with client, server:
        server.sendall(FIRST + SECOND)
        server.shutdown(socket.SHUT_WR)
        came = all_of(client)
    different = [(one, other) for one, other in zip(came, FIRST + SECOND, strict=True) if one != other]
    assert different == [(came[at], came[at] ^ 8)]
    record, offset = (0, at) if at < len(FIRST) else (1, at - len(FIRST))
    assert link.place == Place(record, offset, (FIRST, SECOND)[record][0])


def test_a_cut_lets_pass_what_is_before_it_and_ends_both_sides(wire: Wire) -> None:
    link, client, server = through(wire, Fault(CUT, UP, 7))
    with client, server:
        client.sendall(FIRST)
        assert all_of(server) == FIRST[:7]
        assert all_of(client) == b""
    assert link.reached


def test_a_stall_holds_back_the_rest_and_the_end_of_one_direction_alone(wire: Wire) -> None:
    _, client, server = through(wire, Fault(STALL, UP, 3))
    with client, server:
        client.sendall(FIRST)
        client.shutdown(socket.SHUT_WR)
        assert server.recv(3) == FIRST[:3]
        server.sendall(SECOND)
        assert client.recv(100) == SECOND
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(1)


def test_records_are_followed_whatever_the_pieces() -> None:
    whole = FIRST + SECOND
    for first in range(len(whole)):
        records = Records()
        records.take(whole[:first])
        place = records.place(whole[first])
        records.take(whole[first:])
        assert records.number == 2
        assert place.record == (first >= len(FIRST))


WAY = every_byte.Way(
    "a driver", "TLSv1.3", None, None, ssl, lengths=[100, 100], records=[5, 5], needed=(3, 3)
)


class _Hurt:
    """What `problems` looks at of a link."""

    def __init__(self, place: Place | None) -> None:
        self.place = place


@pytest.mark.parametrize(
    ("server", "client", "place", "words"),
    [
        (Side(True, PING), Side(True, PONG), Place(1, 9, 23), "neither side noticed"),
        (Side(True, PING), Side(True, PONG), Place(1, 9, 23), "completed its handshake without record 2"),
        (Side(True, b"from the client?", OK), Side(outcome="SSLError"), None, "accepted changed data"),
        (Side(outcome="KeyError", usual=False), Side(outcome="SSLError"), None, "raised KeyError"),
        (Side(outcome="TimeoutError"), Side(outcome="SSLError"), None, "did not notice the end"),
    ],
)
def test_the_campaign_says_what_is_not_as_promised(
    server: Side, client: Side, place: Place | None, words: str
) -> None:
    fault = Fault(CUT, UP, 9)
    said = list(every_byte.problems(WAY, fault, _Hurt(place), server, client))  # type: ignore[arg-type]
    assert any(words in each for each in said)


def test_a_refusal_at_both_ends_is_as_promised() -> None:
    refused, place = Side(outcome="SSLError"), Place(1, 9, 23)
    link = _Hurt(place)
    assert not list(every_byte.problems(WAY, Fault(FLIP, UP, 9), link, refused, refused))  # type: ignore[arg-type]
