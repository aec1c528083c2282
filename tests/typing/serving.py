"""Event loops, and servers whose applications see the client."""

import asyncio
import ssl as standard
from typing import Any, assert_type

import veritls as ssl
from veritls import aio
from veritls.serving import (
    ANY_PEER,
    ANYONE,
    Peer,
    RequirePeer,
    gunicorn,
    hypercorn,
    require_peer,
    uvicorn,
    wsgi,
)


def make_context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


async def main() -> int:
    reader, writer = await asyncio.open_connection("localhost", 443, ssl=make_context())
    connection: standard.SSLObject = writer.get_extra_info("ssl_object")
    await asyncio.start_server(print, "localhost", 0, ssl=make_context())
    print(await reader.read(), connection)
    return 1


def loops(transport: aio.SSLTransport) -> asyncio.AbstractEventLoop:
    assert_type(aio.run(main()), int)
    transport.write(b"x")
    assert_type(transport.get_write_buffer_size(), int)
    with asyncio.Runner(loop_factory=aio.UvloopEventLoop) as runner:
        runner.run(main())
    print(aio.UvloopEventLoop().time())
    return aio.EventLoop()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    peer = Peer.of(scope)
    if peer is not None:
        assert_type(peer.chain, tuple[bytes, ...])
        assert_type(peer.certificate, bytes)
        assert_type(peer.spiffe_id, str | None)
        assert_type(peer.matches(ssl.DNSPattern("a.example")), bool)
        print(peer.subject, peer.names)


def seen(connection: ssl.SSLSocket) -> Peer | None:
    return Peer.of_connection(connection)


guarded = RequirePeer(application, {"/": ANYONE, "/admin": ANY_PEER}, default=[ssl.SPIFFE("spiffe://a/b")])


@require_peer(ssl.DNSPattern("*.example.org"))
async def route(request: Any) -> str:
    return "hello"


async def called() -> str:
    return await route(None)


def under_uvicorn() -> list[type[asyncio.Protocol]]:
    assert_type(uvicorn.options(make_context, http="h11"), dict[str, Any])
    uvicorn.ContextFactory(make_context)
    own = uvicorn.with_peer(uvicorn.H11Protocol)
    return [
        own,
        uvicorn.AutoHTTPProtocol,
        uvicorn.AutoZttpProtocol,
        uvicorn.HttpToolsProtocol,
        uvicorn.ZttpProtocol,
    ]


async def under_hypercorn() -> None:
    config = hypercorn.Config(make_context, bind=["localhost:0"])
    await hypercorn.serve(application, config)


def under_gunicorn() -> list[object]:
    hook = gunicorn.ContextHook(make_context)
    assert_type(gunicorn.CERTFILE, str)
    return [hook, gunicorn.ASGIWorker, gunicorn.SyncWorker, gunicorn.ThreadWorker]


def under_wsgi(app: Any, connection: ssl.SSLSocket) -> wsgi.SSLEnviron:
    assert_type(wsgi.environ_of(connection), dict[str, Any])
    print(wsgi.WSGIRequestHandler)
    return wsgi.SSLEnviron(app)
