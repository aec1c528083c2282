"""What a program does while its sni_callback decides: the decision holds, and nothing hangs."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import veritls
from tests.deciding.conftest import World
from tests.support.connections import SECONDS, in_thread, raw_pair, tls_pair
from tests.support.memory import connect


def server_end(world: World, callback: Any, raw: socket.socket, mode: ssl.VerifyMode = ssl.CERT_NONE) -> Any:
    context = world.server_context(mode)
    context.sni_callback = lambda *args: callback(*args)
    return context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)


def nameless(world: World) -> Any:
    """A client's context without a certificate."""
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=world.ca.pem.decode())
    return context


SOCKET_TOUCHES: dict[str, Callable[[Any], Any]] = {
    "do_handshake": lambda end: end.do_handshake(),
    "recv": lambda end: end.recv(1),
    "recv_into": lambda end: end.recv_into(bytearray(1)),
    "read": lambda end: end.read(1),
    "send": lambda end: end.send(b"x"),
    "sendall": lambda end: end.sendall(b"x"),
    "write": lambda end: end.write(b"x"),
    "sendfile": lambda end: end.sendfile(io.BytesIO(b"x")),
    "unwrap": lambda end: end.unwrap(),
    "getpeercert": lambda end: end.getpeercert(),
}


@pytest.mark.parametrize("touch", SOCKET_TOUCHES)
@pytest.mark.parametrize("first", ["switch", "touch"])
def test_a_socket_used_within_it_is_refused_there_and_the_decision_holds(
    world: World, touch: str, first: str
) -> None:
    strict = world.server_context(ssl.CERT_REQUIRED)
    outcomes: list[Any] = []

    def use(end: Any, name: str | None, context: Any) -> None:
        if first == "switch":
            end.context = strict
        try:
            outcomes.append(SOCKET_TOUCHES[touch](end))
        except ValueError as error:
            outcomes.append("not done yet" in str(error))
        end.context = strict

    server_raw, client_raw = raw_pair()
    connecting = in_thread(nameless(world).wrap_socket, client_raw, server_hostname="localhost")
    with server_end(world, use, server_raw) as end, client_raw:
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            end.do_handshake()
        assert end.context is strict
        with contextlib.suppress(OSError):
            connecting.result(SECONDS).close()
    assert outcomes == [True]


MEMORY_TOUCHES: dict[str, Callable[[Any], Any]] = {
    "do_handshake": lambda end: end.do_handshake(),
    "read": lambda end: end.read(1),
    "write": lambda end: end.write(b"x"),
    "unwrap": lambda end: end.unwrap(),
    "getpeercert": lambda end: end.getpeercert(),
}


@pytest.mark.parametrize("touch", MEMORY_TOUCHES)
def test_an_object_in_memory_used_within_it_is_refused_there_and_the_decision_holds(
    world: World, touch: str
) -> None:
    server, strict = world.server_context(ssl.CERT_NONE), world.server_context(ssl.CERT_REQUIRED)
    outcomes: list[Any] = []

    def use(end: Any, name: str | None, context: Any) -> None:
        end.context = strict
        try:
            outcomes.append(MEMORY_TOUCHES[touch](end))
        except ValueError as error:
            outcomes.append("not done yet" in str(error))

    server.sni_callback = use
    outcome = connect(server, nameless(world))
    assert getattr(outcome.server_error, "reason", None) == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert outcomes == [True]


def test_within_it_the_connection_is_as_before_the_handshake(world: World) -> None:
    seen: dict[str, Any] = {}

    def look(end: Any, name: str | None, context: Any) -> None:
        for fact in ("version", "cipher", "session_reused", "pending", "get_verified_chain", "session"):
            found = getattr(end, fact)
            seen[fact] = found() if callable(found) else found

    server_raw, client_raw = raw_pair()
    connecting = in_thread(nameless(world).wrap_socket, client_raw, server_hostname="localhost")
    with server_end(world, look, server_raw) as end:
        end.do_handshake()
        assert end.version() == "TLSv1.3"
        connecting.result(SECONDS).close()
    assert seen == {
        "version": None,
        "cipher": None,
        "session_reused": None,
        "pending": 0,
        "get_verified_chain": [],
        "session": None,
    }


def test_a_socket_closed_within_it_sends_nothing_to_its_descriptor(world: World) -> None:
    server_raw, client_raw = raw_pair()
    ours, theirs = socket.socketpair()
    spare = ours.fileno()
    reused: list[int] = []

    def close(end: Any, name: str | None, context: Any) -> None:
        number = end.fileno()
        end.close()
        os.dup2(spare, number)
        reused.append(number)

    connecting = in_thread(nameless(world).wrap_socket, client_raw, server_hostname="localhost")
    with ours, theirs, client_raw:
        end = server_end(world, close, server_raw)
        with pytest.raises(OSError, match="Bad file descriptor"):
            end.do_handshake()
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        os.close(reused[0])
        with pytest.raises((OSError, ValueError)):
            connecting.result(SECONDS)


def test_another_connection_made_within_it_knows_its_own_peer(world: World) -> None:
    inner: list[Any] = []
    server = world.server_context()

    def nested(*_: Any) -> None:
        with tls_pair(world.server_context(), world.client_context()) as (end, client):
            inner.append((end.get_verified_chain()[0], client.get_verified_chain()[0]))
        bad = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        assert connect(world.server_context(ssl.CERT_NONE), bad).refused

    server.sni_callback = nested
    outcome = connect(server, world.client_context())
    assert not outcome.refused
    assert outcome.server.get_verified_chain() == [world.client.der, world.ca.der]
    assert inner == [(world.client.der, world.server.der)]


def test_a_verify_callback_within_it_and_the_other_way_round_each_guard_their_own_connection(
    world: World,
) -> None:
    server, client = world.server_context(), world.client_context()
    told: list[str] = []
    ends: list[Any] = []

    def asked(report: Any) -> None:
        told.append("verify")
        for end in ends:
            with pytest.raises(ValueError, match="sni_callback is running"):
                end.do_handshake()

    def named(end: Any, name: str | None, context: Any) -> None:
        told.append("sni")
        ends.append(end)
        if len(ends) == 1:
            inner = world.server_context()
            inner.set_verify_callback(asked)
            assert not connect(inner, client).refused
        ends.remove(end)

    server.sni_callback = named
    assert not connect(server, client).refused
    assert told == ["sni", "verify"]


def test_callbacks_within_callbacks_end_in_a_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    server, client = world.server_context(), world.client_context()
    reported: list[Any] = []
    depth: list[int] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reported.append(report.exc_type))

    def recurse(*_: Any) -> None:
        depth.append(1)
        error = connect(server, client).server_error
        assert error is None or len(depth) == 8, "the innermost is refused"

    server.sni_callback = recurse
    assert not connect(server, client).refused
    assert reported == [RecursionError]
    assert len(depth) == 8


def test_changing_the_context_within_it_holds_for_later_connections(world: World) -> None:
    server = world.server_context(ssl.CERT_NONE)

    def change(*_: Any) -> None:
        server.sni_callback = None
        server.verify_mode = ssl.CERT_REQUIRED

    server.sni_callback = change
    assert not connect(server, nameless(world)).refused
    assert connect(server, nameless(world)).server_error is not None


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
server.sni_callback = lambda *_: begun.set()
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
