"""aiohttp (client and server) and websockets (asyncio, and sync with its reader thread) over veritls."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from tests.conftest import Files
from tests.ecosystem.parties import contexts, library, of
from tests.support.connections import SECONDS, client_context, in_thread, server_context, who


async def over_aiohttp(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    aiohttp: Any = library("aiohttp")
    web: Any = library("aiohttp.web")

    async def answer(request: Any) -> Any:
        return web.Response(text=who(request.transport.get_extra_info("ssl_object")))

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server)
        await site.start()
        port = runner.addresses[0][1]
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"https://localhost:{port}/", ssl=client) as response,
        ):
            text: str = await response.text()
            return text
    finally:
        await runner.cleanup()


async def over_websockets(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    websockets: Any = library("websockets.asyncio.client")
    serving: Any = library("websockets.asyncio.server")

    async def handler(connection: Any) -> None:
        await connection.send(who(connection.transport.get_extra_info("ssl_object")))

    async with serving.serve(handler, "127.0.0.1", 0, ssl=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with websockets.connect(f"wss://localhost:{port}/", ssl=client, proxy=None) as connection:
            text: str = await connection.recv()
            return text


def over_sync_websockets(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    connecting: Any = library("websockets.sync.client")
    serving: Any = library("websockets.sync.server")
    with serving.serve(lambda each: each.send(who(each.socket)), "127.0.0.1", 0, ssl=server) as listening:
        done = in_thread(listening.serve_forever)
        try:
            port = listening.socket.getsockname()[1]
            url = f"wss://localhost:{port}/"
            with connecting.connect(url, ssl=client, proxy=None, open_timeout=SECONDS) as connection:
                text: str = connection.recv(timeout=SECONDS)
                return text
        finally:
            listening.shutdown()
            done.result(SECONDS)


def talk(name: str, server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    if name == "websockets, sync":
        return over_sync_websockets(server, client)
    over = {"aiohttp": over_aiohttp, "websockets": over_websockets}[name]
    return asyncio.run(asyncio.wait_for(over(server, client), SECONDS))


@pytest.fixture(params=[of(each) for each in ("aiohttp", "websockets", "websockets, sync")])
def name(request: pytest.FixtureRequest) -> str:
    library(request.param.split(",")[0])
    return str(request.param)


@pytest.mark.parametrize(
    ("mode", "client", "seen"),
    [
        ("none", "none", "anonymous"),
        ("none", "client", "anonymous"),
        ("optional", "none", "anonymous"),
        ("optional", "client", "client@example.org"),
        ("required", "client", "client@example.org"),
    ],
)
def test_a_client_is_served_as_the_mode_says(
    files: Files, name: str, mode: str, client: str, seen: str
) -> None:
    assert talk(name, *contexts(files, mode, client)) == seen


@pytest.mark.parametrize(
    ("mode", "client"), [("optional", "stranger"), ("required", "none"), ("required", "stranger")]
)
def test_a_client_is_refused_as_the_mode_says(files: Files, name: str, mode: str, client: str) -> None:
    refused: tuple[type[Exception], ...] = (ssl.SSLError, ConnectionError)
    if name == "aiohttp":
        refused += (library("aiohttp").ClientError,)
    else:
        refused += (library("websockets").exceptions.WebSocketException,)
    with pytest.raises(refused):
        talk(name, *contexts(files, mode, client))


def test_a_strangers_server_is_refused_for_its_certificate(files: Files, name: str) -> None:
    server, client = server_context(files.stranger), client_context(files.ca)
    expected: type[Exception] = ssl.SSLCertVerificationError
    if name == "aiohttp":
        expected = library("aiohttp").ClientConnectorCertificateError
    with pytest.raises(expected):
        talk(name, server, client)
