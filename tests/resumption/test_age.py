"""`max_resumption_age`: how long after a full handshake a session is resumed, whatever renewed it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
import veritls.aio
from tests.resumption.attacks import World, attacker, careless_server, our_client, serving
from tests.resumption.meeting import Met, meet
from tests.resumption.sealing import Keys
from tests.resumption.theft import rewrite, ticket
from tests.support.connections import SECONDS

V = ssl.TLSVersion
VERSIONS = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
TRANSPORTS = pytest.mark.parametrize("transport", ["sockets", "asyncio"])
WAYS = [(version, transport) for version in (V.TLSv1_2, V.TLSv1_3) for transport in ("sockets", "asyncio")]
DAY = 24 * 60 * 60
A_WHILE = 60
"""Seconds that a test does not take."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("age"))


def aged(server: Any, session: Any, seconds: int, first: Any = None) -> Any:
    """The session as it were, had its full handshake been `seconds` ago."""
    keys = Keys.of(server, first)
    rewrite(session, lambda seen: keys.moved(seen, since=int(time.time()) - seconds))
    return session


def begun(world: World, version: V, transport: str, *, anonymous: bool = False) -> tuple[Any, Any, Any]:
    """(server's context, client's, a session of theirs)."""
    server = serving(world, world.ca, mode=ssl.CERT_OPTIONAL)
    client = attacker(world, None if anonymous else world.client)
    client.maximum_version = version
    return server, client, meet(transport, server, client, "a.example").client.session


def good(met: Met) -> Met:
    assert (met.server.error, met.client.error) == (None, None)
    return met


@VERSIONS
@TRANSPORTS
@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("reverify", [True, False])
@pytest.mark.parametrize(
    ("age", "resumed"), [(0, True), (DAY - A_WHILE, True), (DAY, False), (10 * DAY, False), (-A_WHILE, False)]
)
def test_a_server_resumes_for_a_day_after_the_full_handshake_and_nothing_from_the_future(
    world: World, version: V, transport: str, anonymous: bool, reverify: bool, age: int, resumed: bool
) -> None:
    server, client, _ = begun(world, version, transport, anonymous=anonymous)
    server.reverify_on_resumption = reverify
    session = meet(transport, server, client, "a.example").client.session
    met = good(meet(transport, server, client, "a.example", aged(server, session, age)))
    assert met.server.reused is resumed
    # Whatever it was, the client has a session now: resumed, it is as old as before; else it is new.
    since = Keys.of(server).since(ticket(met.client.session))
    expected = int(time.time()) - (age if resumed else 0)
    assert expected - A_WHILE < since <= expected


@VERSIONS
def test_a_client_that_comes_every_few_hours_proves_its_key_once_a_day(world: World, version: V) -> None:
    server, client, session = begun(world, version, "sockets")
    reused = []
    for hours in (5, 10, 15, 20, 25):
        aged(server, session, hours * 3600)
        met = good(meet("sockets", server, client, "a.example", session))
        reused.append(met.server.reused)
        session = met.client.session
    assert reused == [True, True, True, True, False]


def test_an_expired_client_is_let_in_without_reverification_until_the_ceiling_and_not_after(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    until = datetime.now(UTC) + timedelta(seconds=4)
    brief = world.ca.issue(x509.DNSName("one.internal"), end=until)
    server = serving(world, world.ca)
    server.reverify_on_resumption = False
    begun = []
    for version, transport in WAYS:
        client = attacker(world, brief)
        client.maximum_version = version
        begun.append((transport, client, good(meet(transport, server, client, "a.example")).client.session))
    wait(until.timestamp() + 1)
    for transport, client, session in begun:
        for _ in range(20):
            met = good(meet(transport, server, client, "a.example", session))
            assert met.server.reused
            session = met.client.session
        met = good(meet(transport, server, client, "a.example", aged(server, session, DAY - A_WHILE)))
        assert met.server.reused
        met = meet(transport, server, client, "a.example", aged(server, met.client.session, DAY))
        assert met.server.error.verify_code == 10  # type: ignore[union-attr]


@VERSIONS
def test_a_ticket_that_is_declined_does_not_age_the_next_session(world: World, version: V) -> None:
    server, client, session = begun(world, version, "sockets", anonymous=True)
    aged(server, session, DAY - A_WHILE)
    met = good(meet("sockets", server, client, "b.example", session))
    assert not met.resumed
    assert Keys.of(server).since(ticket(met.client.session)) > time.time() - A_WHILE


@pytest.mark.parametrize("place", ["first", "second"])
@VERSIONS
def test_of_two_contexts_the_smaller_ceiling_holds(world: World, version: V, place: str) -> None:
    front, host = serving(world), serving(world, world.ca)
    front.sni_callback = lambda connection, name, _: setattr(connection, "context", host)
    (front if place == "first" else host).max_resumption_age = 3600
    client = attacker(world, world.client)
    client.maximum_version = version
    for age, resumed in [(3600 - A_WHILE, True), (3600, False)]:
        session = good(meet("sockets", front, client, "a.example")).client.session
        met = good(meet("sockets", front, client, "a.example", aged(host, session, age, front)))
        assert met.server.reused is resumed


def wait(until: float) -> None:
    tick = threading.Event()
    while time.time() < until:
        tick.wait(0.02)


@pytest.mark.parametrize("reverify", [True, False])
def test_a_client_offers_a_session_until_the_ceiling_however_often_it_was_renewed(
    world: World, reverify: bool
) -> None:
    server, age = careless_server(world), 6
    contexts = {}
    for version, transport in WAYS:
        contexts[version, transport] = client = our_client(world)
        client.reverify_on_resumption, client.max_resumption_age = reverify, age
        client.maximum_version = version
    began = time.time()
    sessions = {way: good(meet(way[1], server, contexts[way], "a.example")).client.session for way in WAYS}
    first_over = time.time()
    renewed = {}
    for seconds in (1, 2):
        wait(first_over + seconds)
        for way in WAYS:
            met = good(meet(way[1], server, contexts[way], "a.example", sessions[way]))
            # On a machine that is slow beyond all measure this is over, too.
            assert met.resumed or time.time() >= began + age
            renewed[way] = sessions[way] = met.client.session
    wait(first_over + age)
    assert not any(
        good(meet(way[1], server, contexts[way], "a.example", renewed[way])).resumed for way in WAYS
    )


@VERSIONS
def test_with_zero_nothing_is_resumed(world: World, version: V) -> None:
    server, client = serving(world), our_client(world)
    client.maximum_version = version
    client.max_resumption_age = 0
    session = good(meet("sockets", server, client, "a.example")).client.session
    assert session.has_ticket
    assert not good(meet("sockets", server, client, "a.example", session)).resumed
    client.max_resumption_age, server.max_resumption_age = DAY, 0
    session = good(meet("sockets", server, client, "a.example")).client.session
    assert not session.has_ticket


@pytest.mark.parametrize("loop", ["EventLoop", "UvloopEventLoop"])
@VERSIONS
def test_a_server_on_veritls_aio_has_the_same_ceiling(world: World, version: V, loop: str) -> None:
    if loop == "UvloopEventLoop":
        pytest.importorskip("uvloop")
    server, client = serving(world, world.ca), attacker(world, world.client)
    client.maximum_version = version

    async def main() -> list[bool]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"s")
            await reader.read(1)
            writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
        address = listening.sockets[0].getsockname()
        async with listening:
            return await asyncio.to_thread(connections, address)

    def connections(address: Any) -> list[bool]:
        reused, session = [], None
        for age in (None, DAY - A_WHILE, DAY):
            if age is not None:
                aged(server, session, age)
            raw = socket.create_connection(address, SECONDS)
            with client.wrap_socket(raw, server_hostname="a.example", session=session) as end:
                assert end.recv(1) == b"s"
                reused.append(end.session_reused)
                session = end.session
                end.sendall(b"c")
        return reused

    with asyncio.Runner(loop_factory=getattr(veritls.aio, loop)) as runner:
        assert runner.run(asyncio.wait_for(main(), SECONDS)) == [False, True, False]


def test_the_default_is_a_day() -> None:
    assert veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER).max_resumption_age == DAY
    assert veritls.create_default_context().max_resumption_age == DAY


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (-1, ValueError),
        (2**32, ValueError),
        (timedelta(seconds=-1), ValueError),
        (timedelta.max, ValueError),
        (float("inf"), TypeError),
        (1.5, TypeError),
        (True, TypeError),
        (None, TypeError),
        ("3600", TypeError),
    ],
)
def test_what_is_no_number_of_seconds_is_refused_and_changes_nothing(
    value: Any, error: type[Exception]
) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    with pytest.raises(error, match="max_resumption_age"):
        context.max_resumption_age = value
    assert context.max_resumption_age == DAY


def test_seconds_and_a_timedelta_are_the_same() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.max_resumption_age = timedelta(hours=1, milliseconds=900)
    assert context.max_resumption_age == 3600
