"""anyio, trio and uvloop over veritls: the streams that other libraries are built on, both ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Files
from tests.ecosystem.parties import contexts, library, of, refusal_behind
from tests.support.connections import SECONDS, client_context, server_context, who


def over_trio(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    trio: Any = library("trio")
    said: list[bytes] = []

    async def main() -> None:
        async def answer(stream: Any) -> None:
            try:
                await stream.do_handshake()
                await stream.send_all(who(stream._ssl_object).encode())
            except trio.BrokenResourceError:
                pass

        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                listeners = await trio.open_ssl_over_tcp_listeners(0, server, host="127.0.0.1")
                nursery.start_soon(trio.serve_listeners, answer, listeners)
                port = listeners[0].transport_listener.socket.getsockname()[1]
                stream = await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=client)
                said.append(await stream.receive_some(100))
                nursery.cancel_scope.cancel()

    try:
        trio.run(main)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group.exceptions[0].__cause__
    return said[0].decode()


def over_anyio(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    anyio: Any = library("anyio")
    tls: Any = library("anyio.streams.tls")

    async def main() -> str:
        async def answer(stream: Any) -> None:
            await stream.send(who(stream.extra(tls.TLSAttribute.ssl_object)).encode())

        with anyio.fail_after(SECONDS):
            plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
            port = plain.extra(anyio.abc.SocketAttribute.local_port)
            refused = tls.TLSListener(plain, ssl_context=server)
            async with anyio.create_task_group() as group:
                group.start_soon(refused.serve, answer)
                stream = await anyio.connect_tcp("localhost", port, ssl_context=client)
                text = (await stream.receive()).decode()
                group.cancel_scope.cancel()
                return str(text)

    try:
        return str(anyio.run(main))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group.exceptions[0].__cause__


def over_uvloop(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    uvloop: Any = library("uvloop")

    async def main() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(who(writer.get_extra_info("ssl_object")).encode())
            writer.close()

        listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port, ssl=client)
            try:
                text = (await reader.read(100)).decode()
            finally:
                writer.close()
            if not text:
                raise ConnectionError("closed by the server")
            return text

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main(), SECONDS))


WAYS: dict[str, Callable[[ssl.SSLContext, ssl.SSLContext], str]] = {
    "trio": over_trio,
    "anyio": over_anyio,
    "uvloop": over_uvloop,
}


@pytest.fixture(params=map(of, WAYS))
def name(request: pytest.FixtureRequest) -> str:
    library(request.param)
    return str(request.param)


def refusals(name: str) -> tuple[type[Exception], ...]:
    module: Any = library(name)
    own = {"trio": ["BrokenResourceError"], "anyio": ["BrokenResourceError", "EndOfStream"]}.get(name, [])
    return (ssl.SSLError, ConnectionError, *(getattr(module, each) for each in own))


@pytest.mark.parametrize(
    ("mode", "client", "seen"),
    [
        ("none", "client", "anonymous"),
        ("optional", "none", "anonymous"),
        ("optional", "client", "client@example.org"),
        ("required", "client", "client@example.org"),
    ],
)
def test_a_client_is_served_as_the_mode_says(
    files: Files, name: str, mode: str, client: str, seen: str
) -> None:
    assert WAYS[name](*contexts(files, mode, client)) == seen


@pytest.mark.parametrize(
    ("mode", "client"), [("optional", "stranger"), ("required", "none"), ("required", "stranger")]
)
def test_a_client_is_refused_as_the_mode_says(files: Files, name: str, mode: str, client: str) -> None:
    with pytest.raises(refusals(name)):
        WAYS[name](*contexts(files, mode, client))


def test_a_strangers_server_is_refused_for_its_certificate(files: Files, name: str) -> None:
    with pytest.raises(refusals(name)) as refused:
        WAYS[name](server_context(files.stranger), client_context(files.ca))
    assert refusal_behind(refused.value)
