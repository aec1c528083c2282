"""Signals that arrive while a call waits: their handlers run then, not when the call ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.connections import SECONDS, in_thread, received

SIZE = 16 * 1024 * 1024
"""More than both kernels' buffers hold."""


class Heard(Exception):
    """What the handler raises."""


@pytest.fixture
def ends(ends: tuple[Any, Any]) -> tuple[Any, Any]:
    """The sender waits without a timeout."""
    ends[0].settimeout(None)
    return ends


@contextmanager
def handler(work: Callable[[], Any]) -> Iterator[None]:
    previous = signal.signal(signal.SIGUSR1, lambda *_: work())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, previous)


def heard() -> None:
    raise Heard


@contextmanager
def one_signal(ends: tuple[Any, Any], ready: Callable[[], bool]) -> Iterator[None]:
    """One signal to this thread once `ready`. A call that does not hear it fails: its peer goes away."""
    main, over = threading.get_ident(), threading.Event()

    def work() -> None:
        while not ready() and not over.is_set():
            pass
        signal.pthread_kill(main, signal.SIGUSR1)
        if not over.wait(SECONDS):
            ends[0].shutdown(socket.SHUT_RDWR)

    working = in_thread(work)
    try:
        yield
    finally:
        over.set()
        working.result(SECONDS)


def full(end: Any) -> Callable[[], bool]:
    """Whether the kernel takes no more: a sender waits."""
    return lambda: not select.select([], [end], [], 0)[1]


@pytest.mark.parametrize("timeout", [None, SECONDS])
def test_a_sendall_that_waits_hears_the_first_signal_and_can_be_repeated(
    ends: tuple[Any, Any], timeout: float | None
) -> None:
    sender, receiver = ends
    message = os.urandom(SIZE)
    sender.settimeout(timeout)
    with handler(heard), one_signal(ends, full(sender)), pytest.raises(Heard):
        sender.sendall(message)
    with pytest.raises(ssl.SSLError, match="BAD_WRITE_RETRY"):
        sender.sendall(message[::-1])
    receiving = in_thread(received, receiver)
    sender.settimeout(SECONDS)
    sender.sendall(message)
    sender.shutdown(socket.SHUT_WR)
    assert receiving.result(6 * SECONDS) == message


def test_a_sendfile_that_waits_hears_the_first_signal_and_can_be_repeated(
    ends: tuple[Any, Any], tmp_path: Path
) -> None:
    sender, receiver = ends
    content = os.urandom(SIZE)
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        with handler(heard), one_signal(ends, full(sender)), pytest.raises(Heard):
            sender.sendfile(file)
        receiving = in_thread(received, receiver)
        sender.settimeout(SECONDS)
        sender.sendfile(file)
        sender.shutdown(socket.SHUT_WR)
        assert receiving.result(6 * SECONDS) == content


def test_a_sendfile_interrupted_at_any_moment_sends_each_byte_once(
    ends: tuple[Any, Any], tmp_path: Path
) -> None:
    sender, receiver = ends
    content = os.urandom(SIZE)
    (tmp_path / "file").write_bytes(content)
    got, armed, times, main = bytearray(), [False], [0], threading.get_ident()

    def interrupt() -> None:
        if armed[0]:
            armed[0] = False
            times[0] += 1
            raise Heard

    def read() -> None:
        while piece := receiver.recv(65_536):
            got.extend(piece)
            if len(got) < SIZE:
                signal.pthread_kill(main, signal.SIGUSR1)

    with handler(interrupt), (tmp_path / "file").open("rb") as file:
        reading = in_thread(read)
        while file.tell() < SIZE:
            try:
                armed[0] = True
                sender.sendfile(file)
            except Heard:
                pass
            finally:
                armed[0] = False
        sender.shutdown(socket.SHUT_WR)
        reading.result(6 * SECONDS)
    assert got == content
    assert times[0] > 0


def test_a_sendall_to_a_peer_that_reads_all_the_time_hears_a_signal_before_its_end(
    ends: tuple[Any, Any],
) -> None:
    sender, receiver = ends
    size, over = 256 * 1024 * 1024, threading.Event()
    counts = [0]

    def read() -> None:
        buffer = bytearray(65_536)
        while not over.is_set() and counts[0] < size:
            counts[0] += receiver.recv_into(buffer)

    reading = in_thread(read)
    try:
        with handler(heard), one_signal(ends, lambda: counts[0] > 1_000_000), pytest.raises(Heard):
            sender.sendall(bytes(size))
        assert counts[0] < size
    finally:
        over.set()
        sender.close()
        reading.result(SECONDS)


def test_a_recv_that_waits_hears_the_first_signal(ends: tuple[Any, Any]) -> None:
    sender, receiver = ends
    receiver.settimeout(None)
    begun = threading.Event()
    with handler(heard), one_signal((receiver, sender), begun.is_set), pytest.raises(Heard):
        begun.set()
        receiver.recv(1)


def test_after_a_handler_that_does_not_raise_the_message_goes_on_and_others_wait_for_it(
    ends: tuple[Any, Any],
) -> None:
    sender, receiver = ends
    first, second = os.urandom(SIZE), os.urandom(SIZE)
    called: list[Any] = []

    def look() -> None:
        called.append(in_thread(sender.sendall, second))
        called.append(in_thread(received, receiver))

    with handler(look), one_signal(ends, full(sender)):
        sender.sendall(first)
    called[0].result(6 * SECONDS)
    sender.shutdown(socket.SHUT_WR)
    assert called[1].result(6 * SECONDS) == first + second


@pytest.mark.parametrize("call", ["sendall", "send", "unwrap"])
def test_a_handler_that_writes_to_the_connection_amid_a_message_is_refused_and_waits_for_nothing(
    ends: tuple[Any, Any], call: str
) -> None:
    sender, receiver = ends
    message = os.urandom(SIZE)
    called: list[Any] = []

    def write() -> None:
        with pytest.raises(ssl.SSLError, match="BAD_WRITE_RETRY"):
            getattr(sender, call)(*([] if call == "unwrap" else [message]))
        called.append(in_thread(received, receiver))

    with handler(write), one_signal(ends, full(sender)):
        sender.sendall(message)
    sender.shutdown(socket.SHUT_WR)
    assert called[0].result(6 * SECONDS) == message
