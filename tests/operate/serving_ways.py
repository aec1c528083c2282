"""Servers of ASGI applications, in a thread, with a context of a test; and what a client says to them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

from tests.ecosystem.parties import library
from tests.operate.ways import in_a_loop
from tests.support.connections import SECONDS

Make = Callable[[Any, Any, socket.socket], AbstractAsyncContextManager[None]]
"""An application, a context and a listening socket -> it is served on the running loop."""


def uvicorn(http: str, ws: str = "auto") -> Make:
    @asynccontextmanager
    async def serve(app: Any, context: Any, listener: socket.socket) -> AsyncIterator[None]:
        module = library("uvicorn")
        from veritls.serving.uvicorn import options

        if http in ("zttp", "http2"):
            library("zttp")
        given: Any = options(lambda: context, http)
        config = module.Config(app, lifespan="off", log_config=None, ws=ws, **given)
        server = module.Server(config)
        server.capture_signals = contextlib.nullcontext  # they are the main thread's
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        yield
        server.should_exit = True
        await serving

    return serve


@asynccontextmanager
async def hypercorn(app: Any, context: Any, listener: socket.socket) -> AsyncIterator[None]:
    library("hypercorn")
    from veritls.serving.hypercorn import Config, serve

    config = Config(lambda: context, bind=[f"fd://{listener.detach()}"], accesslog=None)
    ended = asyncio.Event()

    async def wait() -> None:
        await ended.wait()

    serving = asyncio.ensure_future(serve(app, config, shutdown_trigger=wait))
    yield
    ended.set()
    await serving


@contextmanager
def served(make: Make, app: Any, context: Any, loop_name: str = "veritls") -> Iterator[int]:
    """Gives the port on which `app` is served."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    ended: list[asyncio.Event] = []
    begun = threading.Event()

    async def serve() -> None:
        ended.append(asyncio.Event())
        async with make(app, context, listener):
            begun.set()
            await ended[0].wait()

    with in_a_loop(loop_name) as loop:
        serving = asyncio.run_coroutine_threadsafe(serve(), loop)
        try:
            while not begun.wait(0.05):
                assert not serving.done(), serving.exception()
            yield port
        finally:
            loop.call_soon_threadsafe(ended[0].set)
            serving.result(SECONDS)
            listener.close()


@contextmanager
def connected(port: int, context: Any, **options: Any) -> Iterator[Any]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw,
        context.wrap_socket(raw, server_hostname="localhost", **options) as tls,
    ):
        yield tls


class Client(http.client.HTTPConnection):
    """HTTP/1.1 over a connection of the test's own context."""

    def __init__(self, port: int, context: Any) -> None:
        super().__init__("localhost", port, timeout=SECONDS)
        self._made = context

    def connect(self) -> None:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        self.sock = self._made.wrap_socket(raw, server_hostname="localhost")


def get(port: int, context: Any, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """The status and the body; the path goes out as it is."""
    client = Client(port, context)
    try:
        client.putrequest("GET", path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            client.putheader(name, value)
        client.endheaders()
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def websocket_status(port: int, context: Any, path: str = "/") -> tuple[int, bytes]:
    """The status of the answer to an upgrade, and the first message where it was 101."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==",
        "",
        "",
    ]
    with connected(port, context) as tls, tls.makefile("rb") as stream:
        tls.sendall("\r\n".join(lines).encode())
        status = int(stream.readline().split()[1])
        while stream.readline().strip():
            pass
        if status != 101:
            return status, b""
        _, length = stream.read(2)
        if length == 126:
            length = int.from_bytes(stream.read(2), "big")
        return status, stream.read(length)


def shown(scope: Any) -> dict[str, Any]:
    """What an application sees of its client."""
    from veritls.serving import Peer

    peer = Peer.of(scope)
    tls = (scope.get("extensions") or {}).get("tls")
    return {
        "tls": dict(tls) if tls is not None else None,
        "peer": None if peer is None else {"subject": peer.subject, "spiffe": peer.spiffe_id},
        "names": None if peer is None else [list(name) for name in peer.names],
        "version": scope.get("http_version"),
        "path": scope.get("path"),
    }


async def telling(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with what it sees."""
    body = json.dumps(shown(scope)).encode()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body.decode()})
        await send({"type": "websocket.close"})
        return
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


def is_refused(work: Callable[[], Any]) -> bool:
    """Whether the connection is refused in the handshake."""
    try:
        work()
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return True
    return False
