"""Forks amid handshakes, reads, writes and changes of a context: no number, key or ticket is made twice."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import ssl
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import veritls
from campaign.faults.running import Certificates, Seen, certificates, main
from tests.support.connections import client_context, server_context
from tests.support.memory import connect

_TWICE = 4
"""What each child makes of each kind."""


def _session_ticket(flight: bytes) -> bytes:
    """The NewSessionTicket of a TLS 1.2 server's last flight (RFC 5077), which nothing encrypts."""
    while flight:
        end = 5 + int.from_bytes(flight[3:5], "big")
        if flight[0] == 22 and flight[5] == 4:
            return flight[15:end]
        flight = flight[end:]
    raise LookupError("no ticket")


def _made(server: Any, client: Any) -> list[tuple[str, bytes]]:
    """What must never be made twice: randoms, the server's key share with its signature, a ticket."""
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    back, forth = veritls.MemoryBIO(), veritls.MemoryBIO()
    near = client.wrap_bio(incoming, outgoing, server_hostname="localhost")
    far = server.wrap_bio(back, forth, server_side=True)
    found, flights = [], []
    for _ in range(4):
        for end, out, into in ((near, outgoing, back), (far, forth, incoming)):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            flight = out.read()
            into.write(flight)
            flights.append(flight)
    hello, answer = flights[0], flights[1]
    found.append(("client random", hello[11:43]))
    found.append(("server random", answer[11:43]))
    found.append(("server's flight", answer[43:]))
    found.append(("ticket's salt", _session_ticket(flights[3])[:32]))
    found.append(("ticket", _session_ticket(flights[3])))
    return found


class Forking:
    def __init__(self, files: Certificates, seen: Seen) -> None:
        self.server, self.client = server_context(files.server), client_context(files.ca)
        self.changed = client_context(files.ca)
        self.client.maximum_version = ssl.TLSVersion.TLSv1_2
        self.files, self.seen = files, seen
        self.known: dict[tuple[str, bytes], int] = {}
        self.over = threading.Event()

    def note(self, made: list[tuple[str, bytes]]) -> None:
        for each in made:
            self.seen.count(f"{each[0]}s")
            self.seen.expect(each not in self.known, f"the same {each[0]} twice")
            self.known[each] = 1

    def shake_hands(self) -> None:
        while not self.over.is_set():
            connect(self.server, self.client)

    def change(self) -> None:
        while not self.over.is_set():
            self.changed.load_verify_locations(self.files.other_ca)
            self.changed.set_alpn_protocols(["h2", "http/1.1"])
            self.changed.load_cert_chain(self.files.client)

    def child(self, write: int) -> None:
        signal.alarm(60)
        try:
            lines = []
            for _ in range(_TWICE):
                lines += [f"{kind}\t{value.hex()}" for kind, value in _made(self.server, self.client)]
            fine = not connect(self.server, self.changed).refused
            with os.fdopen(write, "w") as file:
                file.write("\n".join([*lines, f"worked\t{'01' if fine else ''}"]))
            os._exit(0)
        except BaseException as error:
            os.write(2, f"Traceback of a child: {error!r}\n".encode())
            os._exit(1)

    def round(self, children: int) -> None:
        """Forked at once, so that they begin with the same memory."""
        reads = {}
        for _ in range(children):
            read, write = os.pipe()
            number = os.fork()
            if number == 0:
                self.child(write)
            os.close(write)
            reads[read] = number
        for _ in range(_TWICE):
            self.note(_made(self.server, self.client))
        for read, number in reads.items():
            self.seen.expect(select.select([read], [], [], 90)[0], "a child hangs")
            with os.fdopen(read) as file:
                said = [line.split("\t") for line in file.read().splitlines()]
            status = os.waitpid(number, 0)[1]
            self.seen.expect(status == 0, f"a child ended with {status}")
            if status == 0:
                kind, value = said.pop()
                self.seen.expect((kind, value) == ("worked", "01"), "a child's changed context refuses")
                self.note([(kind, bytes.fromhex(value)) for kind, value in said])
            self.seen.count("children")


def _under_load(files: Certificates, seen: Seen, times: int) -> None:
    """tests/forking.py: connections that threads work on are an error in the child, others go on."""
    arguments = [str(files.server), str(files.ca), str(times)]
    command = [sys.executable, "-m", "tests.forking", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 5 * times)
    good = done.stdout.split(" ")[0]
    seen.expect(
        good == str(times), f"of {times} children under load {good or 0} ended well: {done.stderr[-300:]}"
    )
    seen.count("children under load", times)


def work(seconds: float, seen: Seen) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is the point
    files = certificates()
    forking = Forking(files, seen)
    threads = [threading.Thread(target=each, daemon=True) for each in (forking.shake_hands, forking.change)]
    for thread in threads:
        thread.start()
    until, rounds = time.monotonic() + seconds * 2 / 3, 0
    while rounds < 2 or time.monotonic() < until:
        forking.round(4)
        rounds += 1
    forking.over.set()
    for thread in threads:
        thread.join(30)
        seen.expect(not thread.is_alive(), "a thread of the parent hangs")
    _under_load(files, seen, max(3, int(seconds * 2)))


if __name__ == "__main__":
    main(work)
