"""A link with delay, loss, reordering and duplicates between two network namespaces: every byte arrives.

Two TUN devices, whose packets a thread hands on when it likes. As root.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import heapq
import os
import random
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from campaign.faults.running import Seen, certificates, loop_factories, main
from tests.support.connections import client_context, in_thread, server_context

_NEWNET = 0x40000000
_TUNSETIFF, _TUN, _NO_HEADER = 0x400454CA, 1, 0x1000
_SECONDS = 60
_LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A network of its own with one TUN device, whose packets are ours. Raises OSError."""

    def __init__(self, address: str) -> None:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _checked(_LIBC.unshare(_NEWNET))
            self._number = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            self.packets = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.packets, _TUNSETIFF, struct.pack("16sH", b"tun0", _TUN | _NO_HEADER))
            for words in (f"addr add {address}/24 dev tun0", "link set tun0 mtu 1400 up", "link set lo up"):
                subprocess.run(["ip", *words.split()], check=True, capture_output=True)
        finally:
            _checked(_LIBC.setns(home, _NEWNET))
            os.close(home)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are the namespace's."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _checked(_LIBC.setns(self._number, _NEWNET))
        try:
            yield
        finally:
            _checked(_LIBC.setns(home, _NEWNET))
            os.close(home)


class Link(threading.Thread):
    """Hands packets on: late, in another order, twice or not at all."""

    def __init__(self, first: Namespace, second: Namespace, seen: Seen) -> None:
        super().__init__(daemon=True)
        self._to = {first.packets: second.packets, second.packets: first.packets}
        self._seen = seen
        self.loss, self.delay, self.jitter = 0.02, 0.002, 0.01
        self._due: list[tuple[float, int, int, bytes]] = []

    def _take(self, number: int) -> None:
        packet = os.read(number, 65_536)
        self._seen.count("packets")
        for _ in range(2 if random.random() < 0.01 else 1):
            if random.random() < self.loss:
                self._seen.count("packets lost")
                continue
            due = time.monotonic() + self.delay + random.random() * self.jitter
            if self._due and due < max(self._due)[0]:
                self._seen.count("packets overtaken")
            heapq.heappush(self._due, (due, self._seen.counts["packets"], self._to[number], packet))

    def run(self) -> None:
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 1.0
            for number in select.select(list(self._to), [], [], wait)[0]:
                with contextlib.suppress(BlockingIOError):
                    self._take(number)
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, number, packet = heapq.heappop(self._due)
                with contextlib.suppress(OSError):  # The device's queue is full: one more that is lost.
                    os.write(number, packet)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Transfers:
    def __init__(self, server: Namespace, client: Namespace, seen: Seen) -> None:
        files = certificates()
        self.files, self.seen = files, seen
        self.server, self.client = server, client

    def _contexts(self) -> tuple[Any, Any]:
        server, client = server_context(self.files.server), client_context(self.files.ca)
        server.load_verify_locations(self.files.ca)
        server.verify_mode = ssl.CERT_REQUIRED
        client.load_cert_chain(self.files.client)
        client.maximum_version = random.choice([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
        return server, client

    def _sockets(self) -> tuple[socket.socket, socket.socket]:
        with self.server.inside():
            listener = socket.create_server(("10.9.0.1", 0))
        with self.client.inside():
            near = socket.socket()
        with listener:
            near.settimeout(_SECONDS)
            listener.settimeout(_SECONDS)
            near.connect(listener.getsockname())
            far, _ = listener.accept()
        far.settimeout(_SECONDS)
        return far, near

    def _talk(self, context: Any, raw: socket.socket, data: bytes, **options: Any) -> bytes:
        """Sends and receives at once, in two threads; what was received, up to the peer's close_notify."""
        with context.wrap_socket(raw, suppress_ragged_eofs=False, **options) as tls:
            sending = in_thread(tls.sendall, data)
            got = bytearray()
            while len(got) < len(data):
                piece = tls.recv(65_536)
                self.seen.expect(piece, "an end before the end")
                if not piece:
                    break
                got += piece
            sending.result(_SECONDS)
            tls.unwrap()
        return bytes(got)

    def blocking(self, size: int) -> None:
        contexts, (far, near) = self._contexts(), self._sockets()
        one, other = random.randbytes(size), random.randbytes(size)
        serving = in_thread(self._talk, contexts[0], far, one, server_side=True)
        got = self._talk(contexts[1], near, other, server_hostname="localhost")
        self.seen.expect(_digest(got) == _digest(one), "blocking: other bytes came to the client")
        self.seen.expect(serving.result(_SECONDS) == other, "blocking: other bytes came to the server")
        self.seen.count("connections")
        self.seen.count("bytes each way", size)

    def on_a_loop(self, factory: Any, size: int) -> None:
        contexts, (far, near) = self._contexts(), self._sockets()
        one, other = random.randbytes(size), random.randbytes(size)

        async def talk(data: bytes, reader: Any, writer: Any) -> bytes:
            writer.write(data)
            got = await reader.readexactly(size)
            await writer.drain()
            writer.close()
            return bytes(got)

        async def both() -> tuple[bytes, bytes]:
            loop = asyncio.get_running_loop()
            for raw in (far, near):
                raw.setblocking(False)
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            made = loop.connect_accepted_socket(lambda: protocol, far, ssl=contexts[0])
            opening = asyncio.open_connection(sock=near, ssl=contexts[1], server_hostname="localhost")
            (transport, _), streams = await asyncio.gather(made, opening)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            first, second = await asyncio.wait_for(
                asyncio.gather(talk(one, reader, writer), talk(other, *streams)),
                2 * _SECONDS,
            )
            return first, second

        with asyncio.Runner(loop_factory=factory) as runner:
            at_server, at_client = runner.run(both())
        self.seen.expect(at_client == one, "loop: other bytes came to the client")
        self.seen.expect(at_server == other, "loop: other bytes came to the server")
        self.seen.count("connections on a loop")
        self.seen.count("bytes each way", size)


def work(seconds: float, seen: Seen) -> None:
    try:
        server, client = Namespace("10.9.0.1"), Namespace("10.9.0.2")
    except (OSError, subprocess.CalledProcessError) as error:
        seen.skipped = f"no network namespace with a TUN device can be made ({error})"
        return
    link = Link(server, client, seen)
    link.start()
    transfers, until, rounds = Transfers(server, client, seen), time.monotonic() + seconds, 0
    while rounds < 1 or time.monotonic() < until:
        link.loss, link.jitter = random.choice([0.0, 0.005, 0.03]), random.choice([0.0, 0.005, 0.03])
        size = random.randrange(1, 40_000 if seconds < 1 else 500_000)
        transfers.blocking(size)
        for factory in loop_factories():
            transfers.on_a_loop(factory, size)
        rounds += 1


if __name__ == "__main__":
    main(work)
