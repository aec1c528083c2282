"""A process under load that forks often: `python -m tests.forking CERTIFICATE CA TIMES`.

Threads shake hands, send and receive meanwhile. Each child uses what no thread worked on just then, which
must work, and what threads worked on, which may be an error and must end; a child that hangs is killed by its
alarm. Prints how many children ended well, and how often each outcome of the second kind was met.
"""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import ssl
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from tests.support.connections import client_context, server_context, tls_pair
from tests.support.memory import connect

CHILD_SECONDS = 20


class Load:
    """Connections that threads work on, until `over`."""

    def __init__(self, server: Any, client: Any, stack: contextlib.ExitStack) -> None:
        self.server, self.client = server, client
        self.over = threading.Event()
        self.waiting, self.silent = stack.enter_context(tls_pair(server, client))
        self.waiting.settimeout(None)
        self.sender, self.receiver = stack.enter_context(tls_pair(server, client))
        self.in_memory = connect(server, client)
        works = [self.wait, self.send, self.receive, self.pass_in_memory, self.shake_hands, self.look]
        self.threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self.threads:
            thread.start()

    def wait(self) -> None:
        with contextlib.suppress(OSError):
            self.waiting.recv(1)

    def send(self) -> None:
        with contextlib.suppress(OSError):
            while not self.over.is_set():
                self.sender.sendall(bytes(100_000))

    def receive(self) -> None:
        with contextlib.suppress(OSError):
            while self.receiver.recv(50_000):
                pass

    def pass_in_memory(self) -> None:
        data = bytes(200_000)
        while not self.over.is_set():
            self.in_memory.client.write(data)
            left = len(data)
            while left:
                left -= len(self.in_memory.server.read(100_000))

    def shake_hands(self) -> None:
        while not self.over.is_set():
            with tls_pair(self.server, self.client) as (near, far):
                near.sendall(b"x")
                far.recv(1)

    def look(self) -> None:
        while not self.over.is_set():
            self.sender.version(), self.receiver.pending(), self.in_memory.client.cipher()

    def stop(self) -> None:
        self.over.set()
        self.sender.close()
        self.receiver.close()
        self.waiting.close()
        for thread in self.threads:
            thread.join(CHILD_SECONDS)
            assert not thread.is_alive(), thread


def tried(call: Any, *arguments: Any) -> str:
    try:
        call(*arguments)
        return "worked"
    except ssl.SSLWantReadError:
        return "worked"
    except ssl.SSLError as error:
        return str(error.reason)
    except OSError as error:
        return type(error).__name__


def child(load: Load, idle: tuple[Any, Any], idle_in_memory: Any) -> dict[str, str]:
    server, client = idle
    client.sendall(b"to myself")
    assert server.recv(100) == b"to myself"
    idle_in_memory.client.write(b"to myself")
    assert idle_in_memory.server.read(100) == b"to myself"
    assert not connect(load.server, load.client).refused
    found = {"recv": tried(load.waiting.recv, 1), "send": tried(load.waiting.sendall, b"x")}
    for end in (load.in_memory.client, load.in_memory.server):
        end.version(), end.pending()
        found["memory"] = tried(end.write, b"x")
        tried(end.read, 1)
        tried(end.unwrap)
    for end in (load.sender, load.receiver, load.waiting):
        end.version(), end.pending(), end.getpeername()
        end.close()
        assert end.fileno() == -1
        assert tried(end.recv, 1) == "OSError"
    return found


def forked(load: Load, idle: tuple[Any, Any], idle_in_memory: Any) -> tuple[bool, dict[str, str]]:
    """Whether a child ended well, and what it met."""
    read, write = os.pipe()
    number = os.fork()
    if number == 0:
        signal.alarm(CHILD_SECONDS)
        try:
            os.write(write, repr(child(load, idle, idle_in_memory)).encode())
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    os.close(write)
    with open(read, "rb") as file:
        said = file.read()
    return os.waitpid(number, 0)[1] == 0, eval(said.decode() or "{}")


def main(certificate: str, ca: str, times: str) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is the point
    server, client = server_context(Path(certificate)), client_context(Path(ca))
    good, met = 0, collections.Counter[str]()
    with contextlib.ExitStack() as stack:
        load = Load(server, client, stack)
        for _ in range(int(times)):
            with tls_pair(server, client) as idle:
                ended, found = forked(load, idle, connect(server, client))
                # Nothing that a child did is seen here but what went over the wire.
                good += ended
                met.update(f"{key}: {value}" for key, value in found.items())
        load.stop()
    print(good, dict(met))


if __name__ == "__main__":
    main(*sys.argv[1:])
