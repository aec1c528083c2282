"""How a connection ends: `unwrap` while the peer goes on sending, and a send that cannot go on."""

from __future__ import annotations

import contextlib
import socket
import ssl

import pytest

from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context, tls_pair
from tests.support.memory import connect


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_unwrap_is_an_error_where_the_peer_goes_on_sending(files: Files, version: ssl.TLSVersion) -> None:
    server = server_context(files.server)
    server.maximum_version = version
    with tls_pair(server, client_context(files.ca)) as (server_end, end):
        server_end.sendall(b"and another thing")
        server_end.shutdown(socket.SHUT_WR)
        with pytest.raises(ssl.SSLError) as refused:
            end.unwrap()
        assert refused.value.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
        with pytest.raises(OSError):
            end.sendall(b"not in the clear")  # nor is it plain TCP now


def test_unwrap_in_memory_is_an_error_where_the_peer_goes_on_sending(files: Files) -> None:
    outcome = connect(server_context(files.server), client_context(files.ca))
    outcome.server.write(b"and another thing")
    with contextlib.suppress(ssl.SSLWantReadError):
        outcome.server.unwrap()
    with pytest.raises(ssl.SSLError) as refused:
        outcome.client.unwrap()
    assert refused.value.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"


@pytest.mark.parametrize("timeout", [None, SECONDS])
@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_a_send_that_cannot_go_on_fails_at_once_where_the_peer_sends_nothing(
    files: Files, family: str, timeout: float | None
) -> None:
    server_raw, client_raw = socket.socketpair() if family == "unix" else raw_pair()
    with server_raw, client_raw:
        server_raw.settimeout(SECONDS)
        serving = in_thread(server_context(files.server).wrap_socket, server_raw, server_side=True)
        end = client_context(files.ca).wrap_socket(client_raw, server_hostname="localhost")
        with end, serving.result(SECONDS) as server_end:
            if family == "unix":
                socket.socket.shutdown(server_end, socket.SHUT_RD)
            else:
                socket.socket.shutdown(end, socket.SHUT_WR)
            end.settimeout(timeout)
            error = in_thread(end.sendall, bytes(1_000_000)).exception(SECONDS / 2)
            assert isinstance(error, BrokenPipeError)
