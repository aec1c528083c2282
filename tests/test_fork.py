"""A forked child: what a thread worked on at that moment is an error there; what none did goes on to work."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.forking import tried
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context, tls_pair
from tests.support.memory import connect, memory_pair
from tests.support.waiting import waiting
from veritls import _engine
from veritls._connection.sslobject import TransportSSLObject


def in_child(work: Callable[[], str]) -> str:
    """What `work` returns in a forked child, which is killed if it does not end."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child = os.fork()
    if child == 0:
        try:
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    killer = threading.Timer(SECONDS, os.kill, (child, 9))
    killer.start()
    with open(read) as file:
        said = file.read()
    killer.cancel()
    os.waitpid(child, 0)
    return said


@pytest.mark.parametrize("timeout", [None, SECONDS])
def test_a_connection_that_a_thread_waited_for_is_an_error_in_the_child_and_works_in_the_parent(
    files: Files, timeout: float | None
) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        client.settimeout(timeout)
        received = waiting(client.recv, 100)
        for call, arguments in {
            client.recv: (1,),
            client.sendall: (b"x",),
            client.unwrap: (),
            client.do_handshake: (),
        }.items():
            assert in_child(lambda call=call, arguments=arguments: tried(call, *arguments)) == "FORKED"  # type: ignore[misc]
        assert in_child(lambda: tried(client.close)) == "worked"
        server.sendall(b"to the parent")
        assert received.result(SECONDS) == b"to the parent"
        client.sendall(b"and back")
        assert server.recv(100) == b"and back"


@pytest.mark.parametrize("user", ["parent", "child"])
def test_a_connection_that_no_thread_worked_on_goes_on_in_either_process(files: Files, user: str) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        if user == "child":
            assert in_child(lambda: tried(client.sendall, b"hello")) == "worked"
        else:
            in_child(lambda: "")
            client.sendall(b"hello")
        assert server.recv(100) == b"hello"


def test_a_connection_in_memory_that_a_thread_works_on_is_an_error_in_the_child(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    inside, leave = threading.Event(), threading.Event()

    def hold(report: Any) -> None:
        inside.set()
        leave.wait(SECONDS)

    client.set_verify_callback(hold)
    other, end = memory_pair(server, client)
    for each in (end, other):
        tried(each.do_handshake)
    shaking = in_thread(end.do_handshake)
    assert inside.wait(SECONDS)
    assert in_child(lambda: tried(end.do_handshake)) == "FORKED"
    assert in_child(lambda: tried(end.write, b"x")) == "FORKED"
    assert in_child(lambda: f"{end.version()} {end.cipher()} {end.pending()}") == "None None 0"
    leave.set()
    shaking.result(SECONDS)
    assert end.version() == "TLSv1.3"


def test_an_event_loops_connection_that_its_thread_works_on_is_an_error_in_the_child(files: Files) -> None:
    client = client_context(files.ca)
    inside, leave = threading.Event(), threading.Event()

    def hold(report: Any) -> None:
        inside.set()
        leave.wait(SECONDS)

    client.set_verify_callback(hold)
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        serving = in_thread(server_context(files.server).wrap_socket, server_raw, server_side=True)
        ssl_object = TransportSSLObject._of(client, server_side=False, server_hostname="localhost")
        link = _engine.EventLoopStream(ssl_object._stream, client_raw.fileno())
        assert not link.handshake(False)

        def shake() -> None:
            while not link.handshake(True):
                select.select([client_raw], [], [], SECONDS)

        shaking = in_thread(shake)
        assert inside.wait(SECONDS)
        for call, arguments in {link.flush: (), link.handshake: (True,), link.read: ()}.items():
            assert in_child(lambda call=call, arguments=arguments: tried(call, *arguments)) == "FORKED"  # type: ignore[misc]
        assert (
            in_child(lambda: f"{ssl_object.version()} {link.unread()} {link.unsent_size()}") == "None False 0"
        )
        leave.set()
        shaking.result(SECONDS)
        assert ssl_object.version() == "TLSv1.3"
        link.retire_descriptor()
        with pytest.raises(OSError):
            link.write(b"x")
        serving.result(SECONDS).close()


def test_a_callback_that_forks_leaves_the_handshake_to_the_parent(files: Files) -> None:
    client = client_context(files.ca)
    parent = os.getpid()
    read, write = os.pipe()

    def fork(report: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            os.fork()

    client.set_verify_callback(fork)
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        serving = in_thread(server_context(files.server).wrap_socket, server_raw, server_side=True)
        end = client.wrap_socket(client_raw, server_hostname="localhost", do_handshake_on_connect=False)
        said = tried(end.do_handshake)
        if os.getpid() != parent:
            os.write(write, said.encode())
            os._exit(0)
        with end, serving.result(SECONDS) as server:
            assert said == "worked"
            assert os.read(read, 100) == b"FORKED"
            end.sendall(b"x")
            assert server.recv(1) == b"x"
    os.wait()
    os.close(read)
    os.close(write)


def test_a_waiting_call_in_a_child_is_woken_there_and_the_parents_threads_are_not(files: Files) -> None:
    contexts = server_context(files.server), client_context(files.ca)
    with tls_pair(*contexts) as (_, parents), tls_pair(*contexts) as (_, childs):
        for end in (parents, childs):
            end.settimeout(None)
        kept = waiting(parents.recv, 1)

        def wake() -> str:
            woken = waiting(childs.recv, 1)
            childs.close()
            return type(woken.exception(SECONDS)).__name__

        assert in_child(wake) == "OSError"
        assert not kept.done()
        parents.close()
        assert isinstance(kept.exception(SECONDS), OSError)


def test_a_child_shakes_hands_where_a_thread_was_writing_to_the_key_log(files: Files, tmp_path: Path) -> None:
    pipe = tmp_path / "keys"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(reader, bytes(4096))
    server, client = server_context(files.server), client_context(files.ca)
    client.keylog_filename = pipe
    writing = waiting(connect, server, client)

    def shake_hands() -> str:
        os.read(reader, 1_000_000)
        return f"refused: {connect(server, client).refused}"

    assert in_child(shake_hands) == "refused: False"
    assert writing.result(SECONDS).refused is False
    os.close(reader)


def test_two_hundred_forks_under_load_neither_hang_nor_break_anything(files: Files) -> None:
    times = 200
    command = [sys.executable, "-m", "tests.forking", str(files.server), str(files.ca), str(times)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50 * SECONDS)
    assert ended.returncode == 0, ended.stderr
    good, _, met = ended.stdout.partition(" ")
    assert int(good) == times, ended.stderr
    assert f"'recv: FORKED': {times}" in met
    assert f"'send: FORKED': {times}" in met
    assert connect(server_context(files.server), client_context(files.ca)).refused is False


FORKS = """
import os, sys, threading, veritls

LATE = "cryptography.x509", "veritls._explaining.refusals", "veritls._connection.telling"

def late():
    return [name for name in LATE if name in sys.modules]

def child():
    pid = os.fork()
    if not pid:
        print(*late(), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)

assert not late()
child()
goes_on = threading.Event()
thread = threading.Thread(target=goes_on.wait)
thread.start()
child()
goes_on.set()
"""


def test_a_fork_amid_threads_finds_imported_what_a_refusal_imports() -> None:
    """Another thread may be amid that import, and the child has no thread to finish it."""
    command = [sys.executable, "-W", "ignore", "-c", FORKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    alone, amid_threads = done.stdout.splitlines()
    assert (alone, amid_threads) == ("", "cryptography.x509 veritls._explaining.refusals")


def test_a_fork_amid_threads_finds_imported_what_a_log_line_imports() -> None:
    """Where `logging` is there; else no thread has begun to import it."""
    command = [sys.executable, "-W", "ignore", "-c", f"import logging\n{FORKS}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[-1] == "veritls._connection.telling"
