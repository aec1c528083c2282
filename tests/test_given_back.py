"""Memory that goes back to the system: of connections that closed, and of the stack that a handshake took."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, raw_pair, server_context
from tests.support.waiting import until, waiting

KIB = 1024

CROWD = """
import os, sys, time
import veritls

context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def at_it():
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as file:
                names.append(file.read().strip())
        except OSError:
            pass  # it has just ended
    return "veritls-memory" in names

def made(number):
    return [context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), True) for _ in range(number)]

def until(true, what):
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            sys.exit(what)
        time.sleep(0.01)
"""

FEWER = """
first, before = made(50), resident()
crowd = made(4000)
held, stays = resident() - before, crowd[::200]
del crowd
until(at_it, "nobody is at it")
until(lambda: not at_it(), "it never ends")
left = resident() - before
print(f"{held} were held, {left} are left")
sys.exit(left > held / 3)
"""

FEW = """
for _ in range(20):
    made(100)
sys.exit(at_it())
"""

FORKED = """
made(1000)
until(at_it, "nobody is at it")
child = os.fork()
if child == 0:
    alone = not at_it()
    made(1000)
    until(at_it, "nobody is at it in the child")
    os._exit(not alone)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

glibc_only = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no other C library can be asked")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="/proc")


def run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CROWD + program],
        capture_output=True,
        text=True,
        timeout=SECONDS * 6,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@glibc_only
def test_what_a_crowd_of_connections_held_goes_back_to_the_system_when_they_are_closed() -> None:
    run(FEWER)


@glibc_only
def test_a_few_connections_that_come_and_go_start_no_thread() -> None:
    run(FEW)


@glibc_only
def test_a_child_that_was_forked_meanwhile_gives_back_what_its_own_connections_held() -> None:
    run(FORKED)


def stack_of(thread: int) -> int:
    """How many bytes of the stack of a thread are resident, once it waits in the kernel."""
    where: list[str] = []

    def waits() -> bool:
        where[:] = Path(f"/proc/self/task/{thread}/syscall").read_text().split()
        return where[0] != "running"

    until(waits, "the thread never waits")
    pointer, found = int(where[-2], 16), False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first:
            low, high = (int(end, 16) for end in first.split("-"))
            found = low <= pointer < high
        elif found and first == "Rss:":
            return int(line.split()[1]) * KIB
    raise LookupError


@pytest.fixture(params=[0, 256 * KIB], ids=["", "a small stack"])
def stacks(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threading.stack_size(request.param)
    yield
    threading.stack_size(before)


@linux_only
@pytest.mark.usefixtures("stacks")
def test_a_thread_that_waits_after_a_handshake_keeps_no_stack_but_what_it_waits_on(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    near, far = raw_pair()
    threads: list[int] = []

    def serve() -> bytes:
        threads.append(threading.get_native_id())
        near.recv(1)
        with server.wrap_socket(near, server_side=True) as tls:
            received: bytes = tls.recv(1)
            tls.sendall(received)
            last: bytes = tls.recv(1)
            return last

    served = waiting(serve)
    plain = stack_of(threads[0])
    far.sendall(b"x")
    with client.wrap_socket(far, server_hostname="localhost") as tls:
        tls.sendall(b"y")
        assert tls.recv(1) == b"y"
        until(lambda: stack_of(threads[0]) <= plain + 12 * KIB, "the thread keeps it")
        tls.sendall(b"z")
        assert served.result(SECONDS) == b"z"
