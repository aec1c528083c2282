"""SSLObject over the MemoryBIOs of `ssl`, as event loops hand them over."""

from __future__ import annotations

import contextlib
import ssl
import sys
import threading
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, raw_pair, server_context


def _handshaken(files: Files) -> tuple[Any, Any, ssl.MemoryBIO]:
    """Both ends of a connection, and what the client's end reads from."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(files.server).wrap_bio(up, down, server_side=True)
    client = client_context(files.ca).wrap_bio(down, up, server_hostname="localhost")
    for end in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return server, client, down


def test_reading_while_something_is_pending_gets_everything(files: Files) -> None:
    server, client, incoming = _handshaken(files)
    server.write(bytes(100_000))
    got = len(client.read(10))
    while incoming.pending or client.pending():
        got += len(client.read(10_000))
    assert got == 100_000


@pytest.mark.parametrize("module", [*([ssl] if sys.version_info < (3, 14) else []), veritls])
def test_a_server_may_be_given_a_server_hostname_that_has_no_effect(files: Files, module: Any) -> None:
    """`ssl` refuses it from Python 3.14 on."""
    up, down = module.MemoryBIO(), module.MemoryBIO()
    server = server_context(files.server, module).wrap_bio(up, down, True, "other.example")
    client = client_context(files.ca, module).wrap_bio(down, up, server_hostname="localhost")
    for end in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert server.version() == client.version() == "TLSv1.3"
    assert server.server_hostname == "other.example"
    for name in ("", ".example"):
        with pytest.raises(ValueError):
            server_context(files.server, module).wrap_bio(up, down, True, name)


def test_a_report_on_a_client_names_no_server(files: Files) -> None:
    reports: list[veritls.VerificationReport] = []
    server, client = server_context(files.server), client_context(files.ca)
    client.load_cert_chain(files.server)
    server.load_verify_locations(files.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    server.set_verify_callback(reports.append)
    up, down = veritls.MemoryBIO(), veritls.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname="localhost"), server.wrap_bio(up, down, True, "other")]
    for end in ends * 2:
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert [report.question.server_hostname for report in reports] == [None]


def test_wrap_bio_refuses_a_client_without_a_name_where_names_are_checked(files: Files) -> None:
    with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        client_context(files.ca).wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO())


@pytest.mark.parametrize("module", [ssl, veritls])
def test_wrap_socket_refuses_a_server_hostname_on_a_server(files: Files, module: Any) -> None:
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw, pytest.raises(ValueError, match="only be specified in client mode"):
        server_context(files.server, module).wrap_socket(
            server_raw, server_side=True, server_hostname="localhost"
        )


def test_threads_that_share_an_object_keep_its_bytes_in_order(files: Files) -> None:
    """Each stop, at any opcode of the passing on, lets another thread do the same from begin to end."""
    for place in range(1, 400):
        server, client, _ = _handshaken(files)
        left, stopped = place, False

        def meanwhile(server: Any = server, client: Any = client) -> None:
            server.write(b"2")
            with contextlib.suppress(ssl.SSLWantReadError):
                client.read(0)
            client.write(b"b")

        def trace(frame: Any, event: str, _: Any) -> Any:
            nonlocal left, stopped
            if frame.f_code.co_name not in ("_take_in", "_give_out", "read", "write"):
                return None
            frame.f_trace_opcodes = True
            left -= event == "opcode"
            if event == "opcode" and left == 0:
                stopped = True
                thread = threading.Thread(target=meanwhile)
                thread.start()
                thread.join(SECONDS)
            return trace

        server.write(b"1")
        before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # Python 3.12 looks for it when the trace function is set
        sys.settrace(trace)
        try:
            client.write(b"a")
            got = client.read(1)
        finally:
            sys.settrace(before)
        if not stopped:
            break
        assert got + client.read(1) == b"12", place
        assert {server.read(1), server.read(1)} == {b"a", b"b"}, place
    assert place > 10 and not stopped
