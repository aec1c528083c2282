"""Resumption where `sni_callback` switches contexts: what the second context demands is asked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import pytest

import veritls.aio
from tests.deciding.conftest import World
from tests.support.connections import SECONDS, in_thread, raw_pair
from tests.support.memory import connect

V = ssl.TLSVersion
EVERYWHERE = pytest.mark.parametrize("transport", ["sockets", "memory", "aio"])
VERSIONS = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])


class Met:
    """The outcome of a connection: the client's session, and what the server says."""

    session: Any = None
    reused: bool | None = None
    refused: BaseException | None = None


def client_side(met: Met, client: Any, raw: Any, session: Any) -> None:
    with (
        contextlib.suppress(OSError),
        raw,
        client.wrap_socket(raw, server_hostname="localhost", session=session) as end,
    ):
        if end.recv(1):
            met.session = end.session


def over_sockets(server: Any, client: Any, session: Any) -> Met:
    met, (server_raw, client_raw) = Met(), raw_pair()
    connecting = in_thread(client_side, met, client, client_raw, session)
    with server_raw:
        try:
            with server.wrap_socket(server_raw, server_side=True) as end:
                met.reused = end.session_reused
                end.sendall(b"s")
                end.recv(1)
        except ssl.SSLError as error:
            met.refused = error
    connecting.result(SECONDS)
    return met


def over_memory(server: Any, client: Any, session: Any) -> Met:
    met, outcome = Met(), connect(server, client, session=session)
    met.refused = outcome.server_error
    if not outcome.refused:
        met.session, met.reused = outcome.client.session, outcome.server.session_reused
    return met


def over_aio(server: Any, client: Any, session: Any) -> Met:
    met = Met()

    async def main() -> None:
        loop, lost = asyncio.get_running_loop(), asyncio.Event()

        class Answering(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                met.reused = transport.get_extra_info("ssl_object").session_reused
                transport.write(b"s")

            def connection_lost(self, error: BaseException | None) -> None:
                lost.set()

        server_raw, client_raw = raw_pair()
        server_raw.setblocking(False)
        connecting = asyncio.create_task(asyncio.to_thread(client_side, met, client, client_raw, session))
        try:
            await loop.connect_accepted_socket(Answering, server_raw, ssl=server)
            await lost.wait()
        except ssl.SSLError as error:
            met.refused = error
        await connecting

    veritls.aio.run(asyncio.wait_for(main(), SECONDS))
    return met


MEET = {"sockets": over_sockets, "memory": over_memory, "aio": over_aio}


def switching(world: World, second: Any) -> Any:
    first = world.server_context(ssl.CERT_NONE)
    first.sni_callback = lambda end, *_: setattr(end, "context", second)
    return first


@EVERYWHERE
@VERSIONS
def test_the_second_contexts_verify_callback_is_asked_about_a_resumption(
    world: World, version: V, transport: str
) -> None:
    second, asked = world.server_context(), []
    second.set_verify_callback(lambda report: asked.append(report.path[0]))
    server, client = switching(world, second), world.client_context(version=version)
    first = MEET[transport](server, client, None)
    assert (first.reused, len(asked)) == (False, 1)
    again = MEET[transport](server, client, first.session)
    assert again.reused
    assert asked == [world.client.der] * 2


@EVERYWHERE
@VERSIONS
def test_a_resumption_that_the_second_contexts_verify_callback_refuses_is_refused(
    world: World, version: V, transport: str
) -> None:
    second = world.server_context()
    wrong: list[Any] = []

    def refuse(report: Any) -> None:
        if wrong:
            raise LookupError("not any more")

    second.set_verify_callback(refuse)
    server, client = switching(world, second), world.client_context(version=version)
    first = MEET[transport](server, client, None)
    wrong.append(True)
    again = MEET[transport](server, client, first.session)
    assert isinstance(again.refused, ssl.SSLCertVerificationError)
    assert isinstance(again.refused.__cause__, LookupError)
    assert again.session is None


@EVERYWHERE
@VERSIONS
def test_both_contexts_verify_callbacks_are_asked_about_a_resumption(
    world: World, version: V, transport: str
) -> None:
    second, asked = world.server_context(), []
    second.set_verify_callback(lambda report: asked.append("second"))
    server, client = switching(world, second), world.client_context(version=version)
    server.load_verify_locations(cadata=world.ca.pem.decode())
    server.verify_mode = ssl.CERT_REQUIRED
    server.set_verify_callback(lambda report: asked.append("first"))
    first = MEET[transport](server, client, None)
    again = MEET[transport](server, client, first.session)
    assert again.reused
    assert asked == ["first", "second"] * 2
