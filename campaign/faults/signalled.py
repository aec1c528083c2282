"""Signals a thousand times a second: handlers that return or raise, a descriptor that is written to."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from campaign.faults.running import Seen, certificates, loop_factories, main
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context

_HZ = 1000


class Heard(Exception):
    """What a handler raises."""


@contextmanager
def signals(handler: Callable[..., Any]) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 1 / _HZ, 1 / _HZ)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Interrupted:
    """What the main thread does while signals come; the other end is a thread's, which hears none."""

    def __init__(self, seen: Seen) -> None:
        files = certificates()
        self.contexts = server_context(files.server), client_context(files.ca)
        self.seen = seen
        self.armed = False
        """Within a call, and not between two, where an exception would be the program's own."""

    def count(self, *_: Any) -> None:
        self.seen.counts["signals"] += 1

    def maybe_raise(self, *_: Any) -> None:
        self.seen.counts["signals"] += 1
        if self.armed and random.random() < 0.2:
            self.armed = False
            raise Heard

    def _peer(self, raw: socket.socket, size: int) -> tuple[bytes, bytes]:
        """Takes so much and sends as much: the hashes of both."""
        data = random.randbytes(size)
        with self.contexts[0].wrap_socket(raw, server_side=True) as tls:
            got, left = hashlib.sha256(), size
            while left:
                piece = tls.recv(65_536)
                got.update(piece)
                left -= len(piece)
            tls.sendall(data)
        return got.digest(), hashlib.sha256(data).digest()

    def _repeated(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Until no handler raises in it, as a program would that goes on."""
        while True:
            try:
                self.armed = True
                return call(*arguments)
            except Heard:
                self.seen.count("calls that a handler left")
            finally:
                self.armed = False

    def connection(self, size: int, timeout: float | None) -> None:
        server_raw, client_raw = raw_pair()
        peer = in_thread(self._peer, server_raw, size)
        data = random.randbytes(size)
        client_raw.settimeout(timeout)
        end = self.contexts[1].wrap_socket(
            client_raw, server_hostname="localhost", do_handshake_on_connect=False
        )
        with end:
            self._repeated(end.do_handshake)
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.seek(0)
                # Its position says what was sent. A handler that raises when `sendall` or `recv` has just
                # returned takes the result along, with any socket.
                while file.tell() < size:
                    self._repeated(end.sendfile, file)
            got = hashlib.sha256()
            left = size
            while left and (piece := end.recv(65_536)):
                got.update(piece)
                left -= len(piece)
            taken, sent = peer.result(2 * SECONDS)
            self.seen.expect(taken == hashlib.sha256(data).digest(), "what was sent is not what arrived")
            self.seen.expect(sent == got.digest(), "what was received is not what was sent")
        self.seen.count("bytes each way", size)
        self.seen.count("connections")

    async def on_a_loop(self, size: int) -> None:
        """A loop whose own handler of the signal runs as often."""
        loop = asyncio.get_running_loop()
        server_raw, client_raw = raw_pair()
        peer = in_thread(self._peer, server_raw, size)
        client_raw.setblocking(False)
        loop.add_signal_handler(signal.SIGALRM, lambda: self.seen.count("signals on a loop"))
        signal.setitimer(signal.ITIMER_REAL, 1 / _HZ, 1 / _HZ)
        try:
            reader, writer = await asyncio.open_connection(
                sock=client_raw, ssl=self.contexts[1], server_hostname="localhost"
            )
            data = random.randbytes(size)
            writer.write(data)
            await writer.drain()
            back = await asyncio.wait_for(reader.readexactly(size), 3 * SECONDS)
            taken, sent = await asyncio.to_thread(peer.result, 2 * SECONDS)
            self.seen.expect(
                taken == hashlib.sha256(data).digest(), "loop: what was sent is not what arrived"
            )
            self.seen.expect(sent == hashlib.sha256(back).digest(), "loop: what came is not what was sent")
            writer.close()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            loop.remove_signal_handler(signal.SIGALRM)
        self.seen.count("connections on a loop")


def work(seconds: float, seen: Seen) -> None:
    interrupted = Interrupted(seen)
    until = time.monotonic() + seconds
    rounds = 0
    while rounds < 1 or time.monotonic() < until:
        size = random.randrange(1, 8_000_000)
        for timeout in (None, SECONDS):
            for handler in (interrupted.count, interrupted.maybe_raise):
                with signals(handler):
                    interrupted.connection(size, timeout)
        read, write = os.pipe2(os.O_NONBLOCK)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        with signals(interrupted.count):
            interrupted.connection(size, None)
        signal.set_wakeup_fd(-1)
        seen.expect(os.read(read, 10_000_000), "nothing came to the wakeup descriptor")
        os.close(read)
        os.close(write)
        for factory in loop_factories():
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(interrupted.on_a_loop(size))
        rounds += 1
    seen.count("rounds", rounds)


if __name__ == "__main__":
    main(work)
