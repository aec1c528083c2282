"""STARTTLS: what arrived before the handshake is never read as if TLS had protected it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

import veritls
import veritls.aio
from tests.aio.ends import LoopFactory, Recorder, both_contexts, connected, run
from tests.aio.test_start_tls import plain
from tests.conftest import Files
from tests.support.connections import client_context

INJECTED = b"INJECTED\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Upgrade = Callable[..., Coroutine[Any, Any, Any]]


def buffered(reader: Any) -> Any:
    """What a StreamReader holds."""
    return reader._buffer


async def by_writer(streams: Streams, context: Any, **options: Any) -> Any:
    await streams[1].start_tls(context, **options)
    return streams[1].transport


async def by_loop(streams: Streams, context: Any, **options: Any) -> Any:
    transport = streams[1].transport
    server_side = "server_hostname" not in options
    return await asyncio.get_running_loop().start_tls(
        transport, transport.get_protocol(), context, server_side=server_side, **options
    )


async def by_loop_to_a_new_reader(streams: Streams, context: Any, **options: Any) -> Any:
    transport = streams[1].transport
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    server_side = "server_hostname" not in options
    return await asyncio.get_running_loop().start_tls(
        transport, protocol, context, server_side=server_side, **options
    )


upgrades = pytest.mark.parametrize("upgrade", [by_writer, by_loop, by_loop_to_a_new_reader])


@asynccontextmanager
async def streams(serve: Callable[..., Any]) -> AsyncIterator[Streams]:
    """A client's plain streams, whose server's are given to `serve`; what that raises is raised here."""
    served: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            served.set_result(await serve(reader, writer))
        except BaseException as error:
            served.set_exception(error)
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        try:
            yield reader, writer
            await served
        finally:
            writer.transport.abort()


@upgrades
def test_a_client_refuses_what_the_server_sent_before_the_handshake(
    files: Files, loop_factory: LoopFactory, upgrade: Upgrade
) -> None:
    own, other = both_contexts(files)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"220 go\n" + INJECTED)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await writer.start_tls(own)

    async def main() -> None:
        async with streams(serve) as (reader, writer):
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"220 go\n"
            assert buffered(reader) == INJECTED
            under = writer.transport
            with pytest.raises(ssl.SSLError, match=r"INJECTED.*before the TLS handshake") as refused:
                await upgrade((reader, writer), other, server_hostname="localhost")
            assert refused.value.reason == "DATA_BEFORE_HANDSHAKE"
            assert under.is_closing()
            assert not buffered(reader)

    run(loop_factory, main())


@upgrades
def test_a_server_refuses_plain_text_that_came_with_starttls(
    files: Files, loop_factory: LoopFactory, upgrade: Upgrade
) -> None:
    own, other = both_contexts(files)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        assert buffered(reader) == INJECTED
        writer.write(b"go\n")
        under = writer.transport
        with pytest.raises(ssl.SSLError, match=r"does not speak TLS.*INJEC"):
            await upgrade((reader, writer), own)
        assert under.is_closing()
        assert not buffered(reader)

    async def main() -> None:
        async with streams(serve) as (reader, writer):
            writer.write(b"STARTTLS\n" + INJECTED)
            assert await reader.readline() == b"go\n"
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await writer.start_tls(other, server_hostname="localhost")

    run(loop_factory, main())


@upgrades
def test_a_server_answers_a_hello_that_came_with_starttls(
    files: Files, loop_factory: LoopFactory, upgrade: Upgrade
) -> None:
    own, other = both_contexts(files)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        assert buffered(reader)
        over = await upgrade((reader, writer), own)
        assert not buffered(reader)
        over.write(b"hello")

    async def main() -> None:
        async with streams(serve) as (reader, writer):
            incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
            client = other.wrap_bio(incoming, outgoing, server_hostname="localhost")
            writer.write(b"STARTTLS\n")
            while not (data := _next(client)):
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
            assert data == b"hello"

    def _next(client: ssl.SSLObject) -> bytes:
        try:
            return client.read(100)
        except ssl.SSLWantReadError:
            return b""

    run(loop_factory, main())


@pytest.mark.parametrize("server_side", [False, True])
def test_plain_text_that_waits_in_the_kernel_is_refused(
    files: Files, loop_factory: LoopFactory, server_side: bool
) -> None:
    own, other = both_contexts(files)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with plain() as ends:
            near, far = ends if server_side else ends[::-1]
            near.transport.pause_reading()
            far.transport.write(INJECTED)
            after = Recorder()
            name = None if server_side else "localhost"
            context = own if server_side else other
            with pytest.raises(ssl.SSLError, match=r"does not speak TLS.*INJEC"):
                await loop.start_tls(
                    near.transport, after, context, server_side=server_side, server_hostname=name
                )
            assert near.received == after.received == b""

    run(loop_factory, main())


def test_what_arrives_while_earlier_bytes_are_sent_is_refused(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with plain() as (server, client):
            server.transport.pause_reading()
            under = client.transport
            under.write(bytes(8 << 20))
            after = Recorder()
            upgrading = asyncio.ensure_future(
                loop.start_tls(under, after, client_context(files.ca), server_hostname="localhost")
            )
            await asyncio.sleep(0)
            under.resume_reading()  # a program that does not know that its transport is taken over
            server.transport.write(INJECTED)
            with pytest.raises(ssl.SSLError, match=r"INJECTED.*before the TLS handshake"):
                await upgrading
            assert client.received == after.received == b""

    run(loop_factory, main())


@pytest.mark.parametrize("server_side", [False, True])
def test_what_came_through_the_outer_layer_is_not_the_inner_ones(
    files: Files, loop_factory: LoopFactory, server_side: bool
) -> None:
    own, other = both_contexts(files)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        ends = [asyncio.StreamReaderProtocol(reader), Recorder()]
        made: Any = ends if server_side else ends[::-1]
        async with connected(files, *_recorded(made)) as (server, client):
            near, far = (server, client) if server_side else (client, server)
            far.transport.write(b"go\n" + INJECTED)
            assert await reader.readline() == b"go\n"
            assert buffered(reader) == INJECTED
            context, name = (own, None) if server_side else (other, "localhost")
            with pytest.raises(ssl.SSLError, match=r"INJECTED.*before the TLS handshake"):
                await loop.start_tls(
                    near.transport, near, context, server_side=server_side, server_hostname=name
                )
            assert near.transport.is_closing()
            assert not buffered(reader)

    run(loop_factory, main())


def _recorded(ends: list[Any]) -> list[Any]:
    """The same, with what `connected` waits for added to a protocol of streams."""
    for end in ends:
        if isinstance(end, Recorder):
            continue
        notes = Recorder()
        end.told, made, lost = notes.told, end.connection_made, end.connection_lost

        def connection_made(transport: Any, made: Any = made, notes: Any = notes, end: Any = end) -> None:
            made(transport)
            end.transport = transport
            notes.connection_made(transport)

        def connection_lost(error: Any, lost: Any = lost, notes: Any = notes) -> None:
            lost(error)
            notes.connection_lost(error)

        end.connection_made, end.connection_lost = connection_made, connection_lost
    return ends
