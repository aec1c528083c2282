"""What watches sockets on uvloop, and the timeouts of connections on either loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import select
import selectors
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

import pytest

import veritls.aio
from tests.aio.ends import LoopFactory, Recorder, run
from tests.conftest import Files
from tests.support.connections import client_context, server_context
from veritls.aio import poller
from veritls.aio.timeouts import Timeouts

WHERE = contextvars.ContextVar("WHERE", default="nowhere")


def _given(end: Recorder) -> Recorder:
    return end


@pytest.fixture(params=["epoll", "selector"])
def uvloop_factory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LoopFactory:
    """With epoll, and as where there is none."""
    pytest.importorskip("uvloop")
    if request.param == "selector":
        # One that can itself be watched, as kqueue.
        monkeypatch.setattr(selectors, "DefaultSelector", selectors.EpollSelector)
        monkeypatch.setattr(poller, "select", socket)
    elif not hasattr(select, "epoll"):
        pytest.skip("this system has no epoll: the selector is tried instead")
    return veritls.aio.UvloopEventLoop


def test_a_socket_is_watched_in_each_direction_until_that_is_undone(uvloop_factory: LoopFactory) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            told: asyncio.Queue[str] = asyncio.Queue()
            fd = near.fileno()
            loop._add_writer(fd, told.put_nowait, "write")
            assert await told.get() == "write"
            loop._add_reader(fd, told.put_nowait, "read")
            far.sendall(b"x")
            while await told.get() != "read":
                pass
            assert loop._remove_writer(fd)
            assert not loop._remove_writer(fd)
            while not told.empty():
                told.get_nowait()
            assert {await told.get(), await told.get()} == {"read"}
            loop._add_reader(fd, told.put_nowait, "another")
            while await told.get() != "another":
                pass
            assert loop._remove_reader(fd)
            assert not loop._remove_reader(fd)
            while not told.empty():
                told.get_nowait()
            for _ in range(3):
                await asyncio.sleep(0)
            assert told.empty()

    run(uvloop_factory, main())


def test_a_reader_is_called_until_all_is_read_whatever_error_is_behind_it(
    uvloop_factory: LoopFactory,
) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near:
            near.setblocking(False)
            far.sendall(b"abc")
            far.close()
            ended, got = loop.create_future(), bytearray()

            def read() -> None:
                piece = near.recv(1)
                got.extend(piece)
                if not piece:
                    loop._remove_reader(near.fileno())
                    ended.set_result(None)

            loop._add_reader(near.fileno(), read)
            await ended
            assert got == b"abc"

    run(uvloop_factory, main())


async def _make_busy(loop: Any, near: socket.socket, far: socket.socket, read: Callable[[], None]) -> None:
    """Has `read` called, one byte a time, until libuv calls it."""
    fd = near.fileno()
    loop._add_reader(fd, read)
    for _ in range(poller._PROVES_BUSY):
        assert fd in loop._poller._readers and fd not in loop._poller._busy
        far.sendall(b"x")
        while not select.select([near], [], [], 0)[0]:
            await asyncio.sleep(0)
        while select.select([near], [], [], 0)[0]:
            await asyncio.sleep(0)
    assert fd in loop._poller._busy and fd not in loop._poller._readers


def test_a_busy_reader_goes_over_to_libuv_in_its_context_until_it_is_removed(
    uvloop_factory: LoopFactory,
) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            where: list[str] = []

            def read() -> None:
                near.recv(1)
                where.append(WHERE.get())
                WHERE.set("in the reader")

            await _make_busy(loop, near, far, read)
            far.sendall(b"x")
            while len(where) <= poller._PROVES_BUSY:
                await asyncio.sleep(0)
            assert set(where[1:]) == {"in the reader"} and WHERE.get() == "nowhere"
            assert loop._remove_reader(near.fileno()) and not loop._remove_reader(near.fileno())
            far.sendall(b"x")
            for _ in range(3):
                await asyncio.sleep(0)
            assert len(where) == poller._PROVES_BUSY + 1
            loop._add_reader(near.fileno(), read)
            while len(where) == poller._PROVES_BUSY + 1:
                await asyncio.sleep(0)

    run(uvloop_factory, main())


def test_a_busy_reader_is_called_until_it_has_read_the_error_on_its_socket(
    uvloop_factory: LoopFactory,
) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            far = socket.create_connection(listener.getsockname(), timeout=10)
            near, _ = listener.accept()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with near, far:
            near.setblocking(False)
            ended = loop.create_future()
            calls_after: list[None] = []
            reset: list[None] = []

            def read() -> None:
                if reset:
                    calls_after.append(None)
                    if len(calls_after) < 3:
                        return
                try:
                    assert near.recv(1)
                except ConnectionResetError:
                    loop._remove_reader(near.fileno())
                    ended.set_result(None)

            await _make_busy(loop, near, far, read)
            reset.append(None)
            far.close()
            await ended
            # What libuv let go of is in nobody's way.
            with socket.socket(near.family, near.type) as another:
                loop.add_reader(another.fileno(), read)
                assert loop.remove_reader(another.fileno()) is None

    run(uvloop_factory, main())


def test_a_socket_is_watched_though_another_of_its_number_was_closed_without_a_word(
    uvloop_factory: LoopFactory,
) -> None:
    async def main(busy: bool) -> None:
        loop: Any = asyncio.get_running_loop()
        near, far = socket.socketpair()
        fd = near.fileno()

        def read() -> None:
            near.recv(1)

        with far:
            if busy:
                await _make_busy(loop, near, far, read)
            else:
                loop._add_reader(fd, read)
                loop._add_writer(fd, loop._remove_writer, fd)
            near.close()
        near, far = socket.socketpair()
        with near, far:
            assert near.fileno() == fd
            read_again, written = loop.create_future(), loop.create_future()

            def reader() -> None:
                near.recv(1)
                read_again.set_result(None)

            def writer() -> None:
                loop._remove_writer(fd)
                written.set_result(None)

            loop._add_reader(fd, reader)
            far.sendall(b"x")
            await asyncio.wait_for(read_again, 10)
            loop._add_writer(fd, writer)
            await asyncio.wait_for(written, 10)
            loop._remove_reader(fd)

    for busy in (False, True):
        run(uvloop_factory, main(busy))


def test_a_callback_that_raises_is_reported_and_others_are_called(uvloop_factory: LoopFactory) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        reported: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reported.append(context))
        pairs = [socket.socketpair() for _ in range(2)]
        called = [0, 0]
        done = loop.create_future()

        def ready(number: int) -> None:
            called[number] += 1
            if min(called) > 1 and not done.done():
                done.set_result(None)
            raise ZeroDivisionError(number)

        for number, (near, far) in enumerate(pairs):
            far.sendall(b"x")
            loop._add_reader(near.fileno(), ready, number)
        await done
        for near, far in pairs:
            loop._remove_reader(near.fileno())
            near.close()
            far.close()
        assert {repr(context["exception"]) for context in reported} == {
            "ZeroDivisionError(0)",
            "ZeroDivisionError(1)",
        }

    run(uvloop_factory, main())


def test_a_connection_passes_bytes_both_ways_and_ends(files: Files, uvloop_factory: LoopFactory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ends = Recorder(), Recorder()
        server = await loop.create_server(lambda: ends[0], "127.0.0.1", 0, ssl=server_context(files.server))
        async with server:
            port = server.sockets[0].getsockname()[1]
            await loop.create_connection(
                lambda: ends[1], "127.0.0.1", port, ssl=client_context(files.ca), server_hostname="localhost"
            )
            for here, there in (ends, ends[::-1]):
                await here.told("made")
                here.transport.write(bytes(4 << 20))
                await there.has(4 << 20)
            ends[0].transport.close()
            for end in ends:
                await end.told("lost")

    run(uvloop_factory, main())


def test_what_a_protocol_factory_sets_holds_for_its_connection_only(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen: list[str] = []

        def factory() -> asyncio.Protocol:
            seen.append(WHERE.get())
            WHERE.set("in a connection")
            return Recorder()

        async with await loop.create_server(
            factory, "127.0.0.1", 0, ssl=server_context(files.server)
        ) as server:
            for _ in range(2):
                end = Recorder()
                await loop.create_connection(
                    functools.partial(_given, end),
                    *server.sockets[0].getsockname(),
                    ssl=client_context(files.ca),
                    server_hostname="localhost",
                )
                end.transport.abort()
        assert seen == ["nowhere", "nowhere"]

    run(loop_factory, main())


def test_a_factory_that_raises_closes_its_connection_and_no_other(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        fails = [True, False]

        def factory() -> asyncio.Protocol:
            if fails.pop(0):
                raise ZeroDivisionError
            return Recorder()

        async with await loop.create_server(
            factory, "127.0.0.1", 0, ssl=server_context(files.server)
        ) as server:
            options: Any = {"ssl": client_context(files.ca), "server_hostname": "localhost"}
            address = server.sockets[0].getsockname()
            with pytest.raises((ConnectionError, ssl.SSLError)):
                await loop.create_connection(Recorder, *address, **options)
            transport, _ = await loop.create_connection(Recorder, *address, **options)
            transport.abort()

    run(loop_factory, main())


def test_timeouts_of_one_length_end_in_order_each_in_its_context_unless_they_are_ended(
    loop_factory: LoopFactory,
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timeouts = Timeouts.of(loop, 0.01)
        assert Timeouts.of(loop, 0.01) is timeouts
        ended: list[tuple[int, str]] = []
        last = loop.create_future()

        def begin(number: int) -> None:
            WHERE.set(f"in {number}")
            timeouts.begin(number, lambda: over(number), None)

        def over(number: int) -> None:
            ended.append((number, WHERE.get()))
            if number == 4:
                last.set_result(None)
            if number == 1:
                raise ZeroDivisionError

        reported: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reported.append(context))
        for number in range(5):
            contextvars.copy_context().run(begin, number)
        timeouts.end(2)
        timeouts.end("unknown")
        await last
        assert ended == [(number, f"in {number}") for number in (0, 1, 3, 4)]
        assert len(reported) == 1

    run(loop_factory, main())
