"""What a verify callback does while a handshake waits for it: whatever it is, nothing hangs or crashes."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from typing import Any

import pytest

import veritls
from tests.deciding.conftest import World
from tests.support.connections import SECONDS, in_thread, raw_pair, tls_pair
from tests.support.memory import connect
from veritls.report import VerificationReport


def client_end(world: World, callback: Any, raw: socket.socket) -> Any:
    context = world.client_context()
    context.set_verify_callback(callback)
    return context.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)


def test_the_connection_is_as_before_the_handshake_within_it(world: World) -> None:
    seen: dict[str, Any] = {}

    def look(report: VerificationReport) -> None:
        for name in ("version", "cipher", "session_reused", "pending", "get_verified_chain", "session"):
            found = getattr(end, name)
            seen[name] = found() if callable(found) else found
        for name, arguments in {
            "getpeercert": (),
            "recv": (1,),
            "sendall": (b"x",),
            "do_handshake": (),
            "unwrap": (),
        }.items():
            try:
                seen[name] = getattr(end, name)(*arguments)
            except ValueError as error:
                seen[name] = "not done yet" in str(error)

    server_raw, client_raw = raw_pair()
    serving = in_thread(world.server_context().wrap_socket, server_raw, server_side=True)
    with client_end(world, look, client_raw) as end, server_raw:
        end.do_handshake()
        assert seen == {
            "version": None,
            "cipher": None,
            "session_reused": None,
            "pending": 0,
            "get_verified_chain": [],
            "session": None,
            "getpeercert": True,
            "recv": True,
            "sendall": True,
            "do_handshake": True,
            "unwrap": True,
        }
        assert end.version() == "TLSv1.3"
        serving.result(SECONDS).close()


def test_a_socket_closed_within_it_is_refused_and_nothing_goes_to_its_descriptor(world: World) -> None:
    server_raw, client_raw = raw_pair()
    ours, theirs = socket.socketpair()
    spare = ours.fileno()

    def close(report: VerificationReport) -> None:
        number = end.fileno()
        end.close()
        os.dup2(spare, number)
        reused.append(number)

    reused: list[int] = []
    serving = in_thread(world.server_context().wrap_socket, server_raw, server_side=True)
    with ours, theirs, server_raw:
        end = client_end(world, close, client_raw)
        with pytest.raises(OSError, match="Bad file descriptor"):
            end.do_handshake()
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        os.close(reused[0])
        server_raw.close()
        with pytest.raises((OSError, ValueError)):
            serving.result(SECONDS)


def test_another_connection_made_within_it_knows_its_own_peer(world: World) -> None:
    inner: list[Any] = []
    server = world.server_context()

    def nested(report: VerificationReport) -> None:
        with tls_pair(world.server_context(), world.client_context()) as (server_end, client):
            inner.append((server_end.get_verified_chain()[0], client.get_verified_chain()[0]))
        bad = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        assert connect(world.server_context(ssl.CERT_NONE), bad).refused

    server.set_verify_callback(nested)
    outcome = connect(server, world.client_context())
    assert not outcome.refused
    assert outcome.server.get_verified_chain() == [world.client.der, world.ca.der]
    assert inner == [(world.client.der, world.server.der)]


def test_callbacks_within_callbacks_end_in_a_refusal(world: World) -> None:
    server, client = world.server_context(), world.client_context()
    depth: list[int] = []

    def recurse(report: VerificationReport) -> None:
        depth.append(1)
        outcome = connect(server, client)
        if outcome.server_error is not None:
            raise outcome.server_error

    server.set_verify_callback(recurse)
    error = connect(server, client).server_error
    while isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__
    assert isinstance(error, RecursionError)
    assert len(depth) < 20


def test_another_thread_sees_no_connection_state_meanwhile_and_does_not_wait(world: World) -> None:
    asked, looked = threading.Event(), threading.Event()

    def wait(report: VerificationReport) -> None:
        asked.set()
        assert looked.wait(SECONDS)

    server_raw, client_raw = raw_pair()
    serving = in_thread(world.server_context().wrap_socket, server_raw, server_side=True)
    with client_end(world, wait, client_raw) as end, server_raw:
        shaking = in_thread(end.do_handshake)
        assert asked.wait(SECONDS)
        assert (end.version(), end.cipher(), end.pending(), end.session_reused) == (None, None, 0, None)
        with pytest.raises(ValueError, match="not done yet"):
            end.getpeercert()
        looked.set()
        shaking.result(SECONDS)
        assert end.version() == "TLSv1.3"
        serving.result(SECONDS).close()


def test_a_read_in_another_thread_heeds_its_timeout_meanwhile(world: World) -> None:
    asked, looked = threading.Event(), threading.Event()

    def wait(report: VerificationReport) -> None:
        asked.set()
        assert looked.wait(SECONDS)

    server_raw, client_raw = raw_pair()
    serving = in_thread(world.server_context().wrap_socket, server_raw, server_side=True)
    with client_end(world, wait, client_raw) as end, server_raw:
        shaking = in_thread(end.do_handshake)
        assert asked.wait(SECONDS)
        end.settimeout(0.05)
        with pytest.raises(TimeoutError):
            end.recv(1)
        end.settimeout(SECONDS)
        looked.set()
        shaking.result(SECONDS)
        serving.result(SECONDS).close()


def test_a_handshake_does_not_outlast_its_timeout_by_more_than_the_callback(world: World) -> None:
    never = threading.Event()
    server_raw, client_raw = raw_pair()
    serving = in_thread(world.server_context().wrap_socket, server_raw, server_side=True)
    with client_end(world, lambda report: never.wait(0.6), client_raw) as end, server_raw:
        end.settimeout(0.5)
        with pytest.raises(TimeoutError):
            end.do_handshake()
        end.settimeout(SECONDS)
        end.do_handshake()  # as after any timeout, it can go on
        serving.result(SECONDS).close()


def test_two_threads_can_be_within_it_at_once_and_look_at_each_others_connections(world: World) -> None:
    both = threading.Barrier(2, timeout=SECONDS)
    ends: list[Any] = []

    def look_at_both(report: VerificationReport) -> None:
        both.wait()
        assert [end.version() for end in ends] == [None, None]
        for end in ends:
            with pytest.raises(ValueError):
                end.recv(1)
        both.wait()

    pairs = [raw_pair(), raw_pair()]
    serving = [in_thread(world.server_context().wrap_socket, raw, server_side=True) for raw, _ in pairs]
    ends += [client_end(world, look_at_both, raw) for _, raw in pairs]
    for shaking in [in_thread(end.do_handshake) for end in ends]:
        shaking.result(SECONDS)
    assert [end.version() for end in ends] == ["TLSv1.3", "TLSv1.3"]
    for each in (*ends, *(future.result(SECONDS) for future in serving)):
        each.close()


def test_threads_that_poll_do_not_hang_a_handshake(world: World) -> None:
    over = threading.Event()
    server_raw, client_raw = raw_pair()
    serving = in_thread(world.server_context().wrap_socket, server_raw, server_side=True)

    def poll(end: Any) -> None:
        while not over.is_set():
            end.version(), end.pending(), end.session_reused

    def decide(report: VerificationReport) -> None:
        for _ in range(1000):
            end.version()

    with client_end(world, decide, client_raw) as end, server_raw:
        polling = [in_thread(poll, end) for _ in range(3)]
        try:
            end.do_handshake()
        finally:
            over.set()
        for each in polling:
            each.result(SECONDS)
        assert end.version() == "TLSv1.3"
        serving.result(SECONDS).close()


def test_changing_the_context_within_it_holds_for_later_connections(world: World) -> None:
    server, client = world.server_context(), world.client_context()

    def change(report: VerificationReport) -> None:
        client.set_verify_callback(None)
        client.allowed_peers = [veritls.DNSPattern("elsewhere.example")]

    client.set_verify_callback(change)
    assert not connect(server, client).refused
    assert isinstance(connect(server, client).client_error, ssl.SSLCertVerificationError)


SHUTDOWN = """
import sys, threading, veritls
from pathlib import Path
from tests.support.memory import connect
folder = Path(sys.argv[1])
server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(folder / "server.pem")
client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
client.load_verify_locations(folder / "ca.pem")
begun = threading.Event()
client.set_verify_callback(lambda report: begun.set())
def loop():
    while True:
        connect(server, client)
for _ in range(2):
    threading.Thread(target=loop, daemon=True).start()
begun.wait(10)
"""


def test_an_interpreter_that_shuts_down_meanwhile_does_not_crash(world: World, tmp_path: Any) -> None:
    (tmp_path / "server.pem").write_bytes(world.server.identity())
    (tmp_path / "ca.pem").write_bytes(world.ca.pem)
    command = [sys.executable, "-c", SHUTDOWN, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
