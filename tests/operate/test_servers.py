"""Servers that say nothing of a client that they refuse: the line is there, with its sentence and address."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.operate.test_log import LOGGER, Lines, tried
from tests.operate.ways import in_a_loop, mutual
from tests.support.connections import SECONDS
from veritls._connection import log
from veritls._report import limiter as limits

OUR_LOOPS = ["veritls", "veritls-uvloop"]


@pytest.fixture(autouse=True)
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_limiter", limits.Limiter())


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def uvicorn(context: Any, listener: socket.socket) -> AsyncIterator[None]:
    module = library("uvicorn")
    config = module.Config(application, lifespan="off", log_config=None)
    config.load()
    config.ssl = context
    server = module.Server(config)
    server.capture_signals = contextlib.nullcontext  # they are the main thread's
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    yield
    server.should_exit = True
    await serving


@asynccontextmanager
async def hypercorn(context: Any, listener: socket.socket) -> AsyncIterator[None]:
    library("hypercorn")
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    class Given(Config):
        ssl_enabled = True

        def create_ssl_context(self) -> Any:
            return context

    config = Given()
    config.bind = [f"fd://{listener.detach()}"]
    ended = asyncio.Event()

    async def wait() -> None:
        await ended.wait()

    serving = asyncio.ensure_future(serve(application, config, shutdown_trigger=wait))
    yield
    ended.set()
    await serving


@asynccontextmanager
async def aiohttp(context: Any, listener: socket.socket) -> AsyncIterator[None]:
    library("aiohttp")
    from aiohttp import web

    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=context).start()
    yield
    await runner.cleanup()


@contextmanager
def on_a_loop(make: Any, loop_name: str, context: Any) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    ended: list[asyncio.Event] = []
    begun = threading.Event()

    async def serve() -> None:
        ended.append(asyncio.Event())
        async with make(context, listener):
            begun.set()
            await ended[0].wait()

    with in_a_loop(loop_name) as loop:
        serving = asyncio.run_coroutine_threadsafe(serve(), loop)
        try:
            assert begun.wait(SECONDS)
            yield port
        finally:
            loop.call_soon_threadsafe(ended[0].set)
            serving.result(SECONDS)
            listener.close()


@contextmanager
def http_server(context: Any) -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(SECONDS)


SERVERS: list[Any] = [pytest.param(http_server, id="http.server")]
for make in (uvicorn, hypercorn, aiohttp):
    for name in OUR_LOOPS:

        def served(context: Any, make: Any = make, name: str = name) -> AbstractContextManager[int]:
            return on_a_loop(make, name, context)

        SERVERS.append(pytest.param(served, id=f"{make.__name__}-{name}"))


@pytest.mark.parametrize("serve", SERVERS)
@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("stranger", "is missing: it is not in the trust set"),
        ("expired", "expired"),
        (None, "peer did not return a certificate"),
    ],
)
def test_a_client_that_a_server_refuses_is_one_line(
    files: Files, serve: Callable[[Any], AbstractContextManager[int]], own: str | None, words: str
) -> None:
    server, client = mutual(files, own)
    assert logging.getLogger(LOGGER).level == logging.NOTSET
    with Lines() as lines, serve(server) as port:
        tried(port, client)
        lines.heard.wait(2)
    (line,) = lines.of("server")
    assert line.startswith("refused the client 127.0.0.1:") and words in line
