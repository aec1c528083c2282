"""Where a protocol is called: in the contextvars.Context that asyncio names from Python 3.15 on."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from typing import Any

import pytest

import veritls.aio
from tests.aio.ends import LoopFactory, Recorder, both_contexts, run
from tests.conftest import Files
from tests.support.connections import SECONDS

WHERE = contextvars.ContextVar("WHERE", default="elsewhere")


class Noting(Recorder):
    """Notes where it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, str] = {}

    def connection_made(self, transport: Any) -> None:
        self.seen["made"] = WHERE.get()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.seen["data"] = WHERE.get()
        super().data_received(data)

    def eof_received(self) -> bool:
        self.seen["eof"] = WHERE.get()
        return super().eof_received()

    def resume_writing(self) -> None:
        self.seen["resume"] = WHERE.get()
        super().resume_writing()

    def connection_lost(self, error: BaseException | None) -> None:
        self.seen["lost"] = WHERE.get()
        super().connection_lost(error)


def named(name: str) -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(WHERE.set, name)
    return context


def test_a_protocol_is_called_in_the_context_that_asyncio_names(
    files: Files, loop_factory: LoopFactory
) -> None:
    own, other = both_contexts(files)

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        ends = Noting(), Noting()
        raw = socket.socketpair()
        waiters = loop.create_future(), loop.create_future()
        for end in raw:
            end.setblocking(False)
        sides: Any = ({"server_side": True}, {"server_hostname": "localhost"})
        for name, end, sock, tls, waiter, side in zip(
            ("server", "client"), ends, raw, (own, other), waiters, sides, strict=True
        ):
            loop._make_ssl_transport(sock, end, tls, waiter, context=named(name), **side)
        await asyncio.wait_for(asyncio.gather(*waiters), SECONDS)
        ends[1].transport.write(bytes(8 << 20))
        await ends[0].has(8 << 20)
        ends[0].transport.write(b"answer")
        await ends[1].has(6)
        await ends[1].told("resume")
        ends[1].transport.close()
        for told in ends:
            await told.told("lost")
        assert ends[0].seen == dict.fromkeys(("made", "data", "eof", "lost"), "server")
        assert ends[1].seen == dict.fromkeys(("made", "data", "resume", "lost"), "client")
        assert WHERE.get() == "elsewhere"

    run(loop_factory, main())


def test_a_loop_calls_reader_and_writer_of_a_socket_in_the_context_that_is_named() -> None:
    pytest.importorskip("uvloop")

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            for add, remove in (
                (loop._add_writer, loop._remove_writer),
                (loop._add_reader, loop._remove_reader),
            ):
                seen = loop.create_future()

                def ready(words: str, seen: Any = seen) -> None:
                    if not seen.done():
                        seen.set_result((words, WHERE.get()))

                far.sendall(b"x")
                add(near.fileno(), ready, "ready", context=named("here"))
                assert await seen == ("ready", "here")
                remove(near.fileno())

    run(veritls.aio.UvloopEventLoop, main())
