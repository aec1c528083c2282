"""A descriptor has users, and is closed by the last: closing ends every wait, and touches nothing else."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context, tls_pair
from tests.support.waiting import reused, waiting

MUCH = 30_000_000


def sendfile(end: Any) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(MUCH)
        end.sendfile(file)


WAITS: dict[str, Callable[[Any], Any]] = {
    "recv": lambda end: end.recv(100),
    "recv_into": lambda end: end.recv_into(bytearray(100)),
    "read": lambda end: end.read(100),
    "makefile": lambda end: end.makefile("rb", 0).read(100),
    "unwrap": lambda end: end.unwrap(),
    "sendall": lambda end: end.sendall(bytes(MUCH)),
    "sendfile": sendfile,
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("timeout", [None, SECONDS])
@pytest.mark.parametrize("operation", WAITS)
def test_a_waiting_call_is_woken_by_close_and_touches_no_connection_that_has_its_number(
    files: Files, operation: str, timeout: float | None, version: ssl.TLSVersion
) -> None:
    server = server_context(files.server)
    server.maximum_version = version
    with tls_pair(server, client_context(files.ca)) as (server_end, end):
        end.settimeout(timeout)
        number = end.fileno()
        woken = waiting(WAITS[operation], end)
        end._io_refs = 0  # of `makefile`, which would put closing off
        end.close()
        assert end.fileno() == -1
        with reused(number) as (other, far):
            far.sendall(b"not for veritls")
            with contextlib.suppress(OSError):  # wakes a call that was not
                socket.socket.send(server_end, b"\x17\x03\x03\x00\x01x" if "sen" not in operation else b"")
                server_end.settimeout(0)
                while socket.socket.recv(server_end, 1_000_000):
                    pass
            with pytest.raises(OSError) as raised:
                woken.result(SECONDS)
            assert raised.value.errno == errno.EBADF
            assert other.recv(100) == b"not for veritls"
            with pytest.raises(BlockingIOError):
                far.recv(1)


def test_a_handshake_that_waits_is_woken_by_close(files: Files) -> None:
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        client_raw.settimeout(None)
        end = client_context(files.ca).wrap_socket(
            client_raw, server_hostname="localhost", do_handshake_on_connect=False
        )
        number = end.fileno()
        woken = waiting(end.do_handshake)
        end.close()
        with reused(number) as (_, far):
            with pytest.raises(OSError) as raised:
                woken.result(SECONDS)
            assert raised.value.errno == errno.EBADF
            with pytest.raises(BlockingIOError):
                far.recv(1)


def test_a_session_is_not_set_while_another_thread_shakes_hands(files: Files) -> None:
    """It would make the connection anew, beside the one that the thread uses the descriptor for."""
    contexts = server_context(files.server), client_context(files.ca)
    with tls_pair(*contexts) as (server, client):
        server.sendall(b"x")
        client.recv(1)
        session = client.session
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        end = contexts[1].wrap_socket(client_raw, server_hostname="localhost", do_handshake_on_connect=False)
        with end:
            shaking = waiting(end.do_handshake)
            with pytest.raises(ValueError):
                end.session = session
            serving = in_thread(contexts[0].wrap_socket, server_raw, server_side=True)
            shaking.result(SECONDS)
            serving.result(SECONDS).close()


def test_all_calls_that_wait_for_one_connection_are_woken(files: Files) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (_, end):
        end.settimeout(None)
        threads = [waiting(end.sendall, bytes(MUCH)), waiting(end.recv, 1)]
        threads += [in_thread(end.recv, 1), in_thread(end.sendall, b"x")]  # wait for those
        end.close()
        for thread in threads:
            with pytest.raises(OSError) as raised:
                thread.result(SECONDS)
            assert raised.value.errno == errno.EBADF


def test_a_call_that_waits_for_another_connection_goes_on_waiting(files: Files) -> None:
    contexts = server_context(files.server), client_context(files.ca)
    with tls_pair(*contexts) as (near, far), tls_pair(*contexts) as (_, closed):
        near.settimeout(None)
        for number in range(20):
            kept = waiting(near.recv, 100)
            with tls_pair(*contexts) as (_, closed):
                woken = waiting(closed.recv, 1)
                closed.close()
                assert isinstance(woken.exception(SECONDS), OSError)
            assert not kept.done()
            far.sendall(b"%d" % number)
            assert kept.result(SECONDS) == b"%d" % number


def test_a_call_that_waits_for_a_callback_of_the_connection_is_woken_too(files: Files) -> None:
    client = client_context(files.ca)
    asked, answered = threading.Event(), threading.Event()

    def ask(report: Any) -> None:
        asked.set()
        answered.wait(3 * SECONDS)

    client.set_verify_callback(ask)
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        serving = in_thread(server_context(files.server).wrap_socket, server_raw, server_side=True)
        end = client.wrap_socket(client_raw, server_hostname="localhost", do_handshake_on_connect=False)
        end.settimeout(None)
        shaking = in_thread(end.do_handshake)
        assert asked.wait(SECONDS)
        receiving, sending = in_thread(end.recv, 1), in_thread(end.sendall, b"x")
        end.close()
        for each in (receiving, sending):
            assert isinstance(each.exception(SECONDS), OSError)
        assert not shaking.done()
        answered.set()
        assert isinstance(shaking.exception(SECONDS), OSError)
        server_raw.close()
        serving.exception(SECONDS)


def test_a_file_that_is_closed_while_it_is_sent_is_sent_to_its_end_and_no_other_in_its_place(
    files: Files, tmp_path: Path
) -> None:
    (tmp_path / "other").write_bytes(b"x" * MUCH)
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        with (tmp_path / "sent").open("wb+") as file:
            file.truncate(MUCH)
            file.seek(0)
            number = file.fileno()
            sending = waiting(client.sendfile, file)
        with (tmp_path / "other").open("rb") as other:
            assert other.fileno() == number
            received = bytearray()
            while len(received) < MUCH:
                received += server.recv(1_000_000)
        assert received == bytes(MUCH)
        assert isinstance(sending.exception(SECONDS), ValueError)  # the position cannot be set any more


def test_closing_while_threads_wait_leaves_no_descriptors_behind(files: Files) -> None:
    contexts = server_context(files.server), client_context(files.ca)

    def round_() -> None:
        with tls_pair(*contexts) as (server, client):
            woken = [waiting(client.recv, 1), waiting(server.recv, 1)]
            client.close()
            server.close()
            for each in woken:
                each.exception(SECONDS)

    round_()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(30):
        round_()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


NO_DESCRIPTORS_LEFT = """
import resource, sys
from pathlib import Path
from tests.support.connections import SECONDS, client_context, in_thread, server_context, tls_pair
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
with tls_pair(server_context(Path(sys.argv[1])), client_context(Path(sys.argv[2]))) as (server, client):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    client.settimeout(None)
    received = in_thread(client.recv, 100)
    server.sendall(b"still heard")
    print(received.result(SECONDS))
    for end in (server, client):
        end.settimeout(None)
    woken = in_thread(client.recv, 100), in_thread(server.recv, 100)
    client.close()
    for each in woken:
        print(type(each.exception(SECONDS)).__name__, each.done())
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
"""


def test_waits_end_too_where_the_process_has_no_descriptor_left(files: Files) -> None:
    command = [sys.executable, "-c", NO_DESCRIPTORS_LEFT, str(files.server), str(files.ca)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=3 * SECONDS)
    assert ended.stdout.splitlines() == ["b'still heard'", "OSError True", "NoneType True"], ended.stderr


NO_DESCRIPTOR_FOR_A_FILE = """
import errno, os, resource, sys
from pathlib import Path
from tests.support.connections import client_context, server_context, tls_pair
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
with tls_pair(server_context(Path(sys.argv[1])), client_context(Path(sys.argv[2]))) as (server, client):
    with open(sys.argv[2], "rb") as file:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
        try:
            while True:
                os.open(sys.argv[2], os.O_RDONLY)
        except OSError:
            pass
        try:
            client.sendfile(file)
        except OSError as error:
            print(errno.errorcode.get(error.errno), file.tell())
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        count = client.sendfile(file)
    print(count == len(server.recv(100_000)))
"""


def test_a_file_for_which_there_is_no_descriptor_left_is_an_oserror_that_says_so(files: Files) -> None:
    command = [sys.executable, "-c", NO_DESCRIPTOR_FOR_A_FILE, str(files.server), str(files.ca)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=3 * SECONDS)
    assert ended.stdout.splitlines() == ["EMFILE 0", "True"], ended.stderr


@pytest.mark.parametrize("call", ["accepts", "refuses"])
def test_an_sni_callback_that_closes_its_connection_sends_nothing_to_the_next_user_of_the_number(
    files: Files, call: str
) -> None:
    server = server_context(files.server)
    taken: list[Any] = []
    answer = None if call == "accepts" else ssl.AlertDescription.ALERT_DESCRIPTION_ACCESS_DENIED

    with contextlib.ExitStack() as stack:

        def close(connection: Any, *_: Any) -> Any:
            number = connection.fileno()
            connection.close()
            taken.append(stack.enter_context(reused(number)))
            return answer

        server.sni_callback = close
        server_raw, client_raw = raw_pair()
        with client_raw, server_raw:
            shaking = in_thread(client_context(files.ca).wrap_socket, client_raw, server_hostname="localhost")
            with pytest.raises(OSError):
                server.wrap_socket(server_raw, server_side=True)
            assert isinstance(shaking.exception(SECONDS), OSError)
        ((_, far),) = taken
        with pytest.raises(BlockingIOError):
            far.recv(1)


def test_closing_does_not_end_a_connection_that_a_forked_child_goes_on_to_use(files: Files) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        client.settimeout(None)
        begin, go_on = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.read(begin, 1)
                client.sendall(b"from the child")
            os._exit(0)
        try:
            woken = waiting(client.recv, 1)
            client.close()
            assert isinstance(woken.exception(SECONDS), OSError)
            os.write(go_on, b"x")
            assert server.recv(100) == b"from the child"
        finally:
            os.waitpid(child, 0)
            os.close(begin)
            os.close(go_on)


@pytest.mark.parametrize("second", ["close", "detach"])
@pytest.mark.parametrize("first", ["close", "detach"])
def test_closing_again_after_an_interruption_or_by_a_second_thread_touches_no_other_connection(
    files: Files, first: str, second: str
) -> None:
    """The first ends in each line of it, by an exception; so it is for the second as long as it lasts."""

    class Interrupted(Exception):
        pass

    for line in range(1, 30):
        with tls_pair(server_context(files.server), client_context(files.ca)) as (_, end):
            end.settimeout(None)
            number, left = end.fileno(), line
            woken = waiting(end.recv, 100)

            def trace(frame: Any, event: str, _: Any) -> Any:
                nonlocal left
                if frame.f_code.co_filename.endswith("veritls/_connection/sslsocket.py"):
                    left -= event == "line"
                    if left == 0 and event == "line":
                        raise Interrupted
                    return trace
                return None

            before, given = sys.gettrace(), -1
            sys.settrace(trace)
            try:
                given = getattr(end, first)() or -1
            except Interrupted:
                pass
            finally:
                sys.settrace(before)
            if left > 0:
                break
            with contextlib.suppress(OSError):
                given = max(given, getattr(end, second)() or -1)
            assert end.fileno() == -1
            assert isinstance(woken.exception(SECONDS), OSError)
            if given < 0:
                with reused(number) as (other, far):
                    far.sendall(b"not for veritls")
                    assert other.recv(100) == b"not for veritls"
                    with pytest.raises(BlockingIOError):
                        far.recv(1)
            else:
                os.close(given)
    assert 3 < line < 29, "it was interrupted in every line, and came to its end"


def test_a_descriptor_that_is_detached_is_the_callers_alone(files: Files) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        number = client.fileno()
        assert client.detach() == number
        with pytest.raises(OSError):
            client.sendall(b"x")
        with socket.socket(fileno=number) as plain:
            assert plain.getpeername() == server.getsockname()
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        server.settimeout(None)
        woken = waiting(server.recv, 1)
        address = server.getsockname()
        with socket.socket(fileno=server.detach()) as plain:
            assert isinstance(woken.exception(SECONDS), OSError)
            assert plain.getsockname() == address
        assert server.fileno() == -1
