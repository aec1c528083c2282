"""What other threads do with a connection while its sni_callback decides: they wait, or end it."""

from __future__ import annotations

import contextlib
import ssl
import threading
from typing import Any

import pytest

from tests.deciding.conftest import World
from tests.deciding.test_sni_reentrance import SOCKET_TOUCHES, nameless, server_end
from tests.support.connections import SECONDS, in_thread, raw_pair


def test_another_thread_sees_no_connection_state_meanwhile_and_does_not_wait(world: World) -> None:
    asked, looked = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        asked.set()
        assert looked.wait(SECONDS)

    server_raw, client_raw = raw_pair()
    connecting = in_thread(nameless(world).wrap_socket, client_raw, server_hostname="localhost")
    with server_end(world, wait, server_raw) as end:
        shaking = in_thread(end.do_handshake)
        assert asked.wait(SECONDS)
        assert (end.version(), end.cipher(), end.pending(), end.session_reused) == (None, None, 0, None)
        with pytest.raises(ValueError, match="not done yet"):
            end.getpeercert()
        looked.set()
        shaking.result(SECONDS)
        assert end.version() == "TLSv1.3"
        connecting.result(SECONDS).close()


@pytest.mark.parametrize("touch", ["recv", "sendall", "do_handshake"])
def test_another_thread_waits_for_the_decision_and_heeds_its_timeout(world: World, touch: str) -> None:
    asked, looked = threading.Event(), threading.Event()
    strict = world.server_context(ssl.CERT_REQUIRED)

    def wait(end: Any, name: str | None, context: Any) -> None:
        end.context = strict
        asked.set()
        assert looked.wait(SECONDS)

    server_raw, client_raw = raw_pair()
    connecting = in_thread(nameless(world).wrap_socket, client_raw, server_hostname="localhost")
    with server_end(world, wait, server_raw) as end, client_raw:
        shaking = in_thread(end.do_handshake)
        assert asked.wait(SECONDS)
        end.settimeout(0.05)
        with pytest.raises(TimeoutError):
            SOCKET_TOUCHES[touch](end)
        end.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            SOCKET_TOUCHES[touch](end)
        end.settimeout(SECONDS)
        waiting = in_thread(SOCKET_TOUCHES[touch], end)
        looked.set()
        for each in (shaking, waiting):
            with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
                each.result(SECONDS)
        with contextlib.suppress(OSError):
            connecting.result(SECONDS).close()


def test_a_socket_that_another_thread_closes_meanwhile_is_given_up(world: World) -> None:
    asked, closed = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        asked.set()
        assert closed.wait(SECONDS)

    server_raw, client_raw = raw_pair()
    connecting = in_thread(nameless(world).wrap_socket, client_raw, server_hostname="localhost")
    with client_raw:
        end = server_end(world, wait, server_raw)
        shaking = in_thread(end.do_handshake)
        assert asked.wait(SECONDS)
        end.close()
        closed.set()
        with pytest.raises(OSError, match="Bad file descriptor"):
            shaking.result(SECONDS)
        with pytest.raises(OSError):
            connecting.result(SECONDS)


def test_a_handshake_does_not_outlast_its_timeout_by_more_than_the_callback(world: World) -> None:
    never = threading.Event()
    server_raw, client_raw = raw_pair()
    connecting = in_thread(nameless(world).wrap_socket, client_raw, server_hostname="localhost")
    with server_end(world, lambda *_: (never.wait(0.6), None)[1], server_raw) as end:
        end.settimeout(0.5)
        with pytest.raises(TimeoutError):
            end.do_handshake()
        end.settimeout(SECONDS)
        end.do_handshake()  # as after any timeout, it can go on
        connecting.result(SECONDS).close()


def test_two_threads_can_be_within_it_at_once_and_look_at_each_others_connections(world: World) -> None:
    both = threading.Barrier(2, timeout=SECONDS)
    ends: list[Any] = []

    def look_at_both(*_: Any) -> None:
        both.wait()
        assert [end.version() for end in ends] == [None, None]
        for end in ends:
            with pytest.raises(ValueError):
                end.recv(1)
        both.wait()

    pairs = [raw_pair(), raw_pair()]
    client = nameless(world)
    connecting = [in_thread(client.wrap_socket, raw, server_hostname="localhost") for _, raw in pairs]
    ends += [server_end(world, look_at_both, raw) for raw, _ in pairs]
    for shaking in [in_thread(end.do_handshake) for end in ends]:
        shaking.result(SECONDS)
    assert [end.version() for end in ends] == ["TLSv1.3", "TLSv1.3"]
    for each in (*ends, *(future.result(SECONDS) for future in connecting)):
        each.close()


def test_threads_that_poll_do_not_hang_a_handshake(world: World) -> None:
    over = threading.Event()

    def poll(end: Any) -> None:
        while not over.is_set():
            end.version(), end.pending(), end.session_reused

    def decide(end: Any, name: str | None, context: Any) -> None:
        for _ in range(1000):
            end.version()

    server_raw, client_raw = raw_pair()
    connecting = in_thread(nameless(world).wrap_socket, client_raw, server_hostname="localhost")
    with server_end(world, decide, server_raw) as end:
        polling = [in_thread(poll, end) for _ in range(3)]
        try:
            end.do_handshake()
        finally:
            over.set()
        for each in polling:
            each.result(SECONDS)
        assert end.version() == "TLSv1.3"
        connecting.result(SECONDS).close()
