"""A fleet of real processes: 4 uvicorn workers on each of two ports, and one real Redis."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.ecosystem.parties import library
from tests.operate.fleet import member
from tests.operate.fleet_host import SECRET
from tests.operate.processes import Program, program
from tests.operate.stores import Store
from tests.resumption.attacks import World, attacker, our_client
from tests.support.certificates import pem
from tests.support.waiting import until

for name in ("uvicorn", "redis"):
    library(name)

V = ssl.TLSVersion
WORKERS, EPOCH = 4, 8
SECONDS = 60


class Fleet:
    """Two hosts of four workers, the Redis between them, and a client that goes from one to the other."""

    def __init__(self, world: World, store: Store, anchors: Path, client: Any, stack: ExitStack) -> None:
        self.store, self.anchors, self.client = store, anchors, client
        identity = str(world.file(world.server))
        command = ["-m", "tests.operate.fleet_host", identity, str(anchors), str(WORKERS), "127.0.0.1"]
        self.hosts: list[Program] = [
            stack.enter_context(program(*command, store.url, str(EPOCH))) for _ in range(2)
        ]
        self.ports = [int(host.line()) for host in self.hosts]
        self.session: Any = None
        self.issuer = 0
        self.turn = 0
        self.seen: set[int] = set()

    def connect(self, port: int, session: Any) -> tuple[int, bool, Any]:
        """(the worker's pid, whether the session was resumed, the new session)."""
        raw = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        with self.client.wrap_socket(raw, server_hostname="a.example", session=session) as end:
            end.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := end.recv(10_000):
                answer += piece
            worker = int(answer.rpartition(b"\r\n\r\n")[2])
            self.seen.add(worker)
            return worker, end.session_reused, end.session

    def step(self) -> bool | None:
        """One connection, on one host after the other, with the session of the one before: whether it was
        resumed; None where the same worker answered.
        """
        self.turn += 1
        worker, resumed, session = self.connect(self.ports[self.turn % 2], self.session)
        counts = self.session is not None and worker != self.issuer
        self.session, self.issuer = session, worker
        return resumed if counts else None

    def rate(self, times: int, also: Callable[[], bool] = lambda: False) -> float:
        """Of the resumptions asked for of a worker that had not issued the ticket, how many succeed."""
        found: list[bool] = []
        while len(found) < times or also():
            resumed = self.step()
            if resumed is not None:
                found.append(resumed)
        return sum(found) / len(found)

    def met_no_others(self, workers: set[int]) -> bool:
        return self.seen <= workers


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def anchors(world: World) -> Path:
    path = world.folder / "anchors.pem"
    path.write_bytes(world.ca.pem)
    return path


@pytest.fixture(scope="module")
def fleet(world: World, anchors: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    store = Store(tmp_path_factory.mktemp("redis"))
    store.start()
    client = our_client(world)
    client.load_cert_chain(world.file(world.client))
    with ExitStack() as stack:
        stack.callback(store.stop)
        fleet = Fleet(world, store, anchors, client, stack)
        # Until each worker serves: a supervisor gives each its own time to start.
        deadline = time.monotonic() + SECONDS
        while len(fleet.seen) < 2 * WORKERS and time.monotonic() < deadline:
            for port in fleet.ports:
                fleet.connect(port, None)
        yield fleet


@pytest.mark.timeout(240)
def test_a_fleet_resumes_through_rotation_a_restart_of_redis_and_the_death_of_a_worker(fleet: Fleet) -> None:
    assert len(fleet.seen) > WORKERS  # workers of both hosts
    assert fleet.rate(40) >= 0.95
    start = time.time() // EPOCH
    assert fleet.rate(40, lambda: time.time() // EPOCH < start + 2) >= 0.95

    fleet.store.stop()
    assert fleet.rate(20) >= 0.95
    fleet.store.start()
    until(lambda: bool(fleet.store.salts()), "a member puts its salts back")
    assert fleet.rate(20) >= 0.95

    for _ in range(2):
        fleet.step()
        known = set(fleet.seen)
        os.kill(fleet.issuer, signal.SIGKILL)
        # Until the worker that takes its place has answered, too.
        assert fleet.rate(20, partial(fleet.met_no_others, known)) >= 0.95


@pytest.mark.timeout(120)
@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_change_of_trust_crls_or_identity_resumes_nothing_that_was_issued_before(
    fleet: Fleet, world: World, version: V, tmp_path: Path
) -> None:
    client = attacker(world, world.client)
    client.minimum_version = client.maximum_version = version
    crl, other = tmp_path / "crl.pem", tmp_path / "other.pem"
    crl.write_bytes(pem(world.ca.crl()))
    other.write_bytes(world.other.pem)
    second = world.file(world.ca.issue("a.example", "b.example"))
    changes = {
        "": True,
        f"server.load_verify_locations({str(other)!r})": False,
        f"server.load_verify_locations({str(crl)!r})": False,
        f"server.load_cert_chain({str(second)!r})": False,
    }
    keys = f"TicketKeys.from_redis({fleet.store.url!r}, secret={SECRET!r}, rotate_every={EPOCH})"
    own, fleet.client = fleet.client, client
    try:
        for change, resumes in changes.items():
            with member(world, keys, anchors=fleet.anchors, change=change) as changed:
                for port in fleet.ports:
                    _, _, session = fleet.connect(port, None)
                    assert changed.connect(client, session).resumed is resumes, change
                    _, resumed, _ = fleet.connect(port, changed.connect(client).session)
                    assert resumed is resumes, change
    finally:
        fleet.client = own
