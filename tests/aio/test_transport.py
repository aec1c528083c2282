"""asyncio's contract of transports and protocols."""

from __future__ import annotations

import asyncio
import gc
import ssl
import warnings
from asyncio.trsock import TransportSocket
from typing import Any

import pytest

import veritls
from tests.aio.ends import BufferedRecorder, LoopFactory, Recorder, both_contexts, connected, run
from tests.conftest import Files

MUCH = bytes(range(256)) * (16 * 1024)  # 4 MiB: more than the kernel takes


def test_both_ends_are_told_of_everything_once(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            client.transport.write(b"question")
            assert await server.has(8) == b"question"
            server.transport.write(b"answer")
            assert await client.has(6) == b"answer"
            client.transport.close()
            client.transport.close()
            await client.told("lost")
            await server.told("lost")
            assert client.transport.is_closing() and server.transport.is_closing()
        assert (client.events, client.error) == (["made", "lost"], None)
        assert (server.events, server.error) == (["made", "eof", "lost"], None)

    run(loop_factory, main())


@pytest.mark.parametrize("size", [1, 7, 1000, 16_384, 300_000])
def test_a_buffered_protocol_gets_every_byte_in_its_buffer(
    files: Files, loop_factory: LoopFactory, size: int
) -> None:
    sent = MUCH[: min(size * 200, len(MUCH))]

    async def main() -> None:
        client = BufferedRecorder(size)
        async with connected(files, client=client) as (server, _):
            server.transport.write(sent)
            server.transport.close()
            await client.told("eof")
            assert bytes(client.received) == sent

    run(loop_factory, main())


def test_a_connection_that_has_sent_everything_keeps_no_queue(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            assert server.transport._outbound._backlog is None
            server.transport.write(MUCH)
            server.transport.write(MUCH)
            assert server.transport._outbound._backlog
            await client.has(2 * len(MUCH))
            await server.told("resume")
            assert server.transport.get_write_buffer_size() == 0
            assert server.transport._outbound._backlog is None

    run(loop_factory, main())


def test_pieces_of_every_kind_arrive_in_order(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            changing = bytearray(MUCH)
            client.transport.write(changing)
            changing[:] = bytes(len(changing))
            wide = memoryview(MUCH).cast("I")
            client.transport.write(wide)
            view = memoryview(bytearray(b"view"))
            client.transport.writelines([b"a", bytearray(b"b"), view, b""])
            client.transport.write(b"")
            for _ in range(1000):
                client.transport.write(b"small")
            expected = MUCH + MUCH + b"abview" + b"small" * 1000
            assert await server.has(len(expected)) == expected
            assert client.transport.get_write_buffer_size() == 0

    run(loop_factory, main())


@pytest.mark.parametrize("wrong", ["text", None, 3, [b"list"]])
def test_what_is_not_bytes_is_refused_and_harms_nothing(
    files: Files, loop_factory: LoopFactory, wrong: Any
) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            with pytest.raises(TypeError):
                client.transport.write(wrong)
            client.transport.write(MUCH)
            with pytest.raises(TypeError):
                client.transport.write(wrong)
            assert await server.has(len(MUCH)) == MUCH

    run(loop_factory, main())


def test_a_peer_that_does_not_read_pauses_the_writer_and_holds_little(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            server.transport.pause_reading()
            piece = MUCH[: 64 * 1024]
            written = 0
            while "pause" not in client.events:
                client.transport.write(piece)
                written += len(piece)
                await asyncio.sleep(0)
            low, high = client.transport.get_write_buffer_limits()
            assert (low, high) == (128 * 1024, 512 * 1024)
            # What was encrypted before the kernel said no counts with its records.
            assert high < client.transport.get_write_buffer_size() < high + 2 * len(piece)
            assert server.received == b""
            server.transport.resume_reading()
            await client.told("resume")
            assert client.transport.get_write_buffer_size() <= low
            assert len(await server.has(written)) == written
            assert client.events == ["made", "pause", "resume"]

    run(loop_factory, main())


def test_the_limits_are_those_that_are_set(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            client.transport.set_write_buffer_limits(high=1000, low=10)
            assert client.transport.get_write_buffer_limits() == (10, 1000)
            with pytest.raises(ValueError):
                client.transport.set_write_buffer_limits(high=1, low=10)
            client.transport.set_write_buffer_limits(high=0)
            server.transport.pause_reading()
            client.transport.write(MUCH * 2)
            assert client.events == ["made", "pause"]
            server.transport.resume_reading()
            await client.told("resume")
            assert client.transport.get_write_buffer_size() == 0

    run(loop_factory, main())


def test_a_writer_that_writes_whenever_it_is_resumed_sends_everything(
    files: Files, loop_factory: LoopFactory
) -> None:
    class Pusher(Recorder):
        left = 24

        def push(self) -> None:
            while self.left and "pause" not in self.events[-1:]:
                self.left -= 1
                self.transport.write(MUCH[: 1 << 20])

        def resume_writing(self) -> None:
            super().resume_writing()
            self.push()

    async def main() -> None:
        async with connected(files, client=Pusher()) as (server, client):
            client.push()
            assert len(await server.has(24 << 20)) == 24 << 20

    run(loop_factory, main())


def test_a_paused_reader_gets_nothing_until_it_resumes(files: Files, loop_factory: LoopFactory) -> None:
    class Pausing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        async with connected(files, server=Pausing()) as (server, client):
            client.transport.write(b"one")
            await server.has(3)
            assert not server.transport.is_reading()
            client.transport.write(b"two")
            client.transport.close()
            for _ in range(100):
                await asyncio.sleep(0)
            assert bytes(server.received) == b"one"
            server.transport.resume_reading()
            server.transport.resume_reading()
            assert await server.has(6) == b"onetwo"
            server.transport.resume_reading()
            await server.told("eof")
            await client.told("lost")

    run(loop_factory, main())


def test_a_buffered_protocol_that_pauses_within_what_was_read_goes_on_from_there(
    files: Files, loop_factory: LoopFactory
) -> None:
    class Pausing(BufferedRecorder):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            self.inner.transport.pause_reading()

    async def main() -> None:
        server = Pausing(3)
        async with connected(files, server=server) as (_, client):
            client.transport.write(b"abcdefgh")
            client.transport.write(b"ij")
            for count in (3, 6, 8, 10):
                await server.has(count)
                await asyncio.sleep(0)
                assert len(server.received) <= count + 1
                server.inner.transport.resume_reading()
            assert bytes(server.received) == b"abcdefghij"

    run(loop_factory, main())


def test_write_eof_ends_one_direction_and_leaves_the_other_open(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with connected(files, server=Recorder(keep_open=True)) as (server, client):
            assert client.transport.can_write_eof()
            client.transport.write(MUCH)
            client.transport.write_eof()
            client.transport.write_eof()
            with pytest.raises(RuntimeError):
                client.transport.write(b"more")
            await server.told("eof")
            assert bytes(server.received) == MUCH
            assert server.transport.get_extra_info("close_notify") is True
            server.transport.write(MUCH)
            assert await client.has(len(MUCH)) == MUCH
            assert client.events == ["made"] + ["pause", "resume"] * (client.events.count("pause"))
            server.transport.close()
            await client.told("lost")
            await server.told("lost")
            assert (client.error, server.error) == (None, None)

    run(loop_factory, main())


def test_an_end_that_the_protocol_does_not_keep_open_closes_the_connection(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            client.transport.write_eof()
            await server.told("lost")
            await client.told("lost")
            assert client.events == ["made", "eof", "lost"]

    run(loop_factory, main())


def test_close_sends_all_that_was_written_and_delivers_nothing_more(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            server.transport.write(b"too late")
            client.transport.write(MUCH)
            client.transport.close()
            client.transport.write(b"dropped")
            await client.told("lost")
            assert client.received == b"" and client.error is None
            await server.told("lost")
            assert bytes(server.received) == MUCH

    run(loop_factory, main())


def test_what_close_cannot_send_is_an_error_of_the_connection(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            server.transport.pause_reading()
            client.transport.write(MUCH * 2)
            client.transport.close()
            server.transport.abort()
            await client.told("lost")
            assert isinstance(client.error, ConnectionError)

    run(loop_factory, main())


def test_abort_ends_it_at_once(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            server.transport.pause_reading()
            client.transport.write(MUCH * 2)
            client.transport.abort()
            client.transport.abort()
            await client.told("lost")
            assert client.error is None and client.transport.get_write_buffer_size() == 0
            assert client.transport.get_protocol() is None
            server.transport.resume_reading()
            await server.told("lost")
            assert len(server.received) < 2 * len(MUCH)

    run(loop_factory, main())


def test_what_was_never_asked_for_is_told_after_the_end_too(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        contexts = both_contexts(files)
        async with connected(files, contexts=contexts) as (server, client):
            number = client.transport._sock.fileno()
            names = [client.transport._sock.getsockname(), client.transport._sock.getpeername()]
            server.transport.abort()
            await client.told("lost")
            await asyncio.sleep(0)
            ask = client.transport.get_extra_info
            assert [ask("sockname"), ask("peername")] == names
            assert ask("sslcontext") is contexts[1]
            assert isinstance(ask("socket"), TransportSocket) and number != ask("socket").fileno() == -1

    run(loop_factory, main())


def test_the_transport_tells_what_is_known(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        contexts = both_contexts(files)
        async with connected(files, contexts=contexts) as (server, client):
            ask = client.transport.get_extra_info
            tls = ask("ssl_object")
            assert isinstance(tls, ssl.SSLObject) and isinstance(tls, veritls.SSLObject)
            assert ask("sslcontext") is contexts[1] is tls.context
            assert ask("cipher") == tls.cipher() and tls.version() == "TLSv1.3"
            assert ask("peercert") == tls.getpeercert() != {}
            assert ask("compression") is None and ask("nonsense", 5) == 5
            assert isinstance(ask("socket"), TransportSocket)
            assert ask("sockname") == server.transport.get_extra_info("peername")
            assert ask("peername") == server.transport.get_extra_info("sockname")
            assert server.transport.get_extra_info("peercert", 7) is None
            assert (tls.server_side, tls.server_hostname) == (False, "localhost")
            assert ask("close_notify") is False
            for refused in (tls.read, tls.do_handshake, tls.unwrap, lambda: tls.write(b"x")):
                with pytest.raises(ValueError):
                    refused()
            assert "open" in repr(client.transport)
        assert "lost" in repr(client.transport)

    run(loop_factory, main())


def test_another_protocol_gets_what_comes_after_it_was_set(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            client.transport.write(b"one")
            await server.has(3)
            second = BufferedRecorder(100)
            server.transport.set_protocol(second)
            assert server.transport.get_protocol() is second
            client.transport.write(b"two")
            assert await second.has(3) == b"two"
            server.transport.set_protocol(server)
            client.transport.write(b"three")
            assert await server.has(8) == b"onethree"

    run(loop_factory, main())


def test_a_protocol_that_is_set_after_close_is_told_of_the_end_and_nothing_else(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        second = Recorder()
        async with connected(files, client=Recorder(keep_open=True)) as (server, client):
            server.transport.close()
            server.transport.set_protocol(second)
            await client.told("eof")
            client.transport.write(b"late")
            client.transport.close()
            await second.told("lost")
            server.connection_lost(None)  # what `connected` waits for
        assert (second.events, bytes(second.received)) == (["lost"], b"")

    run(loop_factory, main())


CALLBACKS = ["connection_made", "data_received", "eof_received", "get_buffer", "buffer_updated"]


@pytest.mark.parametrize("name", CALLBACKS)
def test_an_exception_in_a_callback_is_reported_and_ends_the_connection(
    files: Files, loop_factory: LoopFactory, name: str
) -> None:
    failure = ZeroDivisionError(name)

    def fail(*args: Any) -> Any:
        raise failure

    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        recorder: Any = BufferedRecorder(100) if "buffer" in name else Recorder()
        inner = getattr(recorder, "inner", recorder)
        made = recorder.connection_made

        def made_first(transport: Any) -> None:
            made(transport)
            if name == "connection_made":
                fail()

        recorder.connection_made = made_first
        if name != "connection_made":
            setattr(recorder, name, fail)
        async with connected(files, server=recorder) as (_, client):
            client.transport.write(b"x")
            client.transport.write_eof()
            await inner.told("lost")
            await client.told("lost")
        assert inner.error is failure and inner.events.count("lost") == 1
        # In debug mode asyncio reports a second time what kept a connection from being made.
        told = [each for each in reported if not each["message"].startswith("Error on transport creation")]
        assert [context["exception"] for context in told] == [failure]

    run(loop_factory, main())


def test_an_exception_in_flow_control_is_reported_and_harms_nothing(
    files: Files, loop_factory: LoopFactory
) -> None:
    class Failing(Recorder):
        def pause_writing(self) -> None:
            raise ZeroDivisionError

        resume_writing = pause_writing

    async def main() -> None:
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: reported.append(context["exception"])
        )
        async with connected(files, client=Failing()) as (server, client):
            server.transport.pause_reading()
            client.transport.write(MUCH * 2)
            server.transport.resume_reading()
            assert len(await server.has(2 * len(MUCH))) == 2 * len(MUCH)
            await client.wait_for(lambda: client.transport.get_write_buffer_size() == 0)
        assert [type(error) for error in reported] == [ZeroDivisionError] * 2

    run(loop_factory, main())


@pytest.mark.parametrize("way", ["close", "abort"])
@pytest.mark.parametrize("when", ["connection_made", "data_received", "eof_received"])
def test_a_callback_may_end_the_connection(
    files: Files, loop_factory: LoopFactory, way: str, when: str
) -> None:
    async def main() -> None:
        server = Recorder()
        plain = getattr(server, when)

        def ending(*args: Any) -> Any:
            plain(*args)
            getattr(server.transport, way)()

        setattr(server, when, ending)
        async with connected(files, server=server) as (_, client):
            client.transport.write(b"x")
            client.transport.write_eof()
            await server.told("lost")
            await client.told("lost")
        assert server.error is None and server.events.count("lost") == 1
        assert len(server.received) == (when != "connection_made")

    run(loop_factory, main())


def test_a_transport_that_was_never_closed_warns_and_closes(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with connected(files, contexts=(own, other)) as (server, client):
            loop: Any = asyncio.get_running_loop()
            port = server.transport.get_extra_info("sockname")[1]
            end = Recorder()
            client.transport.close()
            await server.told("lost")
            server.events.clear()
            await loop.create_connection(
                lambda: end, "127.0.0.1", port, ssl=other, server_hostname="localhost"
            )
            await server.told("made")
            loop._remove_reader(end.transport.get_extra_info("socket").fileno())
            gc.collect()  # what earlier tests left behind warns here
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                end.transport._protocol = end.transport = None
                gc.collect()
            assert [each.category for each in caught if "SSLTransport open" in str(each.message)] == [
                ResourceWarning
            ]
            await server.told("lost")

    own, other = both_contexts(files)
    run(loop_factory, main())


def test_much_goes_both_ways_at_once_through_streams(files: Files, loop_factory: LoopFactory) -> None:
    own, other = both_contexts(files)
    rounds = 8

    async def push(writer: asyncio.StreamWriter) -> None:
        for _ in range(rounds):
            writer.write(MUCH)
            await writer.drain()
        writer.write_eof()

    async def pull(reader: asyncio.StreamReader) -> None:
        assert await reader.readexactly(rounds * len(MUCH)) == MUCH * rounds

    async def main() -> None:
        served = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await asyncio.gather(push(writer), pull(reader))
            except BaseException as error:
                served.set_exception(error)
            else:
                served.set_result(None)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=own) as listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port, ssl=other)
            await asyncio.gather(push(writer), pull(reader), served)
            writer.close()
            await writer.wait_closed()

    run(loop_factory, main())
