"""Nothing passes in the clear over an SSLSocket, in whatever state it is, but after `unwrap`."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context, tls_pair

SECRET = b"what must not be seen"
RAW = b"what was never protected"


def _into(receive: Callable[[bytearray], Any]) -> bytes:
    buffer = bytearray(100)
    receive(buffer)
    return bytes(buffer)


def _file(data: bytes) -> Any:
    file = os.memfd_create("data")
    os.write(file, data)
    os.lseek(file, 0, os.SEEK_SET)
    return open(file, "rb")


def _made(end: Any, mode: str, use: Callable[[Any], Any]) -> Any:
    # Closing it does more than was asked.
    with contextlib.suppress(OSError, ValueError), end.makefile(mode, 0) as file:
        return use(file)
    raise OSError(errno.EBADF, "in the file")


NOT_PLAIN = {"read", "read into", "recvmsg", "recvmsg_into", "write", "sendmsg"}
"""What works under TLS only, or never."""
OUT_OF_BAND = "out of band"
"""Its last byte does not come with the others."""
CALLS: dict[str, Callable[[Any], Any]] = {
    "recv": lambda end: end.recv(100),
    "recv_into": lambda end: _into(end.recv_into),
    "read": lambda end: end.read(100),
    "read into": lambda end: _into(lambda buffer: end.read(100, buffer)),
    "recvfrom": lambda end: end.recvfrom(100)[0],
    "recvfrom_into": lambda end: _into(end.recvfrom_into),
    "recvmsg": lambda end: end.recvmsg(100),
    "recvmsg_into": lambda end: end.recvmsg_into([bytearray(100)]),
    "peek": lambda end: end.recv(100, socket.MSG_PEEK),
    "read of makefile": lambda end: _made(end, "rb", lambda file: file.read(100)),
    "send": lambda end: end.send(SECRET),
    "sendall": lambda end: end.sendall(SECRET),
    "write": lambda end: end.write(SECRET),
    "sendto": lambda end: end.sendto(SECRET, ("127.0.0.1", 9)),
    "sendto at once": lambda end: end.sendto(SECRET, socket.MSG_FASTOPEN, ("127.0.0.1", 9)),
    "sendmsg": lambda end: end.sendmsg([SECRET]),
    "sendfile": lambda end: end.sendfile(_file(SECRET)),
    "sendfile by pieces": lambda end: end.sendfile(io.BytesIO(SECRET)),
    OUT_OF_BAND: lambda end: end.send(SECRET, socket.MSG_OOB),
    "write of makefile": lambda end: _made(end, "wb", lambda file: file.write(SECRET)),
}


class World:
    def __init__(self, files: Files) -> None:
        self.server = server_context(files.server)
        self.client = client_context(files.ca)
        self.stranger = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[Any, socket.socket]]:
        """A connection: our end, and the peer's socket without TLS."""
        with tls_pair(self.server, self.client) as (server, client):
            client.settimeout(0.2)
            with socket.socket(fileno=os.dup(server.fileno())) as raw:
                raw.settimeout(SECONDS)
                yield client, raw

    @contextlib.contextmanager
    def handshaking(self) -> Iterator[tuple[Any, socket.socket]]:
        raw, ours = raw_pair()
        with raw, ours:
            ours.settimeout(0.2)
            name: dict[str, Any] = {"server_hostname": "localhost", "do_handshake_on_connect": False}
            with self.client.wrap_socket(ours, **name) as end:
                yield end, raw

    @contextlib.contextmanager
    def failed(self) -> Iterator[tuple[Any, socket.socket]]:
        raw, ours = raw_pair()
        with raw, ours:
            name: dict[str, Any] = {"server_hostname": "localhost", "do_handshake_on_connect": False}
            serving = in_thread(self.server.wrap_socket, raw.dup(), server_side=True)
            with self.stranger.wrap_socket(ours, **name) as end:
                with pytest.raises(ssl.SSLError):
                    end.do_handshake()
                serving.exception(SECONDS)
                yield end, raw

    @contextlib.contextmanager
    def unconnected(self) -> Iterator[tuple[Any, socket.socket]]:
        with self.client.wrap_socket(socket.socket(), server_hostname="localhost") as end:
            end.settimeout(0.2)
            yield end, socket.socket()

    @contextlib.contextmanager
    def connected_past_us(self) -> Iterator[tuple[Any, socket.socket]]:
        """TLS was to begin with `connect`, which was not asked."""
        with self.unconnected() as (end, _), socket.create_server(("127.0.0.1", 0)) as listener:
            socket.socket.connect(end, listener.getsockname())
            raw, _ = listener.accept()
            with raw:
                yield end, raw

    @contextlib.contextmanager
    def closed(self) -> Iterator[tuple[Any, socket.socket]]:
        with self.open() as (end, raw):
            end.close()
            yield end, raw

    @contextlib.contextmanager
    def detached(self) -> Iterator[tuple[Any, socket.socket]]:
        with self.open() as (end, raw), socket.socket(fileno=end.detach()):
            yield end, raw

    @contextlib.contextmanager
    def shut(self) -> Iterator[tuple[Any, socket.socket]]:
        with self.open() as (end, raw):
            end.shutdown(socket.SHUT_WR)
            yield end, raw

    @contextlib.contextmanager
    def unwrapped(self) -> Iterator[tuple[Any, socket.socket]]:
        with tls_pair(self.server, self.client) as (server, client):
            other = in_thread(server.unwrap)
            client.unwrap()
            other.result(SECONDS)
            client.settimeout(SECONDS)
            with socket.socket(fileno=os.dup(server.fileno())) as raw:
                raw.settimeout(SECONDS)
                yield client, raw


ERRORS = {
    "unconnected": errno.ENOTCONN,
    "connected_past_us": errno.ENOTCONN,
    "closed": errno.EBADF,
    "detached": errno.EBADF,
}
STATES = [name for name in vars(World) if not name.startswith("_")]


def outcome(call: Callable[[Any], Any], end: Any, raw: socket.socket) -> tuple[Any, bytes]:
    """What the call returned or raised, and what arrived at the other end."""
    with contextlib.suppress(OSError):
        raw.sendall(RAW)
    try:
        given: Any = call(end)
    except (OSError, ValueError, NotImplementedError) as error:
        given = error
    end.close()
    wire = b""
    with contextlib.suppress(OSError):
        raw.settimeout(0.05)
        while piece := raw.recv(100_000):
            wire += piece
    return given, wire


@pytest.mark.parametrize("state", STATES)
def test_no_method_passes_anything_in_the_clear_but_after_unwrap(files: Files, state: str) -> None:
    world = World(files)
    passed = []
    expected = [name for name in CALLS if name not in {*NOT_PLAIN, OUT_OF_BAND}]
    for name, call in CALLS.items():
        with getattr(world, state)() as (end, raw):
            given, wire = outcome(call, end, raw)
        if SECRET in wire or (isinstance(given, bytes) and RAW in given):
            passed.append(name)
        if state in ERRORS and name not in NOT_PLAIN and "makefile" not in name:
            assert getattr(given, "errno", None) == ERRORS[state], (name, given)
    assert passed == (expected if state == "unwrapped" else [])


@pytest.mark.parametrize("begin", ["open", "unwrapped"])
def test_at_no_moment_of_close_does_anything_pass_in_the_clear(files: Files, begin: str) -> None:
    """Stops in each line of `close`, and has another thread try everything."""
    world, lines = World(files), 0
    for name in ("recv", "recv_into", "send", "sendall", "sendfile", "sendto", "recvfrom"):
        with getattr(world, begin)() as (end, raw):
            raw.sendall(RAW)
            end.settimeout(0)
            given: list[Any] = []

            def trial(end: Any = end, name: str = name, given: list[Any] = given) -> None:
                try:
                    given.append(CALLS[name](end))
                except (OSError, ValueError) as error:
                    given.append(error)

            def trace(frame: Any, event: str, arg: Any, end: Any = end, trial: Any = trial) -> Any:
                nonlocal lines
                if frame.f_code.co_name == "_real_close" or frame.f_code.co_filename.endswith(
                    "veritls/socket.py"
                ):
                    if event == "line" and end._stream is None and not getattr(end, "_unwrapped", None):
                        lines += 1
                        thread = threading.Thread(target=trial)
                        thread.start()
                        thread.join(SECONDS)
                    return trace
                return None

            sys.settrace(trace)
            try:
                end.close()
            finally:
                sys.settrace(None)
            assert not any(isinstance(each, bytes) and RAW in each for each in given), name
            assert all(isinstance(each, OSError | ValueError) for each in given), (name, given)
            with contextlib.suppress(OSError):
                assert SECRET not in raw.recv(1000)
    assert lines >= 7


def test_plain_text_that_came_before_the_handshake_is_refused_when_its_sender_is_gone(files: Files) -> None:
    """CVE-2023-40217: a peer that resets at once leaves bytes to read, and no peer for a handshake."""
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        client_raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client_raw.sendall(RAW)
        client_raw.close()
        with pytest.raises(OSError):
            while True:  # until the reset is here
                server_raw.getpeername()
        with pytest.raises(ssl.SSLError, match="before TLS handshake with data") as refused:
            server_context(files.server).wrap_socket(server_raw, server_side=True)
        assert refused.value.reason and refused.value.library is None
        assert server_raw.fileno() == -1


@pytest.mark.parametrize("read", [name for name in CALLS if "rec" in name or "read" in name])
def test_plain_text_of_a_peer_that_is_gone_is_not_read_where_the_socket_was_wrapped_before(
    files: Files, read: str
) -> None:
    with World(files).connected_past_us() as (end, raw):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.sendall(RAW)
        raw.close()
        with pytest.raises((OSError, ValueError, NotImplementedError)):
            CALLS[read](end)
