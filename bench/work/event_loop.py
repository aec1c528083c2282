"""Jobs on an event loop, with protocols and not streams: connections, bulk, round trips."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bench.loops import LoopContestant, listener, serving
from bench.recipe import SERVER_NAME, Recipe
from bench.work import Job, Say
from bench.work.blocking import BUFFER, NotTheWork
from bench.work.clock import Clock

_HELLO, _GO = b"h", b"g"
_LIMIT = 60


class _End(asyncio.BaseProtocol):
    """One end. `done` is the future that the job waits for; what goes wrong ends up there too."""

    transport: Any

    def __init__(self, done: asyncio.Future[Any]) -> None:
        self.done = done
        self.paused = False
        self.clock = Clock()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, why: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(why or EOFError("the connection ended"))

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def finish(self, result: Any) -> None:
        if not self.done.done():
            self.done.set_result(result)


class _Sender(_End, asyncio.Protocol):
    """Sends messages as fast as the other end takes them."""

    def __init__(self, done: asyncio.Future[Any], size: int) -> None:
        super().__init__(done)
        self._message = bytes(size)
        self._left = 0

    def send(self, count: int) -> None:
        self._left = count
        self._pump()

    def _pump(self) -> None:
        write, message = self.transport.write, self._message
        while self._left and not self.paused:
            self._left -= 1
            write(message)

    def resume_writing(self) -> None:
        self.paused = False
        self._pump()


class _Receiver(_End, asyncio.BufferedProtocol):
    """Counts bytes, in a buffer of its own."""

    def __init__(self, done: asyncio.Future[Any]) -> None:
        super().__init__(done)
        self._buffer = memoryview(bytearray(BUFFER))
        self.left = 0

    def get_buffer(self, _: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, got: int) -> None:
        self.left -= got
        if self.left <= 0:
            self.arrived()

    def arrived(self) -> None:
        raise NotImplementedError


class _Sink(_Receiver):
    """A server that acknowledges each phase of bulk."""

    def __init__(self, done: asyncio.Future[Any], job: Job) -> None:
        super().__init__(done)
        self._sizes = [job["warm"] * job["size"], job["count"] * job["size"]]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.left = self._sizes.pop(0)
        transport.write(_HELLO)

    def arrived(self) -> None:
        self.transport.write(_GO)
        if self._sizes:
            self.clock = Clock()
            self.left = self._sizes.pop(0)
        else:
            self.finish(self.clock.report(1))


class _Source(_Sender):
    """A server that sends a phase of bulk whenever it is asked to."""

    def __init__(self, done: asyncio.Future[Any], job: Job) -> None:
        super().__init__(done, job["size"])
        self._counts = [job["warm"], job["count"]]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.write(_HELLO)

    def data_received(self, data: bytes) -> None:
        self.clock = Clock()
        self.send(self._counts.pop(0))

    def connection_lost(self, why: Exception | None) -> None:
        if self._counts or self._left:
            super().connection_lost(why)
        else:
            self.finish(self.clock.report(1))


class _Uploader(_Sender):
    def __init__(self, done: asyncio.Future[Any], job: Job) -> None:
        super().__init__(done, job["size"])
        self._counts, self._job = [job["warm"], job["count"]], job

    def data_received(self, data: bytes) -> None:
        """The greeting, or the acknowledgement of a phase."""
        if not self._counts:
            self.finish(self.clock.report(self._job["count"]))
            return
        self.clock = Clock()
        self.send(self._counts.pop(0))


class _Downloader(_Receiver):
    def __init__(self, done: asyncio.Future[Any], job: Job) -> None:
        super().__init__(done)
        self._job = job
        self._sizes = [job["warm"] * job["size"], job["count"] * job["size"]]
        self.left = len(_HELLO)

    def arrived(self) -> None:
        if not self._sizes:
            self.finish(self.clock.report(self._job["count"]))
            return
        self.left = self._sizes.pop(0)
        self.clock = Clock()
        self.transport.write(_GO)


class _Echo(_End, asyncio.Protocol):
    """A server that sends back what it got."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.clock = Clock()
        transport.write(_HELLO)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, why: Exception | None) -> None:
        self.finish(self.clock.report(1))


class _Caller(_End, asyncio.Protocol):
    """Sends a message once the answer to the one before is there."""

    def __init__(self, done: asyncio.Future[Any], job: Job) -> None:
        super().__init__(done)
        self._message, self._job = bytes(job["size"]), job
        self._counts = [job["warm"], job["count"]]
        self._missing, self._left = len(_HELLO), 1

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._missing:
            return
        self._left -= 1
        if not self._left:
            if not self._counts:
                self.finish(self.clock.report(self._job["count"]))
                return
            self.clock = Clock()
            self._left = self._counts.pop(0)
        self._missing = len(self._message)
        self.transport.write(self._message)


class _Greeter(_End, asyncio.Protocol):
    """A server's end of a connection that is made and given up again."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def connection_made(self, transport: Any) -> None:
        transport.write(_HELLO)

    def connection_lost(self, why: Exception | None) -> None:
        self._tell()


class _Greeted(_End, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        self.finish(None)


Factory = Callable[[asyncio.Future[Any]], asyncio.BaseProtocol]


def _serve(contestant: LoopContestant, job: Job, say: Say, factory: Factory) -> Job:
    context = contestant.context(Recipe.of(job["recipe"]), server=True)

    async def main() -> Job:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sock = listener()
        async with serving(context, lambda: factory(done), sock), asyncio.timeout(_LIMIT):
            say({"port": sock.getsockname()[1]})
            return await done  # type: ignore[no-any-return]

    return contestant.run(main())  # type: ignore[no-any-return]


def _client(contestant: LoopContestant, job: Job, work: Callable[[Any], Coroutine[Any, Any, Job]]) -> Job:
    context = contestant.context(Recipe.of(job["recipe"]), server=False)

    async def main() -> Job:
        async with asyncio.timeout(_LIMIT):
            return await work(context)

    return contestant.run(main())  # type: ignore[no-any-return]


async def _connect(context: Any, job: Job, factory: Factory) -> tuple[Any, asyncio.Future[Any]]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    transport, _ = await loop.create_connection(
        lambda: factory(done),
        "127.0.0.1",
        job["port"],
        ssl=context,
        server_hostname=SERVER_NAME if context is not None else None,
    )
    return transport, done


async def _one(context: Any, job: Job, factory: Factory) -> Job:
    """The result of one connection, checked."""
    transport, done = await _connect(context, job, factory)
    suite = _suite(transport, context, job)
    try:
        result: Job = await done
        return result | {"suite": suite}
    finally:
        transport.abort()


def _suite(transport: Any, context: Any, job: Job) -> str | None:
    """The suite of a connection that is what was to be measured."""
    if context is None:
        return None
    suite = transport.get_extra_info("cipher")
    version = transport.get_extra_info("ssl_object").version()
    if not suite or version != job["recipe"]["version"]:
        raise NotTheWork(f"speaks {version}")
    return str(suite[0])


def serve_transfer(contestant: LoopContestant, job: Job, say: Say) -> Job:
    """`count` messages of `size` bytes, from the client where `up`, else to it."""
    end = _Sink if job["up"] else _Source
    return _serve(contestant, job, say, lambda done: end(done, job))


def make_transfer(contestant: LoopContestant, job: Job, say: Say) -> Job:
    end = _Uploader if job["up"] else _Downloader
    return _client(contestant, job, lambda context: _one(context, job, lambda done: end(done, job)))


def serve_echo(contestant: LoopContestant, job: Job, say: Say) -> Job:
    return _serve(contestant, job, say, _Echo)


def make_echo(contestant: LoopContestant, job: Job, say: Say) -> Job:
    """`count` round trips of `size` bytes, one after the other."""
    return _client(contestant, job, lambda context: _one(context, job, lambda done: _Caller(done, job)))


def serve_connections(contestant: LoopContestant, job: Job, say: Say) -> Job:
    """`at_once` connections at any time, each until its client has read a byte."""
    left, clock = job["warm"] + job["count"], Clock()

    def factory(done: asyncio.Future[Any]) -> asyncio.BaseProtocol:
        def lost() -> None:
            nonlocal left, clock
            left -= 1
            if left == job["count"]:
                clock = Clock()
            elif not left and not done.done():
                done.set_result(clock.report(job["count"]))

        return _Greeter(lost)

    return _serve(contestant, job, say, factory)


def make_connections(contestant: LoopContestant, job: Job, say: Say) -> Job:
    async def work(context: Any) -> Job:
        suite = None
        for count in (job["warm"], job["count"]):
            left = iter(range(count))
            clock = Clock()

            async def some(numbers: Any = left) -> None:
                nonlocal suite
                for _ in numbers:
                    transport, done = await _connect(context, job, _Greeted)
                    await done
                    suite = suite or _suite(transport, context, job)
                    transport.abort()

            async with asyncio.TaskGroup() as group:
                for _ in range(job["at_once"]):
                    group.create_task(some())
        return clock.report(count) | {"suite": suite}

    return _client(contestant, job, work)
