"""A man in the middle: one thread that carries bytes between pairs of sockets, and hurts what it is told to.

A `Link` is one connection. Its `Fault` happens at a byte of one direction; the bytes before it pass.
`CUT` closes both sides there, `STALL` lets nothing more pass in that direction, not even its end, `FLIP`
changes one bit.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple

UP, DOWN = 0, 1
"""The direction: from the client to the server, and back."""
DIRECTIONS = ("client to server", "server to client")
CUT, STALL, FLIP = "cut", "stalled", "flipped"
_HEADER = 5


@dataclass(frozen=True)
class Fault:
    kind: str
    direction: int
    position: int
    bit: int = 0

    def __str__(self) -> str:
        bit = f", bit {self.bit}" if self.kind == FLIP else ""
        return f"{self.kind} at byte {self.position}{bit}, {DIRECTIONS[self.direction]}"


class Place(NamedTuple):
    """Where in the records of a direction a byte lies."""

    record: int
    offset: int
    content_type: int


@dataclass
class Records:
    """Follows the record headers of one direction, as they were before any fault.

    `number`: how many records are complete.
    """

    number: int = 0
    offset: int = 0
    header: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> None:
        """Goes on over `data`."""
        at = 0
        while at < len(data):
            if self.offset < _HEADER:
                self.header.append(data[at])
                step = 1
            else:
                step = min(self._size() - self.offset, len(data) - at)
            at += step
            self.offset += step
            if self.offset >= _HEADER and self.offset == self._size():
                self.number, self.offset = self.number + 1, 0
                self.header.clear()

    def place(self, following: int) -> Place:
        """Where the byte lies that follows, which is `following`."""
        return Place(self.number, self.offset, self.header[0] if self.header else following)

    def _size(self) -> int:
        return _HEADER + int.from_bytes(self.header[3:5])


class Link:
    """One connection through the wire. `passed`: bytes that went on, by direction. `place`: the fault's."""

    def __init__(self, client: socket.socket, server: socket.socket, fault: Fault | None = None) -> None:
        self.sockets = (client, server)
        self.fault = fault
        self.passed = [0, 0]
        self.place: Place | None = None
        self.over = threading.Event()
        self.records = (Records(), Records())
        self._ended = [False, False]
        for each in self.sockets:
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def reached(self) -> bool:
        """Whether the fault has happened."""
        return self.place is not None

    def carry(self, direction: int) -> bool:
        """Takes on what has come. False: nothing more is to be expected from there."""
        source, target = self.sockets[direction], self.sockets[1 - direction]
        try:
            data = source.recv(65536)
            if data:
                self._pass(direction, data, target)
            else:
                self._end(direction, target)
            return bool(data) and not self.over.is_set()
        except BlockingIOError:
            return True
        except OSError:
            self.close()
            return False

    def _pass(self, direction: int, data: bytes, target: socket.socket) -> None:
        fault = self.fault if self.fault is not None and self.fault.direction == direction else None
        if fault is not None and self.reached and fault.kind == STALL:
            return
        if fault is not None and not self.reached:
            data = self._hurt(fault, data)
        else:
            self.records[direction].take(data)
        if data:
            sent = target.send(data)
            assert sent == len(data), "the wire is for few bytes at a time"
            self.passed[direction] += sent
        if fault is not None and fault.kind == CUT and self.reached:
            self.close()

    def _hurt(self, fault: Fault, data: bytes) -> bytes:
        at = fault.position - self.passed[fault.direction]
        records = self.records[fault.direction]
        records.take(data[:at])
        if at >= len(data):
            return data
        self.place = records.place(data[at])
        if fault.kind == FLIP:
            records.take(data[at:])
            return data[:at] + bytes([data[at] ^ 1 << fault.bit]) + data[at + 1 :]
        return data[:at]

    def _end(self, direction: int, target: socket.socket) -> None:
        self._ended[direction] = True
        held_back = (
            self.reached and self.fault and self.fault.kind == STALL and self.fault.direction == direction
        )
        if not held_back:
            target.shutdown(socket.SHUT_WR)
        if all(self._ended):
            self.close()

    def close(self) -> None:
        for each in self.sockets:
            each.close()
        self.over.set()


class Wire:
    """The thread. Links are added from any thread; `close` ends those that are left."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._rung = socket.socketpair()
        self._rung.setblocking(False)
        self._new: SimpleQueue[Link | None] = SimpleQueue()
        self._links: set[Link] = set()
        self._selector.register(self._rung, selectors.EVENT_READ)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._dialling = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)
        self._thread.start()

    def link(self, fault: Fault | None = None) -> tuple[Link, socket.socket, socket.socket]:
        """A new connection over TCP: the link, the client's socket, the server's."""
        client, near_client = self._dial()
        server, near_server = self._dial()
        link = Link(near_client, near_server, fault)
        self._new.put(link)
        self._bell.send(b"1")
        return link, client, server

    def _dial(self) -> tuple[socket.socket, socket.socket]:
        with self._dialling:
            one = socket.create_connection(self._listener.getsockname())
            other, _ = self._listener.accept()
        return one, other

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not self._take():
                        return
                    continue
                link, direction = key.data
                if not link.carry(direction):
                    self._forget((link.sockets[direction],))
                if link.over.is_set():
                    self._forget(link.sockets)
                    self._links.discard(link)

    def _take(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            self._rung.recv(4096)
        while not self._new.empty():
            link = self._new.get()
            if link is None:
                return False
            self._links.add(link)
            for direction, each in enumerate(link.sockets):
                self._selector.register(each, selectors.EVENT_READ, (link, direction))
        return True

    def _forget(self, sockets: Sequence[socket.socket]) -> None:
        for each in sockets:
            with contextlib.suppress(KeyError, ValueError):  # it is not watched any more
                self._selector.unregister(each)

    def close(self) -> None:
        self._new.put(None)
        self._bell.send(b"1")
        self._thread.join()
        for link in self._links:
            link.close()
        self._selector.close()
        for each in (self._bell, self._rung, self._listener):
            each.close()
