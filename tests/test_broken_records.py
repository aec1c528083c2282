"""What a broken record comes to in mid-connection: the reason that `ssl` gives."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import client_context, server_context, tls_pair

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
VERSION = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)


def changed(record: bytes, at: int) -> bytes:
    return record[:at] + bytes([record[at] ^ 0x0F]) + record[at:][1:]


CHANGES: dict[str, Any] = {
    "plain text in its place": lambda record: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a request in its place": lambda record: b"GET / HTTP/1.1\r\n\r\n",
    "another version": lambda record: changed(record, 1),
    "a changed tag": lambda record: changed(record, len(record) - 1),
    "changed data": lambda record: changed(record, 20),
    "one byte less": lambda record: record[:4] + bytes([record[4] - 1]) + record[5:-1],
}


def reason(module: Any, files: Files, version: Any, reader: str, change: Any) -> str | None:
    """Why an end cannot read a record that was changed on its way."""
    server, client = server_context(files.server, module), client_context(files.ca, module)
    server.maximum_version, server.num_tickets = version, 0
    up, down = module.MemoryBIO(), module.MemoryBIO()
    ends = {
        "server": server.wrap_bio(up, down, server_side=True),
        "client": client.wrap_bio(down, up, server_hostname="localhost"),
    }
    for end in [ends["client"], ends["server"]] * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    ends["client" if reader == "server" else "server"].write(b"hello")
    pipe = up if reader == "server" else down
    pipe.write(change(pipe.read()))
    with pytest.raises(ssl.SSLError) as refused:
        ends[reader].read(10)
    assert str(refused.value.args[1]).startswith(f"[SSL: {refused.value.reason}] ")
    return refused.value.reason


@VERSION
@pytest.mark.parametrize("reader", ["server", "client"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_broken_record_has_the_reason_that_ssl_gives(
    change: str, reader: str, version: Any, files: Files
) -> None:
    expected = reason(ssl, files, version, reader, CHANGES[change])
    assert expected in ("WRONG_VERSION_NUMBER", "DECRYPTION_FAILED_OR_BAD_RECORD_MAC")
    assert reason(veritls, files, version, reader, CHANGES[change]) == expected


@VERSION
@pytest.mark.parametrize("reader", ["server", "client"])
@pytest.mark.parametrize(
    "header", [b"\x14\x03\x03", b"\x15\x03\x03", b"\x16\x03\x03", b"\x18\x03\x03", b"\x17\x03\x01"]
)
def test_an_encrypted_record_of_another_type_or_version_is_refused(
    header: bytes, reader: str, version: Any, files: Files
) -> None:
    def change(record: bytes) -> bytes:
        return header + record[3:]

    assert reason(ssl, files, version, reader, change) is not None
    expected = "PROTOCOL_ERROR" if header[0] == 20 else "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
    assert reason(veritls, files, version, reader, change) == expected


@VERSION
def test_plain_text_on_a_socket_that_speaks_tls_is_told_on_both_sides(version: Any, files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    server.maximum_version = version
    with tls_pair(server, client) as (server_end, client_end):
        socket.socket.send(server_end, b"421 Timeout\r\n")
        client_end.settimeout(10)
        with pytest.raises(ssl.SSLError) as refused:
            while client_end.recv(100):
                pass
        assert refused.value.reason == "WRONG_VERSION_NUMBER"
        with pytest.raises(ssl.SSLError) as told:
            server_end.recv(100)
        assert told.value.reason in ("TLSV1_ALERT_DECODE_ERROR", "TLSV1_ALERT_PROTOCOL_VERSION")
