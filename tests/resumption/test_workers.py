"""A context that was made before a server forked: its workers open each other's tickets."""

from __future__ import annotations

import os
import ssl
from typing import Any

import pytest

from tests.pairs import raw_pair
from tests.resumption.attacks import World, attacker, our_client, serving

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


def reused_across_workers(server: Any, client: Any) -> int:
    """Connects with one worker after the other; in how many connections the session before was resumed."""
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
    reused, session = 0, None
    for end, _ in pairs:
        end.close()
    for _, raw in pairs:
        with client.wrap_socket(raw, server_hostname="a.example", session=session) as connection:
            assert connection.recv(1) == b"s"
            reused += connection.session_reused
            session = connection.session
            connection.sendall(b"c")
    for worker in workers:
        assert os.waitpid(worker, 0)[1] == 0
    return reused


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize("kind", ["veritls", "ssl"])
@pytest.mark.parametrize("demanding", [False, True])
def test_a_context_that_was_made_before_four_forks_resumes_in_every_worker(
    world: World, kind: str, version: V, demanding: bool
) -> None:
    server = serving(world, *[world.authority] * demanding)
    client = attacker(world) if kind == "ssl" else our_client(world)
    if demanding:
        client.load_cert_chain(world.file(world.client))
    client.maximum_version = version
    assert reused_across_workers(server, client) == CONNECTIONS - 1
