"""What a GIL orders by itself: two threads at one socket, file or buffer.

All tests but the first two show it with a GIL, too, by an object that lets the second thread in between
two steps of the first.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import sysconfig
import threading
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, server_context, tls_pair
from veritls import _engine


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has a GIL")
def test_the_import_leaves_the_gil_off() -> None:
    program = "import sys, veritls; assert not sys._is_gil_enabled()"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=SECONDS)


def test_threads_that_close_one_connection_at_once_close_no_other_descriptor(files: Files) -> None:
    """A number that is closed twice is another thread's by the second time."""
    context = client_context(files.ca)
    context.check_hostname = False
    for _ in range(50):
        plain, other = socket.socketpair()
        end = context.wrap_socket(plain, do_handshake_on_connect=False)
        both = threading.Barrier(3)

        def close(end: Any = end, both: threading.Barrier = both) -> None:
            both.wait(SECONDS)
            end.close()

        closing = [in_thread(close), in_thread(close)]
        both.wait(SECONDS)
        opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
        for thread in closing:
            thread.result(SECONDS)
        for number in opened:
            os.close(number)
        other.close()


def test_a_number_is_closed_by_one_of_the_threads_that_close_it(files: Files) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (_, end):
        stream, closed = end._stream, []

        def close(sock: Any) -> None:
            closed.append(sock)
            if len(closed) == 1:  # the other thread comes amid the first one's close
                again = in_thread(stream.close_descriptor, close, socket.SocketType.detach, end)
                again.result(SECONDS)
                assert (
                    in_thread(stream.detach_descriptor, socket.SocketType.detach, end).result(SECONDS) == -1
                )
            socket.SocketType.close(sock)

        stream.close_descriptor(close, socket.SocketType.detach, end)
        assert closed == [end]
        assert end.fileno() == -1


class Closed:
    """A file that another thread closes once its number was asked for."""

    def __init__(self, *answers: int | type[Exception]) -> None:
        self.answers = list(answers)

    def fileno(self) -> int:
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            return answer
        raise answer


def test_a_file_that_is_closed_before_its_number_is_duplicated_is_not_sent() -> None:
    with open(os.devnull, "rb") as other:
        assert _engine.File(Closed(other.fileno(), other.fileno())).regular is False
        with pytest.raises(ValueError):
            _engine.File(Closed(other.fileno(), ValueError))
        for number in (-1, 0):
            with pytest.raises(OSError) as raised:
                _engine.File(Closed(other.fileno(), number))
            assert raised.value.errno == errno.EBADF


def test_bytes_that_two_threads_pass_on_stay_in_order() -> None:
    own, came = veritls.MemoryBIO(), [b"1", b"2"]
    taken, passed = threading.Event(), threading.Event()

    def read() -> bytes:
        piece = came.pop(0)
        if piece == b"1":
            taken.set()
            passed.wait(0.3)  # where the other thread waits, as it should, nobody comes
        return piece

    def second() -> None:
        _engine.pass_on(own, read, own.write)
        passed.set()

    first = in_thread(_engine.pass_on, own, read, own.write)
    assert taken.wait(SECONDS)
    late = in_thread(second)
    first.result(SECONDS)
    late.result(SECONDS)
    assert own.read() == b"12"


def test_after_a_failure_bytes_are_passed_on_again() -> None:
    own = veritls.MemoryBIO()
    with pytest.raises(ZeroDivisionError):
        _engine.pass_on(own, lambda: bytes(1 // 0), own.write)
    _engine.pass_on(own, lambda: b"1", own.write)
    assert own.read() == b"1"
