"""A fleet for tests: real processes, each with contexts of its own that share ticket keys."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.resumption.attacks import World
from tests.support.connections import SECONDS

PROGRAM = """
import os, socket, sys
import veritls
from veritls.tickets import TicketKeys
identity, anchors, keys, change = sys.argv[1:]
server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(identity)
if anchors:
    server.load_verify_locations(anchors)
    server.verify_mode = veritls.CERT_REQUIRED
server.ticket_keys = eval(keys)
exec(change)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    raw, _ = listener.accept()
    raw.settimeout(10)
    try:
        with server.wrap_socket(raw, server_side=True) as end:
            end.sendall(b"%d %d\\n" % (os.getpid(), end.session_reused))
            end.recv(1)
    except OSError:
        raw.close()
"""


@dataclass
class Answer:
    """What a member said of one connection, and what the client knows."""

    member: int
    resumed: bool
    session: Any


class Member:
    """One process of a fleet, over blocking sockets."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def connect(self, client: ssl.SSLContext, session: Any = None) -> Answer:
        """One connection. Raises ssl.SSLError where either side refuses."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        with client.wrap_socket(raw, server_hostname="a.example", session=session) as end:
            line = end.makefile("rb").readline()
            if not line:
                raise ConnectionResetError("the server went away")
            pid, resumed = line.split()
            answer = Answer(int(pid), resumed == b"1", end.session)
            assert end.session_reused == answer.resumed
            end.sendall(b"c")
        return answer


@contextmanager
def member(
    world: World, keys: str, *, anchors: Any = None, change: str = "", under: Sequence[str] = ()
) -> Iterator[Member]:
    """A process whose context has the ticket keys that `keys` makes; `change` is a line about `server`.

    `under`: a program that starts it.
    """
    identity = str(world.file(world.server))
    command = [*under, sys.executable, "-c", PROGRAM, identity, str(anchors or ""), keys, change]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ}, start_new_session=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield Member(process, int(line))
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # what `under` started, too
        process.wait(SECONDS)
        if process.stdout is not None:
            process.stdout.close()
