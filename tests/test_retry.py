"""A write that was left unfinished is repeated with the same data; what is not the same loses nothing."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.connections import SECONDS, in_thread, received

SIZE = 16 * 1024 * 1024
"""More than both kernels' buffers hold."""
SHORT = 0.05


def everything(ends: tuple[Any, Any], *messages: bytes) -> bytes:
    """What the peer gets once it reads, after the last of `messages` was sent."""
    sender, receiver = ends
    receiving = in_thread(received, receiver)
    sender.settimeout(SECONDS)
    for message in messages:
        sender.sendall(message)
    sender.shutdown(socket.SHUT_WR)
    data: bytes = receiving.result(6 * SECONDS)
    return data


def other(message: bytes) -> list[bytes]:
    """Messages that are not `message`: another start, another end of what is in flight, shorter, none."""
    changed = bytearray(message)
    changed[0] ^= 1
    late = bytearray(message)
    late[16_000] ^= 1
    return [bytes(changed), bytes(late), message[:100], b"", bytes(len(message))]


def refuse(end: Any, message: bytes, method: str = "sendall") -> None:
    for wrong in other(message):
        with pytest.raises(ssl.SSLError) as refused:
            getattr(end, method)(wrong)
        assert refused.value.reason == "BAD_WRITE_RETRY"


def test_a_different_message_after_a_timed_out_sendall_is_refused_and_none_is_lost(
    ends: tuple[Any, Any],
) -> None:
    first, second = os.urandom(SIZE), os.urandom(100_000)
    ends[0].settimeout(SHORT)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            ends[0].sendall(first)
        refuse(ends[0], first)
    assert everything(ends, first, second) == first + second


def test_a_longer_message_that_begins_with_the_unfinished_one_goes_on_from_it(ends: tuple[Any, Any]) -> None:
    first, more = os.urandom(SIZE), os.urandom(1000)
    ends[0].settimeout(SHORT)
    with pytest.raises(TimeoutError):
        ends[0].sendall(first)
    assert everything(ends, first + more) == first + more


def test_a_second_threads_message_that_waited_for_one_that_timed_out_is_refused_and_none_is_lost(
    ends: tuple[Any, Any],
) -> None:
    sender, _ = ends
    first, second = os.urandom(SIZE), os.urandom(SIZE)
    sender.settimeout(0.5)
    sending = in_thread(sender.sendall, first)
    while select.select([], [sender], [], 0)[1]:
        pass
    sender.settimeout(SECONDS)
    with pytest.raises(ssl.SSLError, match="BAD_WRITE_RETRY"):
        sender.sendall(second)
    with pytest.raises(TimeoutError):
        sending.result(SECONDS)
    assert everything(ends, first, second) == first + second


def test_a_different_message_after_a_send_that_would_block_is_refused(ends: tuple[Any, Any]) -> None:
    sender, _ = ends
    sender.setblocking(False)
    messages: list[bytes] = []
    with pytest.raises(ssl.SSLWantWriteError):
        while True:
            messages.append(os.urandom(16_384))
            sender.send(messages[-1])
    refuse(sender, messages[-1], "send")
    with pytest.raises(ssl.SSLWantWriteError):
        sender.send(messages[-1])
    assert everything(ends, messages[-1]) == b"".join(messages)


def test_a_message_after_a_timed_out_sendfile_is_refused_and_the_file_goes_on(
    ends: tuple[Any, Any], tmp_path: Path
) -> None:
    sender, receiver = ends
    content = os.urandom(SIZE)
    (tmp_path / "file").write_bytes(content)
    sender.settimeout(SHORT)
    with (tmp_path / "file").open("rb") as file:
        with pytest.raises(TimeoutError):
            sender.sendfile(file)
        at = file.tell()
        refuse(sender, content[at : at + 262_144])
        receiving = in_thread(received, receiver)
        sender.settimeout(SECONDS)
        assert sender.sendfile(file) == SIZE - at
        sender.shutdown(socket.SHUT_WR)
        assert receiving.result(6 * SECONDS) == content


def test_after_the_peer_is_gone_another_message_hears_of_that(ends: tuple[Any, Any]) -> None:
    sender, receiver = ends
    sender.settimeout(SECONDS)
    sending = in_thread(sender.sendall, os.urandom(SIZE))
    while select.select([], [sender], [], 0)[1]:
        pass
    receiver.close()
    with pytest.raises(ConnectionError):
        sending.result(SECONDS)
    with pytest.raises(ConnectionError):
        sender.sendall(b"another message")


def test_threads_with_timeouts_lose_nothing_of_what_was_said_to_be_sent(ends: tuple[Any, Any]) -> None:
    """Each message arrives whole, or its call has raised: never a piece of it behind a success."""
    sender, receiver = ends
    size, sent, over = 300_000, [], threading.Event()
    lock = threading.Lock()

    def work(mark: int) -> None:
        for _ in range(8):
            while not over.is_set():
                try:
                    sender.sendall(bytes([mark]) * size)
                except TimeoutError:
                    continue
                except ssl.SSLError as error:
                    assert error.reason == "BAD_WRITE_RETRY"
                    continue
                break
            with lock:
                sent.append(mark)

    sender.settimeout(0.005)
    sending = [in_thread(work, mark) for mark in range(3)]
    got = bytearray()
    receiver.settimeout(6 * SECONDS)
    try:
        while len(got) < 24 * size:
            got += receiver.recv(65_536)
    finally:
        over.set()
    for each in sending:
        each.result(SECONDS)
    blocks = [got[at : at + size] for at in range(0, len(got), size)]
    assert all(len(set(block)) == 1 for block in blocks)
    assert sorted(block[0] for block in blocks) == sorted(sent)
