"""How connections begin on the loops: arguments, timeouts, cancellation, names, whose transport it is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import veritls
import veritls.aio
from tests.aio.ends import LoopFactory, Recorder, both_contexts, connected, run
from tests.conftest import Files
from tests.support.connections import client_context, raw_pair, server_context


@asynccontextmanager
async def plain_server(answer: bytes | None = None, *, close: bool = False) -> AsyncIterator[tuple[int, Any]]:
    """(port, what has come) of a server that speaks no TLS."""
    seen = Recorder()

    class Plain(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            seen.transport = transport
            if answer:
                transport.write(answer)

        def data_received(self, data: bytes) -> None:
            seen.data_received(data)
            if close:
                seen.transport.close()

        def connection_lost(self, error: Any) -> None:
            seen.connection_lost(error)

    listening = await asyncio.get_running_loop().create_server(Plain, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1], seen
    finally:
        listening.close()
        if seen.transport is not None:
            seen.transport.abort()
            await seen.told("lost")


async def connect(port: int, context: Any, **options: Any) -> Recorder:
    protocol = Recorder()
    options.setdefault("server_hostname", "localhost")
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: protocol, "127.0.0.1", port, ssl=context, **options)
    return protocol


def test_a_server_that_says_nothing_is_given_up_after_the_handshake_timeout(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with plain_server() as (port, seen):
            with pytest.raises(ConnectionAbortedError, match=r"longer than 0[.]05 seconds"):
                await connect(port, client_context(files.ca), ssl_handshake_timeout=0.05)
            await seen.told("lost")
            assert seen.received[:1] == b"\x16"

    run(loop_factory, main())


def test_a_client_that_says_nothing_is_given_up_and_never_made(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        server = Recorder()
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(
            lambda: server,
            "127.0.0.1",
            0,
            ssl=server_context(files.server),
            ssl_handshake_timeout=0.05,
        )
        async with listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()
        assert server.events == []

    run(loop_factory, main())


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(100), b"\x16\x03\x03\xff\xff"]
)
def test_a_server_that_does_not_speak_tls_is_an_ssl_error(
    files: Files, loop_factory: LoopFactory, garbage: bytes
) -> None:
    async def main() -> None:
        async with plain_server(garbage) as (port, seen):
            with pytest.raises(ssl.SSLError):
                await connect(port, client_context(files.ca))
            await seen.told("lost")

    run(loop_factory, main())


def test_a_client_that_does_not_speak_tls_is_reported_in_debug_mode_and_dropped(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        reported: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda loop, context: reported.append(context))
        server = Recorder()
        listening = await loop.create_server(lambda: server, "127.0.0.1", 0, ssl=server_context(files.server))
        async with listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        assert server.events == []
        assert [context["exception"].reason for context in reported] == ["HTTP_REQUEST"]

    run(loop_factory, main())


def test_a_handshake_that_the_peer_cuts_is_a_connection_reset(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with plain_server(close=True) as (port, _):
            with pytest.raises(ConnectionResetError) as cut:
                await connect(port, client_context(files.ca))
            assert isinstance(cut.value.__cause__, ssl.SSLEOFError)

    run(loop_factory, main())


def test_a_cancelled_handshake_leaves_nothing_open(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with plain_server() as (port, seen):
            task = asyncio.ensure_future(connect(port, client_context(files.ca)))
            await seen.has(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await seen.told("lost")

    run(loop_factory, main())


@pytest.mark.parametrize("timeout", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
def test_timeouts_are_positive(files: Files, loop_factory: LoopFactory, timeout: str) -> None:
    async def main() -> None:
        async with plain_server() as (port, seen):
            with pytest.raises(ValueError, match=f"{timeout} should be a positive number, got 0"):
                await connect(port, client_context(files.ca), **{timeout: 0})
            await seen.told("lost")
            assert seen.received == b""

    run(loop_factory, main())


def test_a_context_for_the_other_side_is_refused(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with plain_server() as (port, _):
            with pytest.raises(ssl.SSLError, match="client socket with a PROTOCOL_TLS_SERVER context"):
                await connect(port, server_context(files.server))
            with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
                await connect(port, client_context(files.ca), server_hostname="")

    run(loop_factory, main())


def test_a_context_of_ssl_gets_what_the_loop_itself_has(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with connected(files, contexts=both_contexts(files, ssl)) as (server, client):
            assert not isinstance(server.transport, veritls.aio.SSLTransport)
            client.transport.write(b"hello")
            assert await server.has(5) == b"hello"
        mixed = both_contexts(files, ssl)[0], client_context(files.ca)
        async with connected(files, contexts=mixed) as (server, client):
            assert isinstance(client.transport, veritls.aio.SSLTransport)
            assert not isinstance(server.transport, veritls.aio.SSLTransport)
            client.transport.write(b"hello")
            assert await server.has(5) == b"hello"

    run(loop_factory, main())


def test_a_context_with_a_class_of_its_own_gets_that_class(files: Files, loop_factory: LoopFactory) -> None:
    class Own(veritls.SSLObject):
        pass

    async def main() -> None:
        own, other = both_contexts(files)
        other.sslobject_class = Own
        async with connected(files, contexts=(own, other)) as (_, client):
            assert isinstance(client.transport.get_extra_info("ssl_object"), Own)

    run(loop_factory, main())


def test_ssl_true_is_the_default_context_of_veritls(
    files: Files, loop_factory: LoopFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with connected(files) as (server, _):
            port = server.transport.get_extra_info("sockname")[1]
            protocol = await connect(port, True)
            context = protocol.transport.get_extra_info("sslcontext")
            assert isinstance(context, veritls.SSLContext) and context.check_hostname
            protocol.transport.abort()
            unchecked = await connect(port, True, server_hostname="")
            context = unchecked.transport.get_extra_info("sslcontext")
            assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_REQUIRED)
            unchecked.transport.abort()
            monkeypatch.delenv("SSL_CERT_FILE")
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(port, True)

    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    run(loop_factory, main())


def test_sni_callback_gives_another_context_and_alpn_is_agreed_on(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        second = server_context(files.server)
        second.set_alpn_protocols(["h2"])
        other.set_alpn_protocols(["h2", "http/1.1"])
        asked: list[Any] = []

        def choose(connection: Any, name: str | None, context: Any) -> None:
            asked.append((name, context is own))
            connection.context = second

        own.sni_callback = choose
        async with connected(files, contexts=(own, other)) as (server, client):
            assert asked == [("localhost", True)]
            tls = server.transport.get_extra_info("ssl_object")
            assert tls.context is second and tls.selected_alpn_protocol() == "h2"
            assert client.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"

    run(loop_factory, main())


def test_sni_callback_refuses_with_an_alert(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        own.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Recorder, "127.0.0.1", 0, ssl=own) as listening:
            with pytest.raises(ssl.SSLError) as refused:
                await connect(listening.sockets[0].getsockname()[1], other)
        assert refused.value.reason == "TLSV1_UNRECOGNIZED_NAME"

    run(loop_factory, main())


def test_a_session_of_the_transport_is_resumed_by_a_socket(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        async with connected(files, contexts=(own, other)) as (server, client):
            server.transport.write(b"tickets come with the first data")
            await client.has(10)
            tls = client.transport.get_extra_info("ssl_object")
            session = tls.session
            assert tls.session_reused is False and session.has_ticket
            address = server.transport.get_extra_info("sockname")
            loop = asyncio.get_running_loop()

            def again() -> bool:
                with socket.create_connection(address, timeout=10) as raw:
                    wrap = other.wrap_socket
                    with wrap(raw, server_hostname="localhost", session=session) as connection:
                        return bool(connection.session_reused)

            assert await loop.run_in_executor(None, again)

    run(loop_factory, main())


def test_a_server_closed_during_a_handshake_lets_go_of_the_client(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server_end, client_end = raw_pair()
        with client_end:
            accepting = asyncio.ensure_future(
                loop.connect_accepted_socket(Recorder, server_end, ssl=server_context(files.server))
            )
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            accepting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await accepting
            assert await loop.run_in_executor(None, client_end.recv, 1) == b""

    run(loop_factory, main())


def test_a_connection_that_is_over_leaves_no_garbage(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> Any:
        own, other = both_contexts(files)
        async with connected(files, contexts=(own, other)) as (_, client):
            client.transport.write(b"x")
            return weakref.ref(client.transport)

    gc.collect()
    gc.disable()
    try:
        assert run(loop_factory, main())() is None
    finally:
        gc.enable()
