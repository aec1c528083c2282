"""What a peer's reset comes to: what it comes to with the `ssl` of the running interpreter."""

from __future__ import annotations

import select
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def reset(peer: socket.socket, met_by: socket.socket) -> None:
    """Ends `peer` by a reset, and waits until `met_by` has got it, which no call has seen yet."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    waiting = select.poll()
    waiting.register(met_by.fileno(), 0)
    assert waiting.poll(SECONDS * 1000)


def at_once(end: Any, peer: Any) -> None:
    reset(peer, end)


def with_our_data_unread(end: Any, peer: Any) -> None:
    end.sendall(b"x" * 1000)
    reset(peer, end)


def behind_data(end: Any, peer: Any) -> None:
    peer.sendall(b"hello")
    assert select.select([end], [], [], SECONDS)[0]
    reset(peer, end)


def behind_data_of_which_some_was_read(end: Any, peer: Any) -> None:
    peer.sendall(b"hello")
    end.recv(2)
    reset(peer, end)


def outcomes(
    module: Any, files: Files, version: Any, ours: str, prepare: Callable[..., None], **options: Any
) -> list[object]:
    """What four reads of one end come to whose peer, of `ssl`, resets the connection."""
    server = server_context(files.server, module if ours == "server" else ssl)
    client = client_context(files.ca, module if ours == "client" else ssl)
    server.maximum_version = version
    if ours == "client":
        server.num_tickets = 0  # what can be read is data then
    server_raw, client_raw = raw_pair()
    here = options if ours == "server" else {}
    there = options if ours == "client" else {}
    with server_raw, client_raw:
        serving = in_thread(server.wrap_socket, server_raw, server_side=True, **here)
        client_end = client.wrap_socket(client_raw, server_hostname="localhost", **there)
        server_end = serving.result(SECONDS)
    ends = (server_end, client_end) if ours == "server" else (client_end, server_end)
    found: list[object] = []
    with ends[0] as end, ends[1] as peer:
        prepare(end, peer)
        for size in (1, 100, 100, 100):
            try:
                found.append(end.recv(size))
            except OSError as error:
                found.append((type(error), error.errno))
    return found


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("ours", ["client", "server"])
@pytest.mark.parametrize(
    "prepare", [at_once, with_our_data_unread, behind_data, behind_data_of_which_some_was_read]
)
def test_a_reset_reads_as_with_the_interpreters_ssl(
    version: Any, ours: str, prepare: Callable[..., None], files: Files
) -> None:
    expected = outcomes(ssl, files, version, ours, prepare)
    assert outcomes(veritls, files, version, ours, prepare) == expected


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("ours", ["client", "server"])
def test_a_reset_is_told_where_ragged_ends_are_not_suppressed(version: Any, ours: str, files: Files) -> None:
    found = outcomes(veritls, files, version, ours, behind_data, suppress_ragged_eofs=False)
    assert found[:2] == [b"h", b"ello"]
    assert found[2:] == [(ConnectionResetError, 104), (ssl.SSLEOFError, ssl.SSL_ERROR_EOF)]
