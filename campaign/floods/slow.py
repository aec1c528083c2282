"""Many connections that begin a hello and never end it: what they hold, and how others fare."""

from __future__ import annotations

import contextlib
import selectors
import socket
import statistics
import threading
import time
from dataclasses import dataclass

from campaign.floods.attacker import SECONDS, Files
from campaign.floods.measuring import Victim, latencies
from tests.support.forger import HANDSHAKE, message


@dataclass(frozen=True)
class Slow:
    """Milliseconds of an honest client's connection, and bytes for each slow one."""

    before: float
    meanwhile: float
    held: int
    count: int
    kept: int
    """How many of the slow connections were still there at the end."""


def _begun() -> bytes:
    start = message(1, b"", length=1000)
    return bytes([HANDSHAKE, 3, 1]) + (1004).to_bytes(2, "big") + start


def dribble(files: Files, target: Victim, count: int, seconds: float) -> Slow:
    """`count` connections that send a byte of a hello in turn, about a thousand bytes a second in all."""
    before = 1000 * statistics.median(latencies(files, target, min(seconds, 1)))
    first = target.asked("stat")
    ends = [socket.create_connection(("127.0.0.1", target.port), SECONDS) for _ in range(count)]
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.05):
            for each in ends[:: max(1, count // 50)]:
                with contextlib.suppress(OSError):
                    each.sendall(b"\0")

    try:
        for each in ends:
            each.sendall(_begun())
        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        deadline = time.monotonic() + SECONDS
        while target.asked("stat")["descriptors"] < first["descriptors"] + count:
            if time.monotonic() > deadline:
                raise AssertionError("the victim does not accept them all")
        meanwhile = 1000 * statistics.median(latencies(files, target, seconds))
        held = target.asked("stat")["resident"] - first["resident"]
        over.set()
        sending.join(SECONDS)
        with selectors.DefaultSelector() as selector:
            for each in ends:
                selector.register(each, selectors.EVENT_READ)
            gone = len(selector.select(0))
        return Slow(before, meanwhile, max(0, held) // count, count, count - gone)
    finally:
        over.set()
        for each in ends:
            each.close()
