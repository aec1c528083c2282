"""Threads that wait in the kernel, and numbers of descriptors that become another's."""

from __future__ import annotations

import fcntl
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from tests.support.connections import SECONDS


def until(true: Callable[[], bool], what: str) -> None:
    """Returns once it is `true`; `what` it means if it never is."""
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, what


def waiting(work: Callable[..., Any], *args: Any) -> Future[Any]:
    """Runs `work` in a thread and returns once that waits in the kernel for anything but a lock."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work(*args))
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def asleep() -> bool:
        if future.done():
            return True
        try:
            with open(f"/proc/self/task/{thread.native_id}/wchan") as file:
                place = file.read()
        except OSError:  # it has just ended
            return False
        return place != "0" and "futex" not in place

    until(asleep, "the thread never waits")
    return future


@contextmanager
def reused(number: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets, the first of which has that number, as soon as it is free."""
    ends = list(socket.socketpair())

    def take() -> bool:
        if number not in [end.fileno() for end in ends]:
            ends.append(socket.socket(fileno=fcntl.fcntl(ends[0], fcntl.F_DUPFD_CLOEXEC, number)))
            if ends[-1].fileno() != number:
                ends.pop().close()
                return False
        return True

    until(take, "the number never becomes free")
    first = next(end for end in ends if end.fileno() == number)
    far = ends[0] if first is ends[1] else ends[1]
    first.settimeout(SECONDS)
    far.setblocking(False)
    yield first, far
    for end in ends:
        end.close()
