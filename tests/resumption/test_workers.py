"""A context that was made before a server forked: its workers open each other's tickets."""

from __future__ import annotations

import os
import ssl
from typing import Any

import pytest

from tests.resumption.attacks import World, attacker, our_client, serving
from tests.resumption.meeting import meet
from tests.resumption.sealing import HEADER
from tests.resumption.theft import ticket
from tests.support.connections import raw_pair

V = ssl.TLSVersion
WORKERS, CONNECTIONS = 4, 40


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("workers"))


def serve(server: Any, ends: list[Any]) -> None:
    for end in ends:
        with server.wrap_socket(end, server_side=True) as connection:
            connection.sendall(b"s")
            connection.recv(1)


def across_workers(server: Any, client: Any) -> list[tuple[bool, Any]]:
    """Connects with one worker after the other, offering the session before: (whether it was resumed, the new
    session) of each connection.
    """
    pairs = [raw_pair() for _ in range(CONNECTIONS)]
    workers = []
    for worker in range(WORKERS):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                serve(server, [end for end, _ in pairs[worker::WORKERS]])
                status = 0
            finally:
                os._exit(status)
        workers.append(child)
    found: list[tuple[bool, Any]] = []
    for end, _ in pairs:
        end.close()
    for _, raw in pairs:
        session = found[-1][1] if found else None
        with client.wrap_socket(raw, server_hostname="a.example", session=session) as connection:
            assert connection.recv(1) == b"s"
            found.append((connection.session_reused, connection.session))
            connection.sendall(b"c")
    for worker in workers:
        assert os.waitpid(worker, 0)[1] == 0
    return found


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize("kind", ["veritls", "ssl"])
@pytest.mark.parametrize("demanding", [False, True])
def test_a_context_that_was_made_before_four_forks_resumes_in_every_worker(
    world: World, kind: str, version: V, demanding: bool
) -> None:
    server = serving(world, *[world.ca] * demanding)
    client = attacker(world) if kind == "ssl" else our_client(world)
    if demanding:
        client.load_cert_chain(world.file(world.client))
    client.maximum_version = version
    assert sum(reused for reused, _ in across_workers(server, client)) == CONNECTIONS - 1


def test_workers_seal_no_two_tickets_with_the_same_salt(world: World) -> None:
    before = serving(world), attacker(world)
    meet("sockets", *before, "a.example")  # whatever makes random numbers is at work before the fork
    found = across_workers(serving(world), attacker(world))
    assert len({ticket(session)[5:HEADER] for _, session in found}) == CONNECTIONS


def test_a_policy_that_one_worker_changes_resumes_nothing_of_the_others(world: World) -> None:
    server, client = serving(world, world.ca), attacker(world, world.client)
    session = meet("sockets", server, client, "a.example").client.session
    server_end, client_end = raw_pair()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            server.load_verify_locations(cadata=world.other.pem.decode())
            serve(server, [server_end])
            status = 0
        finally:
            os._exit(status)
    server_end.close()
    with client.wrap_socket(client_end, server_hostname="a.example", session=session) as connection:
        assert connection.recv(1) == b"s"
        assert not connection.session_reused
        connection.sendall(b"c")
    assert os.waitpid(child, 0)[1] == 0
    assert meet("sockets", server, client, "a.example", session).resumed
