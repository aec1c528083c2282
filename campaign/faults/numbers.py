"""Connections closed under use while their numbers become other sockets' and pipes': no byte goes astray."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from typing import Any

from campaign.faults.running import Seen, certificates, main
from tests.support.connections import SECONDS, client_context, server_context, tls_pair

_CONNECTIONS, _PLAIN = 6, 4
_MARK = 64
"""Bytes of a mark, of which each connection's or pipe's data consists."""


def _mark(kind: str, number: int) -> bytes:
    return f"{kind}{number:_>{_MARK - 1}}".encode()


def _only(data: bytes, mark: bytes) -> bool:
    """Whether it is a piece of a stream of marks."""
    return data in mark * (len(data) // _MARK + 2)


class Numbers:
    def __init__(self, seen: Seen, until: float) -> None:
        files = certificates()
        self.contexts = server_context(files.server), client_context(files.ca)
        self.seen, self.until = seen, until
        self._next = iter(range(10**9))
        self._lock = threading.Lock()

    def _number(self) -> int:
        with self._lock:
            return next(self._next)

    def _going(self) -> bool:
        return time.monotonic() < self.until

    def _write(self, end: Any, mark: bytes) -> None:
        with contextlib.suppress(OSError):
            while True:
                end.sendall(mark * random.randrange(1, 2000))

    def _read(self, end: Any, mark: bytes) -> None:
        with contextlib.suppress(OSError):
            while data := end.recv(random.randrange(1, 100_000)):
                self.seen.expect(_only(data, mark), f"a connection read {data[:80]!r}")
                self.seen.count("bytes over TLS", len(data))

    def connections(self) -> None:
        """One after another, each with four threads, and closed under them at one end or both."""
        while self._going():
            mark = _mark("T", self._number())
            with tls_pair(*self.contexts) as ends:
                for end in ends:
                    end.settimeout(random.choice([None, SECONDS]))
                threads = [threading.Thread(target=self._write, args=(end, mark)) for end in ends]
                threads += [threading.Thread(target=self._read, args=(end, mark)) for end in ends]
                for thread in threads:
                    thread.start()
                time.sleep(random.random() / 50)
                for end in random.sample(ends, 2):
                    how = random.choice([end.close, end.close, lambda end=end: os.close(end.detach())])
                    with contextlib.suppress(OSError):
                        how()
                for thread in threads:
                    thread.join(SECONDS)
                    self.seen.expect(not thread.is_alive(), "a thread was not woken")
                self.seen.count("connections closed under use")

    def handshakes(self) -> None:
        """Closed amid a handshake, by another thread."""
        while self._going():
            near, far = socket.socketpair()
            near.settimeout(SECONDS)
            end = self.contexts[1].wrap_socket(
                near, server_hostname="localhost", do_handshake_on_connect=False
            )

            def shake(end: Any = end) -> None:
                with contextlib.suppress(OSError):
                    end.do_handshake()

            thread = threading.Thread(target=shake)
            thread.start()
            time.sleep(random.random() / 200)
            end.close()
            thread.join(SECONDS)
            self.seen.expect(not thread.is_alive(), "a handshake was not woken")
            far.settimeout(SECONDS)
            said = b""
            with contextlib.suppress(OSError):
                while data := far.recv(10_000):
                    said += data
            self.seen.expect(said[:1] in (b"", b"\x16"), f"another socket's bytes: {said[:40]!r}")
            far.close()
            self.seen.count("handshakes closed")

    def sockets(self) -> None:
        """Plain ones, open for a moment."""
        while self._going():
            mark = _mark("S", self._number())
            near, far = socket.socketpair()
            with near, far:
                far.setblocking(False)
                near.sendall(mark)
                time.sleep(random.random() / 500)
                self.seen.expect(far.recv(10_000) == mark, "a socket had other bytes than its own")
                with contextlib.suppress(BlockingIOError):
                    self.seen.expect(False, f"a socket was sent {near.recv(100, socket.MSG_DONTWAIT)!r}")
            self.seen.count("sockets")

    def pipes(self) -> None:
        while self._going():
            mark = _mark("P", self._number())
            read, write = os.pipe()
            os.write(write, mark)
            time.sleep(random.random() / 500)
            self.seen.expect(os.read(read, 10_000) == mark, "a pipe had other bytes than its own")
            os.close(read)
            os.close(write)
            self.seen.count("pipes")


def work(seconds: float, seen: Seen) -> None:
    numbers = Numbers(seen, time.monotonic() + seconds)
    works = [numbers.connections] * _CONNECTIONS + [numbers.handshakes] * 2
    works += [numbers.sockets, numbers.pipes] * (_PLAIN // 2)

    def run(each: Any) -> None:
        try:
            each()
        except BaseException as error:
            seen.expect(False, f"{each.__name__}: {error!r}")

    threads = [threading.Thread(target=run, args=(each,)) for each in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 3 * SECONDS)
        seen.expect(not thread.is_alive(), "a worker hangs")
    with tls_pair(*numbers.contexts) as (server, client):
        server.sendall(b"x")
        seen.expect(client.recv(1) == b"x", "nothing works afterwards")


if __name__ == "__main__":
    main(work)
