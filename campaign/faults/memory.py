"""Memory ends (RLIMIT_AS) while connections send and receive: MemoryError, and afterwards nothing is lost.

A mebibyte or two are left for what is small: where that cannot be had, the process aborts (decision 0021).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import random
import resource
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from campaign.faults.running import Seen, certificates, loop_factories, main
from tests.support.connections import SECONDS, client_context, in_thread, server_context, tls_pair

_MIB = 1 << 20
_MUCH = 4 * _MIB
_PIECE = 64 * 1024


@contextmanager
def limited(extra: int) -> Iterator[None]:
    """`extra` bytes can be had, in pieces of 64 KiB."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, hard))
    taken = []
    try:
        with contextlib.suppress(MemoryError):
            while True:
                taken.append(bytearray(_PIECE))
        del taken[:: max(1, len(taken) * _PIECE // extra)]
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


class Limits:
    def __init__(self, seen: Seen) -> None:
        files = certificates()
        self.contexts = server_context(files.server), client_context(files.ca)
        self.seen = seen

    def _without_memory(self, call: Any, *arguments: Any) -> Any:
        """The result, or None where there was a MemoryError."""
        try:
            with limited(random.choice([1, 2, 4]) * _MIB):
                result = call(*arguments)
            self.seen.count("calls that worked")
            return result
        except MemoryError:
            self.seen.count("calls without memory")
        except OSError as error:
            self.seen.expect(error.errno == errno.ENOMEM, f"{call.__name__}: {error!r}")
            self.seen.count("calls without memory")
        return None

    def _again(self, call: Any, *arguments: Any) -> Any:
        """The same call until there is memory, of the other end's thread, which has no more than this one."""
        while True:
            try:
                return call(*arguments)
            except MemoryError:
                self.seen.count("calls of another thread without memory")
                time.sleep(0.001)

    def receive(self) -> None:
        """Reads that ask for more than there is, and then for little: every byte comes once."""
        data = random.randbytes(_MUCH)
        with tls_pair(*self.contexts) as (far, near):
            sending = in_thread(self._again, far.sendall, data)
            got = bytearray(_MUCH)
            have = 0
            while have < _MUCH:
                size = random.choice([1 << 30, 64 * _MIB, _MIB])
                piece = self._without_memory(near.recv, size)
                if piece is None:
                    piece = near.recv(65_536)
                self.seen.expect(piece, "an end before the end")
                got[have : have + len(piece)] = piece
                have += len(piece)
            sending.result(SECONDS)
        self.seen.expect(hashlib.sha256(got).digest() == hashlib.sha256(data).digest(), "other bytes came")

    def send(self) -> None:
        """Messages that are repeated once there is memory: each byte arrives once, or an error says so."""
        data = random.randbytes(_MUCH)
        with tls_pair(*self.contexts) as (far, near), tempfile.TemporaryFile() as file:
            receiving = in_thread(self._received, far, 2 * _MUCH)
            try:
                self._sent(near, data, file)
            except ssl.SSLError as error:
                self.seen.expect("an earlier call on this connection failed" in str(error), repr(error))
                self.seen.count("connections given up, for a record that was half made")
                near.close()
                with contextlib.suppress(OSError):
                    receiving.result(3 * SECONDS)
                return
            got = receiving.result(3 * SECONDS)
        self.seen.expect(got == hashlib.sha256(data + data).digest(), "other bytes arrived")

    def _sent(self, near: Any, data: bytes, file: Any) -> None:
        with limited(_MIB):
            try:
                near.sendall(data)
                self.seen.count("messages that were sent")
                again = False
            except MemoryError:
                self.seen.count("messages without memory")
                again = True
        if again:
            near.sendall(data)
        file.write(data)
        file.seek(0)
        while file.tell() < _MUCH:
            if self._without_memory(near.sendfile, file) is None:
                near.sendfile(file)

    def _received(self, end: Any, size: int) -> bytes:
        got, memory = hashlib.sha256(), bytearray(65_536)
        while size:
            count = self._again(end.recv_into, memory)
            if not count:
                break
            got.update(memory[:count])
            size -= count
        return got.digest()

    def on_a_loop(self, factory: Any) -> None:
        """A write that finds no memory raises, or ends that connection alone."""

        async def echo(reader: Any, writer: Any) -> None:
            while data := await reader.read(100_000):
                writer.write(data)
            writer.close()

        async def run() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=self.contexts[0])
            port = server.sockets[0].getsockname()[1]
            options: Any = {"ssl": self.contexts[1], "server_hostname": "localhost"}
            kept = await asyncio.open_connection("127.0.0.1", port, **options)
            greedy = await asyncio.open_connection("127.0.0.1", port, **options)
            data = bytes(_MUCH)
            self._without_memory(greedy[1].write, data)
            kept[1].write(b"x")
            said = await asyncio.wait_for(kept[0].read(1), SECONDS)
            self.seen.expect(said == b"x", "another connection of the loop did not go on")
            greedy[1].transport.abort()
            kept[1].close()
            server.close()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run())
        self.seen.count("loops")

    def handshakes(self) -> None:
        with limited(8 * _MIB), tls_pair(*self.contexts) as (far, near):
            far.sendall(b"x")
            self.seen.expect(near.recv(1) == b"x", "a handshake with little memory")
        self.seen.count("handshakes with little memory")


def work(seconds: float, seen: Seen) -> None:
    limits, until, rounds = Limits(seen), time.monotonic() + seconds, 0
    # What threads and loops take once.
    for factory in loop_factories():
        limits.on_a_loop(factory)
    while rounds < 1 or time.monotonic() < until:
        limits.receive()
        limits.send()
        limits.handshakes()
        limits.on_a_loop(random.choice(loop_factories()))
        rounds += 1
    seen.count("rounds", rounds)


if __name__ == "__main__":
    main(work)
