"""Records as they come from the wire: of every size that RFC 8446 allows, and of sizes that it does not."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, server_context, tls_pair

V = ssl.TLSVersion
HANDSHAKE, APPLICATION_DATA, ALERT = 22, 23, 21
SERVER_KEY_EXCHANGE = 12


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(body).to_bytes(2, "big") + body


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize("module", [ssl, veritls], ids=["ssl", "veritls"])
@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385])
def test_data_of_every_size_arrives_whole(
    files: Files, size: int, module: Any, version: ssl.TLSVersion
) -> None:
    server, client = server_context(files.server, module), client_context(files.ca)
    client.minimum_version = client.maximum_version = version
    data = bytes(range(256)) * 65
    with tls_pair(server, client) as ends:
        for sender, receiver in (ends, ends[::-1]):
            sender.sendall(data[:size])
            sender.sendall(b"!")
            received = b""
            while not received.endswith(b"!") or len(received) <= size:
                received += receiver.recv(65_536)
            assert received == data[:size] + b"!"


@pytest.mark.parametrize("size", [0, 16_385, 16_384 + 2048 + 1, 65_535])
@pytest.mark.parametrize("kind", [HANDSHAKE, APPLICATION_DATA, ALERT])
@pytest.mark.parametrize("server_side", [True, False])
def test_a_first_record_of_an_impossible_size_is_refused(
    files: Files, size: int, kind: int, server_side: bool
) -> None:
    context = server_context(files.server) if server_side else client_context(files.ca)
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    name = None if server_side else "localhost"
    end = context.wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=name)
    incoming.write(record(kind, bytes(size)))
    incoming.write_eof()
    for _ in range(2):
        with pytest.raises(ssl.SSLError) as refused:
            end.do_handshake()
        assert not isinstance(refused.value, ssl.SSLWantReadError)
    with pytest.raises(ssl.SSLError):
        end.read(1)


@pytest.mark.parametrize("size", [16_384 + 256 + 1, 16_384 + 2048 + 1])
@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_record_that_is_too_long_ends_an_established_connection(
    files: Files, size: int, version: ssl.TLSVersion
) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    client.minimum_version = client.maximum_version = version
    server.num_tickets = 0
    with (
        tls_pair(server, client) as (server_end, client_end),
        socket.fromfd(client_end.fileno(), client_end.family, client_end.type) as under,
    ):
        under.settimeout(SECONDS)
        under.sendall(record(APPLICATION_DATA, bytes(size)))
        for _ in range(2):
            with pytest.raises(ssl.SSLError):
                server_end.recv(10)


def test_a_peer_that_does_not_prove_its_key_is_refused_under_cert_none(files: Files) -> None:
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.maximum_version = V.TLSv1_2
    to_client, to_server = veritls.MemoryBIO(), veritls.MemoryBIO()
    server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    server_end = server_context(files.server, ssl).wrap_bio(server_in, server_out, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client_end.do_handshake()
    server_in.write(to_server.read())
    with pytest.raises(ssl.SSLWantReadError):
        server_end.do_handshake()
    flight, at, changed = bytearray(server_out.read()), 0, False
    while at < len(flight):  # each record is one message here; the key exchange's ends in the signature
        length = int.from_bytes(flight[at + 3 : at + 5], "big")
        if flight[at + 5] == SERVER_KEY_EXCHANGE:
            flight[at + 5 + length - 1] ^= 1
            changed = True
        at += 5 + length
    assert changed
    to_client.write(bytes(flight))
    with pytest.raises(ssl.SSLError, match=r"(?i)signature"):
        client_end.do_handshake()
    answer = to_server.read()
    assert answer[0] == ALERT and answer[5:] == bytes([2, 51])  # fatal, decrypt_error
