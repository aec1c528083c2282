"""What a server holds for each client that begins a hello and never ends it: about what came of it."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import server_context
from tests.support.forger import HANDSHAKE, message
from veritls import _engine
from veritls._connection.sslobject import TransportSSLObject

KIB = 1024
CLIENTS = 200
BEGUN = message(1, b"", length=60_000)


def resident() -> int:
    """What this process holds, without what earlier tests have freed."""
    ctypes.CDLL(None).malloc_trim(0)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * KIB
    raise LookupError


def records(size: int) -> bytes:
    """So much of a hello that has 60,000 bytes."""
    content = BEGUN + bytes(size - len(BEGUN))
    parts = [content[at : at + 16_000] for at in range(0, size, 16_000)]
    return b"".join(bytes([HANDSHAKE, 3, 1]) + len(part).to_bytes(2, "big") + part for part in parts)


def on_a_loop(context: Any, raw: socket.socket) -> tuple[Any, Callable[[], None]]:
    made = TransportSSLObject._of(context, server_side=True, server_hostname=None)
    driver = _engine.EventLoopStream(made._stream, raw.fileno())

    def step() -> None:
        for _ in range(2):
            assert not driver.handshake(True)

    return (made, driver), step


def blocking(context: Any, raw: socket.socket) -> tuple[Any, Callable[[], None]]:
    made = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)

    def step() -> None:
        made.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            made.do_handshake()

    return made, step


def in_memory(context: Any, raw: socket.socket) -> tuple[Any, Callable[[], None]]:
    incoming = veritls.MemoryBIO()
    made = context.wrap_bio(incoming, veritls.MemoryBIO(), server_side=True)

    def step() -> None:
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                made.do_handshake()
            try:
                incoming.write(raw.recv(100_000))
            except BlockingIOError:
                return

    return (made, incoming), step


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("watched", [False, True], ids=["", "with sni_callback"])
@pytest.mark.parametrize("size", [4, 3_000, 20_000])
@pytest.mark.parametrize("driven", [on_a_loop, blocking, in_memory])
def test_a_hello_that_is_not_whole_holds_about_what_has_come_of_it(
    files: Files, driven: Any, size: int, watched: bool
) -> None:
    context = server_context(files.server)
    if watched:
        context.sni_callback = lambda connection, name, context: None
    sent, kept = records(size), []

    def begin() -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        end, step = driven(context, near)
        far.sendall(sent)
        step()
        kept.append((near, far, end))

    for _ in range(20):  # Takes what Python and the pool take once.
        begin()
    before = resident()
    for _ in range(CLIENTS):
        begin()
    held = (resident() - before) / CLIENTS
    for near, far, _ in kept:
        near.close()
        far.close()
    assert held < 3 * size + 50 * KIB
