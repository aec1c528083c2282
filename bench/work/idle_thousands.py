"""Thousands of connections that idle at a server: what each costs, and whether it gives the memory back."""

from __future__ import annotations

import contextlib
import socket
import time

from bench.contestants import Contestant
from bench.loops import LoopContestant, listener
from bench.work import Job, Say, crowd
from bench.work.blocking import Client, read, resident

_LIMIT = 300.0
_WARM, _HELD = b"w", b"h"
_LOOK = 0.1
"""Seconds between two looks at the memory."""


def serve(contestant: Contestant | LoopContestant, job: Job, say: Say) -> Job:
    """`each`: bytes of a connection; `given_back`: what the server holds over what it held at first.

    The memory is that which is resident. After the connections have ended the server is given up to
    `patience` seconds to come down to `share` of what it held before the first; `waited` says how long.
    """
    warm, number = job["warm"], job["connections"]

    def work(count: crowd.Count) -> Job:
        first = resident()
        client, _ = control.accept()
        with client:
            client.settimeout(_LIMIT)
            _step(client, _WARM)
            count.wait(answered=warm, ended=warm)
            before = resident()
            client.sendall(_WARM)
            _step(client, _HELD)
            count.wait(answered=warm + number)
            held = resident()
            client.sendall(_HELD)
        count.wait(ended=warm + number)
        began = time.monotonic()
        # No collection of garbage here: nobody asks a server for one.
        while (left := resident(collect=False)) > job["share"] * first:
            if time.monotonic() - began >= job["patience"]:
                break
            time.sleep(_LOOK)
        waited = time.monotonic() - began
        return {"each": (held - before) / number, "given_back": left / first, "waited": waited}

    with listener() as control:
        control.settimeout(_LIMIT)
        return crowd.serve(contestant, job, say, work, warm, control=control.getsockname()[1])


def _step(client: socket.socket, expected: bytes) -> None:
    if client.recv(1) != expected:
        raise EOFError("the client ended")


def make(contestant: Contestant, job: Job, say: Say) -> Job:
    """Connections with an exchange of `size` bytes each, held until the server has looked at its memory."""
    client, message = Client(contestant, job), bytes(job["size"])
    with (
        contextlib.closing(
            socket.create_connection(("127.0.0.1", job["control"]), timeout=_LIMIT)
        ) as control,
        contextlib.ExitStack() as held,
    ):
        for number, step in ((job["warm"], _WARM), (job["connections"], _HELD)):
            for _ in range(number):
                connection, _ = client.checked() if step == _WARM else client.connect()
                held.callback(connection.close)
                connection.sendall(message)
                read(connection, len(message))
            if step == _WARM:
                held.pop_all().close()
            control.sendall(step)
            _step(control, step)
    return {}
