"""start_tls: over a plain transport with bytes in both directions, over TLS, and when it fails."""

from __future__ import annotations

import asyncio
import errno
import gc
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import veritls
import veritls.aio
from tests.aio.ends import BufferedRecorder, LoopFactory, Recorder, both_contexts, connected, run
from tests.aio.test_handshake import plain_server
from tests.conftest import Files
from tests.support.connections import client_context, server_context

MUCH = bytes(8 << 20)


@asynccontextmanager
async def plain(server: Any = None) -> AsyncIterator[tuple[Any, Any]]:
    """Both ends' protocols of a connection without TLS."""
    loop = asyncio.get_running_loop()
    ends = server or Recorder(), Recorder()
    listening = await loop.create_server(lambda: ends[0], "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    await loop.create_connection(lambda: ends[1], "127.0.0.1", port)
    await ends[0].told("made")
    under = [end.transport for end in ends]
    try:
        yield ends
    finally:
        listening.close()
        for transport in under:
            transport.abort()


async def both(files: Files, ends: tuple[Any, Any], over: tuple[Any, Any]) -> tuple[Any, Any]:
    """Both ends' TLS transports over the two plain ones."""
    loop = asyncio.get_running_loop()
    own, other = both_contexts(files)
    found: Any = await asyncio.gather(
        loop.start_tls(over[0], ends[0], own, server_side=True),
        loop.start_tls(over[1], ends[1], other, server_hostname="localhost"),
    )
    return tuple(found)


def test_what_was_written_before_is_sent_before_and_plain(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with plain() as (server, client):
            server.transport.pause_reading()
            client.transport.write(MUCH)
            assert "pause" in client.events
            upgrading = asyncio.ensure_future(
                asyncio.get_running_loop().start_tls(
                    client.transport, client, client_context(files.ca), server_hostname="localhost"
                )
            )
            await asyncio.sleep(0)
            server.transport.resume_reading()
            await server.has(len(MUCH) + 3)
            assert server.received.startswith(MUCH + b"\x16\x03\x01")
            assert "resume" in client.events
            upgrading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await upgrading

    run(loop_factory, main())


def test_what_comes_after_goes_to_the_given_protocols(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with plain() as (server, client):
            client.transport.write(b"before")
            await server.has(6)
            ends = Recorder(), Recorder()
            over, under = await both(files, ends, (server.transport, client.transport))
            assert isinstance(over, veritls.aio.SSLTransport) and isinstance(under, veritls.aio.SSLTransport)
            under.write(b"secret")
            over.write(b"answer")
            assert await ends[0].has(6) == b"secret" and await ends[1].has(6) == b"answer"
            assert bytes(server.received) == b"before" and client.received == b""
            under.close()
            await ends[0].told("lost")
            await ends[1].told("lost")
            assert (ends[0].events, ends[0].error) == (["eof", "lost"], None)
            assert (ends[1].events, ends[1].error) == (["lost"], None)

    run(loop_factory, main())


def test_the_transport_knows_what_the_plain_one_knew(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with plain() as ends:
            before = ends[1].transport.get_extra_info("peername")
            over, under = await both(files, ends, (ends[0].transport, ends[1].transport))
            assert under.get_extra_info("peername") == before
            assert under.get_extra_info("socket").fileno() >= 0
            assert under.get_extra_info("ssl_object").version() == "TLSv1.3"
            assert over.get_extra_info("peername") == under.get_extra_info("sockname")

    run(loop_factory, main())


def test_streams_are_upgraded_on_both_sides(files: Files, loop_factory: LoopFactory) -> None:
    own, other = both_contexts(files)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go\n")
        await writer.drain()
        await writer.start_tls(own)
        assert isinstance(writer.transport, veritls.aio.SSLTransport)
        writer.write(await reader.readexactly(len(MUCH)))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go\n"
            await writer.start_tls(other, server_hostname="localhost")
            assert isinstance(writer.transport, veritls.aio.SSLTransport)
            writer.write(MUCH)
            assert await reader.readexactly(len(MUCH)) == MUCH
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(loop_factory, main())


def test_an_unread_stream_slows_its_peer_down(files: Files, loop_factory: LoopFactory) -> None:
    own, other = both_contexts(files)

    async def main() -> None:
        served: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await writer.start_tls(own)
            served.set_result((reader, writer))

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            _, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            await writer.start_tls(other, server_hostname="localhost")
            reader, accepted = await served
            writer.write(MUCH * 4)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert len(reader._buffer) < 1 << 20 and writer.transport.get_write_buffer_size() > 0
            assert await reader.readexactly(len(MUCH) * 4) == MUCH * 4
            for each in (writer, accepted):
                each.transport.abort()

    run(loop_factory, main())


@pytest.mark.parametrize("buffered", [False, True])
def test_tls_within_tls_is_two_layers(files: Files, loop_factory: LoopFactory, buffered: bool) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            ends: Any = (BufferedRecorder(1000) if buffered else Recorder(), Recorder())
            over, under = await both(files, ends, (server.transport, client.transport))
            under.write(MUCH)
            assert await ends[0].has(len(MUCH)) == MUCH
            over.write(b"answer")
            assert await ends[1].has(6) == b"answer"
            assert isinstance(under.get_extra_info("ssl_object"), veritls.SSLObject)
            under.close()
            await ends[0].told("lost")
            await ends[1].told("lost")
            server.events.append("lost")  # they were replaced
            client.events.append("lost")

    run(loop_factory, main())


def test_a_refused_certificate_closes_both_layers(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with plain() as (server, client):
            other = client_context(files.stranger)
            under = server.transport, client.transport
            accepting = asyncio.ensure_future(
                loop.start_tls(server.transport, server, server_context(files.server), server_side=True)
            )
            await asyncio.sleep(0)
            with pytest.raises(ssl.SSLCertVerificationError):
                await loop.start_tls(client.transport, client, other, server_hostname="localhost")
            with pytest.raises(ssl.SSLError) as refused:
                await accepting
            assert refused.value.reason == "TLSV1_ALERT_UNKNOWN_CA"
            await client.told("lost")
            await server.told("lost")
            await asyncio.sleep(0)
            assert under[0].is_closing() and under[1].is_closing()

    run(loop_factory, main())


def test_wrong_arguments_leave_the_plain_connection_as_it_was(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with plain() as (server, client):
            context = client_context(files.ca)
            with pytest.raises(ValueError):
                await loop.start_tls(client.transport, client, context)
            with pytest.raises(ValueError):
                await loop.start_tls(
                    client.transport, client, context, server_hostname="a", ssl_handshake_timeout=-1
                )
            with pytest.raises(TypeError):
                await loop.start_tls(client.transport, client, "context")  # type: ignore[arg-type]
            server.transport.write(b"plain")
            assert await client.has(5) == b"plain"

    run(loop_factory, main())


def test_without_a_descriptor_to_spare_the_plain_connection_is_left_as_it_was(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("uvloop")

    def none_left(fd: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with plain() as (server, client):
            with monkeypatch.context() as patched:
                patched.setattr("os.dup", none_left)
                with pytest.raises(OSError, match="too many open files"):
                    await loop.start_tls(
                        client.transport, client, client_context(files.ca), server_hostname="localhost"
                    )
            server.transport.write(b"plain")
            assert await client.has(5) == b"plain"

    run(veritls.aio.UvloopEventLoop, main())


def test_a_cancelled_upgrade_closes_the_connection(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with plain_server() as (port, seen):
            client = Recorder()
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(lambda: client, "127.0.0.1", port)
            task = asyncio.ensure_future(
                loop.start_tls(transport, client, client_context(files.ca), server_hostname="localhost")
            )
            await seen.has(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await seen.told("lost")
            await client.told("lost")

    run(loop_factory, main())


def test_an_upgrade_cancelled_before_all_is_sent_closes_the_connection(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with plain() as (server, client):
            server.transport.pause_reading()
            client.transport.write(MUCH)
            task = asyncio.ensure_future(
                asyncio.get_running_loop().start_tls(
                    client.transport, client, client_context(files.ca), server_hostname="localhost"
                )
            )
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.told("lost")
            server.transport.resume_reading()
            await server.told("lost")
            assert b"\x16\x03" not in server.received  # no record went out before the plain bytes

    run(loop_factory, main())


def test_a_program_that_still_holds_the_plain_transport_does_no_harm(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with plain() as ends:
            under = ends[0].transport, ends[1].transport
            over = await both(files, ends, under)
            for end, other in ((0, 1), (1, 0)):
                under[end].pause_reading()
                over[other].write(b"x" * 100_000)
                under[end].resume_reading()
                assert await ends[end].has(100_000) == b"x" * 100_000

    run(loop_factory, main())


def test_closing_the_plain_transport_closes_the_connection(files: Files) -> None:
    async def main() -> None:
        async with plain() as ends:
            under = ends[0].transport, ends[1].transport
            over = await both(files, ends, under)
            under[1].close()
            await ends[1].told("lost")
            await ends[0].told("lost")
            assert over[0].is_closing() and over[1].is_closing()
            with pytest.raises(ConnectionResetError):
                await asyncio.get_running_loop().start_tls(
                    under[1], ends[1], client_context(files.ca), server_hostname="localhost"
                )

    run(veritls.aio.EventLoop, main())


def test_a_plain_context_of_ssl_goes_its_own_way(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with plain() as (server, client):
            own, other = server_context(files.server), client_context(files.ca, ssl)
            found = await asyncio.gather(
                loop.start_tls(server.transport, server, own, server_side=True),
                loop.start_tls(client.transport, client, other, server_hostname="localhost"),
            )
            assert [isinstance(each, veritls.aio.SSLTransport) for each in found] == [True, False]
            assert found[1] is not None
            found[1].write(b"hello")
            assert await server.has(5) == b"hello"

    run(loop_factory, main())


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_a_transport_that_outlives_its_loop_closes_without_an_error(
    files: Files, loop_factory: LoopFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    left: list[Any] = []

    async def main() -> None:
        listening = await asyncio.start_server(
            lambda *_: None, "127.0.0.1", 0, ssl=server_context(files.server)
        )
        port = listening.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await writer.start_tls(client_context(files.ca), server_hostname="localhost")
        left.append(writer.transport)
        listening.close()

    loop = loop_factory()
    loop.run_until_complete(main())
    loop.close()
    left.clear()
    gc.collect()
    assert unraised == []
