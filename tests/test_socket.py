"""SSLSocket and SSLObject as programs use them: threads, signals, files, listeners, plain TCP after TLS."""

from __future__ import annotations

import array
import asyncio
import contextlib
import ctypes
import os
import pickle
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context, tls_pair


def test_one_thread_may_wait_in_recv_while_another_sends(ends: Any) -> None:
    server, client = ends
    waiting = in_thread(client.recv, 100)
    for number in range(50):
        client.sendall(b"x" * 10_000)
        received = 0
        while received < 10_000:
            received += len(server.recv(100_000))
        assert not waiting.done(), number
    server.sendall(b"at last")
    assert waiting.result(SECONDS) == b"at last"


def test_both_directions_carry_bulk_at_once(ends: Any) -> None:
    size = 3_000_000

    def receive(end: Any) -> Any:
        got = 0
        while got < size:
            got += len(end.recv(65536))
        return got

    work = [in_thread(receive, end) for end in ends] + [in_thread(end.sendall, bytes(size)) for end in ends]
    assert [future.result(30) for future in work] == [size, size, None, None]


def test_ctrl_c_interrupts_a_blocked_recv(files: Files) -> None:
    program = f"""
import signal, socket, sys, threading, os
from tests.support.connections import client_context, server_context, tls_pair
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs us in the background ignores it
server_side = server_context(Path({str(files.server)!r}))
with tls_pair(server_side, client_context(Path({str(files.ca)!r}))) as (server, client):
    client.settimeout(None)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        client.recv(1)
    except KeyboardInterrupt:
        server.sendall(b"still here")
        assert client.recv(100) == b"still here"
        print("interrupted")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, cwd=os.getcwd()
    )
    assert done.stdout == "interrupted\n", done.stderr


def test_a_signal_handler_that_returns_does_not_end_a_recv(ends: Any) -> None:
    server, client = ends
    seen = []

    def handle(*_: object) -> None:
        seen.append(1)
        server.sendall(b"from handler")

    previous = signal.signal(signal.SIGUSR1, handle)
    try:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        assert client.recv(100) == b"from handler"
        assert seen == [1]
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, previous)


def test_the_gil_is_free_while_a_recv_waits(ends: Any) -> None:
    server, client = ends
    waiting = in_thread(client.recv, 1)
    counted = in_thread(lambda: sum(range(1000)))
    assert counted.result(SECONDS) == 499500 and not waiting.done()
    server.sendall(b"x")
    assert waiting.result(SECONDS) == b"x"


def test_recv_with_a_timeout_says_which_operation_timed_out_and_goes_on_later(ends: Any) -> None:
    server, client = ends
    client.settimeout(0.05)
    with pytest.raises(TimeoutError, match="The read operation timed out"):
        client.recv(1)
    server.sendall(b"late")
    client.settimeout(SECONDS)
    assert client.recv(10) == b"late"


def test_a_non_blocking_recv_wants_to_read(ends: Any) -> None:
    server, client = ends
    client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        client.recv(1)
    server.sendall(b"now")
    assert select.select([client], [], [], SECONDS)[0]
    assert client.recv(10) == b"now"


def test_a_non_blocking_send_that_wants_to_write_is_repeated_without_loss(ends: Any) -> None:
    server, client = ends
    client.setblocking(False)
    data = os.urandom(5_000_000)

    def receive() -> Any:
        got = bytearray()
        while len(got) < len(data):
            got += server.recv(65536)
        return bytes(got)

    sent = 0
    blocked = 0
    receiving = None
    view = memoryview(data)
    while sent < len(data):
        try:
            sent += client.send(view[sent:])
        except ssl.SSLWantWriteError:
            blocked += 1
            receiving = receiving or in_thread(receive)
            assert select.select([], [client], [], SECONDS)[1]
    assert blocked and receiving is not None and receiving.result(SECONDS) == data


def test_the_repetition_of_a_blocked_send_with_less_data_is_refused(ends: Any) -> None:
    _, client = ends
    client.setblocking(False)
    with pytest.raises(ssl.SSLWantWriteError):
        while True:
            client.send(bytes(16384))
    with pytest.raises(ssl.SSLError, match="BAD_WRITE_RETRY"):
        client.send(b"x")


def test_select_shows_everything_that_pending_does_not(ends: Any) -> None:
    """After a recv that did not fill its buffer nothing is left in TLS that select would not show."""
    server, client = ends
    for size in (10, 1000, 16384, 40_000):
        for part in range(5):
            server.sendall(bytes([part]) * size)
        got = 0
        while got < 5 * size:
            assert client.pending() or select.select([client], [], [], SECONDS)[0]
            got += len(client.recv(1500))
        assert client.pending() == 0


def test_recv_into_fills_at_most_what_was_asked(ends: Any) -> None:
    server, client = ends
    server.sendall(b"0123456789")
    buffer = bytearray(b"----------")
    assert client.recv_into(buffer, 4) == 4 and buffer == b"0123------"
    assert client.pending() == 6
    assert client.recv_into(memoryview(buffer)[4:]) == 6 and buffer == b"0123456789"
    assert client.recv(0) == b""
    with pytest.raises(TypeError):
        client.recv_into(b"read only")
    with pytest.raises(ValueError):
        client.recv(-1)


def test_flags_and_datagram_calls_are_refused_while_tls_is_on(ends: Any) -> None:
    _, client = ends
    calls: list[Callable[[], object]] = [
        lambda: client.recv(1, socket.MSG_PEEK),
        lambda: client.recv_into(bytearray(1), 1, socket.MSG_PEEK),
        lambda: client.send(b"x", socket.MSG_OOB),
        lambda: client.sendall(b"x", socket.MSG_OOB),
        lambda: client.sendto(b"x", ("127.0.0.1", 1)),
        lambda: client.recvfrom(1),
        lambda: client.recvfrom_into(bytearray(1)),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            call()
    for call in (client.sendmsg, client.recvmsg, client.recvmsg_into, client.dup):
        with pytest.raises(NotImplementedError):
            call()


def test_unwrap_leaves_plain_tcp(ends: Any) -> None:
    server, client = ends

    def serve() -> Any:
        assert server.recv(10) == b""
        plain = server.unwrap()
        plain.sendall(b"plain " + plain.recv(10))
        with pytest.raises(ValueError):
            server.unwrap()

    serving = in_thread(serve)
    plain = client.unwrap()
    plain.sendall(b"text")
    assert plain.recv(100) == b"plain text"
    serving.result(SECONDS)


def test_after_shutdown_nothing_is_sent_unprotected_and_the_other_direction_stays(ends: Any) -> None:
    server, client = ends
    client.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError):
        client.send(b"secret")
    assert server.recv(100) == b""
    server.sendall(b"protected")
    assert client.recv(100) == b"protected"


def test_makefile_reads_lines_and_writes(ends: Any) -> None:
    server, client = ends
    with server.makefile("rwb") as theirs, client.makefile("rwb") as ours:
        ours.write(b"one\ntwo\n")
        ours.flush()
        assert [theirs.readline(), theirs.readline()] == [b"one\n", b"two\n"]


def test_sendfile_sends_the_file(ends: Any, tmp_path: Path) -> None:
    server, client = ends
    path = tmp_path / "data"
    path.write_bytes(os.urandom(200_000))
    with path.open("rb") as file:
        sending = in_thread(client.sendfile, file)
        got = b""
        while len(got) < 200_000:
            got += server.recv(65536)
        assert sending.result(SECONDS) == 200_000
    assert got == path.read_bytes()


def test_a_wrapped_listener_accepts_wrapped_connections(files: Files) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as plain,
        server_context(files.server).wrap_socket(plain, server_side=True) as listener,
    ):
        listener.settimeout(SECONDS)
        accepting = in_thread(listener.accept)
        with client_context(files.ca).wrap_socket(socket.socket(), server_hostname="localhost") as client:
            client.settimeout(SECONDS)
            assert client.version() is None and client.cipher() is None
            client.connect(listener.getsockname())
            with pytest.raises(ValueError):
                client.connect(listener.getsockname())
            server, address = accepting.result(SECONDS)
            with server:
                assert address == client.getsockname()
                server.sendall(b"welcome")
                assert client.recv(100) == b"welcome"
                assert client.server_hostname == "localhost" and client.session_reused is False


def test_a_connect_that_fails_leaves_a_socket_without_tls(files: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()
    with client_context(files.ca).wrap_socket(socket.socket(), server_hostname="localhost") as client:
        client.settimeout(SECONDS)
        assert client.connect_ex(address) != 0
        with pytest.raises(OSError):
            client.do_handshake()


def test_a_handshake_that_fails_closes_the_socket(files: Files) -> None:
    server_raw, client_raw = raw_pair()
    serving = in_thread(server_context(files.stranger).wrap_socket, server_raw, server_side=True)
    with server_raw:
        with pytest.raises(ssl.SSLCertVerificationError):
            client_context(files.ca).wrap_socket(client_raw, server_hostname="localhost")
        assert client_raw.fileno() == -1
        with pytest.raises(ssl.SSLError):
            serving.result(SECONDS)


def test_a_changed_setting_holds_for_the_next_connection(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        server.maximum_version = version
        with tls_pair(server, client) as (end, _):
            assert end.version() == version.name.replace("_", ".")
    server.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(ssl.SSLError), tls_pair(server, client) as (_, end):
        end.recv(1)


def test_threads_share_a_context(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)

    def talk() -> Any:
        for _ in range(10):
            with tls_pair(server, client) as (left, right):
                right.sendall(b"x")
                assert left.recv(1) == b"x"

    for future in [in_thread(talk) for _ in range(8)]:
        future.result(60)


def test_alpn_agrees_on_the_servers_first_choice(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    server.set_alpn_protocols(["h2", "http/1.1"])
    client.set_alpn_protocols(["http/1.1", "h2"])
    with tls_pair(server, client) as ends:
        assert [end.selected_alpn_protocol() for end in ends] == ["h2", "h2"]
    for wrong in ([""], ["x" * 256]):
        with pytest.raises(ssl.SSLError):
            server.set_alpn_protocols(wrong)


def test_asyncio_of_the_standard_library_works_through_wrap_bio(files: Files) -> None:
    async def main() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(100_000))
            await writer.drain()
            writer.close()

        serving = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(files.server))
        address = serving.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(
            *address, ssl=client_context(files.ca), server_hostname="localhost"
        )
        writer.write(bytes(100_000))
        got = await reader.read(-1)
        writer.close()
        serving.close()
        return got

    assert asyncio.run(asyncio.wait_for(main(), SECONDS)) == bytes(100_000)


def test_wrap_bio_takes_the_buffers_of_the_standard_library(files: Files) -> None:
    buffers = [ssl.MemoryBIO() for _ in range(4)]
    server = server_context(files.server).wrap_bio(buffers[0], buffers[1], server_side=True)
    client = client_context(files.ca).wrap_bio(buffers[2], buffers[3], server_hostname="localhost")
    for _ in range(5):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            buffers[0].write(buffers[3].read())
            buffers[2].write(buffers[1].read())
    client.write(b"hello")
    buffers[0].write(buffers[3].read())
    assert server.read() == b"hello"
    with pytest.raises(TypeError):
        server_context(files.server).wrap_bio(object(), object(), server_side=True)


def test_objects_are_instances_of_the_standard_classes(ends: Any) -> None:
    server, client = ends
    for end in ends:
        assert isinstance(end, ssl.SSLSocket) and isinstance(end, socket.socket)
    assert isinstance(server.context, ssl.SSLContext)
    tls = client.context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname="x")
    assert isinstance(tls, ssl.SSLObject)
    for thing in (server, server.context):
        with pytest.raises(TypeError):
            pickle.dumps(thing)


def test_data_before_a_refused_handshake_is_never_delivered(files: Files) -> None:
    """CVE-2023-40217: plain bytes that came before TLS must not be read as if it had protected them."""
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        client_raw.sendall(b"DELETE / HTTP/1.0\r\n\r\n")
        client_raw.close()
        with pytest.raises(OSError):
            server_context(files.server).wrap_socket(server_raw, server_side=True)
        assert server_raw.fileno() == -1


@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR])
def test_shutdown_after_the_peer_has_closed_is_no_error(files: Any, how: int) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server_end, client_end):
        client_end.sendall(b"ping")
        assert server_end.recv(4) == b"ping"
        server_end.close()
        client_end.shutdown(how)


def test_a_reset_by_the_peer_reads_as_with_ssl(files: Any) -> None:
    def outcome(module: Any) -> Any:
        server, client = server_context(files.server, module), client_context(files.ca, module)
        with tls_pair(server, client) as (server_end, client_end):
            client_end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client_end.close()
            try:
                return server_end.recv(10)
            except OSError as error:
                return type(error)

    assert outcome(veritls) == outcome(ssl)


def test_any_contiguous_buffer_can_be_sent_and_received_into(files: Any) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server_end, client_end):
        kinds = [b"data", bytearray(b"data"), memoryview(b"data"), (ctypes.c_ubyte * 4)(*b"data")]
        for data in [*kinds, array.array("H", b"data"), memoryview(b"data").cast("H")]:
            client_end.sendall(data)
            into = (ctypes.c_ubyte * 4)()
            assert server_end.recv_into(into) == 4
            assert bytes(into) == b"data"
        with pytest.raises(BufferError):
            client_end.sendall(memoryview(b"d.a.t.a")[::2])
        with pytest.raises(TypeError):
            client_end.sendall("data")


def test_reading_after_shutdown_goes_on_to_the_end(files: Files) -> None:
    """The usual loop of a client that has said all: shutdown(SHUT_WR), then recv until nothing comes."""
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert server.recv(100) == b"question"
        assert server.recv(100) == b""
        server.sendall(b"answer")
        server.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"answer"
        assert client.recv(100) == b""
        assert client.recv_into(bytearray(10)) == 0


def test_a_refusal_is_an_alert_and_no_reset_whatever_the_peer_has_sent_meanwhile(files: Files) -> None:
    """Closing with unread bytes resets the connection, and a reset overtakes the alert."""
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        server = server_context(files.stranger, ssl).wrap_bio(
            incoming := ssl.MemoryBIO(), out := ssl.MemoryBIO(), True
        )
        refusing = in_thread(client_context(files.ca).wrap_socket, client_raw, server_hostname="localhost")
        incoming.write(server_raw.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        # What follows the flight in the same segment is left unread by a client that refuses the flight.
        server_raw.sendall(out.read() + b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLCertVerificationError):
            refusing.result(SECONDS)
        incoming.write(server_raw.recv(65536))
        assert server_raw.recv(1) == b""
        with pytest.raises(ssl.SSLError, match="unknown ca"):
            server.do_handshake()


class LikeASocket:
    """What another library takes for a socket: one within it."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_what_is_no_socket_but_has_all_of_one_is_wrapped_as_by_ssl(files: Files) -> None:
    for module in (ssl, veritls):
        ours, theirs = raw_pair()
        server = in_thread(server_context(files.server).wrap_socket, theirs, server_side=True)
        context = client_context(files.ca, module)
        with context.wrap_socket(LikeASocket(ours), server_hostname="localhost") as client:
            assert (client.family, client.type) == (socket.AF_INET, socket.SOCK_STREAM)
            with server.result(SECONDS) as tls:
                tls.sendall(b"x")
                assert client.recv(1) == b"x"
