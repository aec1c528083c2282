"""A server of many connections, on an event loop or with a thread for each: it sends back what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from bench.contestants import Contestant
from bench.loops import LoopContestant, listener, serving
from bench.recipe import Recipe
from bench.work import Job, Say
from bench.work.blocking import GREETING, SAW_CERTIFICATE, Server, fill

_LIMIT = 300.0


class Count:
    """How many connections have had an answer, and how many have ended.

    The greetings of the first `looked_at` connections tell whether their clients have shown a certificate: to
    look costs a connection memory.
    """

    def __init__(self, looked_at: int) -> None:
        self.answered = self.ended = 0
        self._looked_at = looked_at
        self._changed = threading.Condition()

    def add(self, *, answered: int = 0, ended: int = 0) -> None:
        with self._changed:
            self.answered += answered
            self.ended += ended
            self._changed.notify_all()

    def another(self) -> bool:
        """A new connection. Returns whether it is one to look at."""
        with self._changed:
            self._looked_at -= 1
            return self._looked_at >= 0

    def wait(self, *, answered: int = 0, ended: int = 0) -> None:
        """Until there are as many of both. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.answered >= answered and self.ended >= ended, _LIMIT):
                raise TimeoutError(f"{self.answered} connections were answered, {self.ended} have ended")


Work = Callable[[Count], Job]
"""What is done while the server serves, in a thread that may wait; its result is the job's."""


class _Echo(asyncio.Protocol):
    def __init__(self, count: Count) -> None:
        self._count, self._answered = count, False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        flags = SAW_CERTIFICATE if self._count.another() and _shown(transport) else 0
        transport.write(bytes([GREETING + flags]))

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)
        if not self._answered:
            self._answered = True
            self._count.add(answered=1)

    def connection_lost(self, why: Exception | None) -> None:
        self._count.add(ended=1)


def _shown(transport: Any) -> bool:
    tls = transport.get_extra_info("ssl_object")
    return tls is not None and bool(tls.getpeercert(binary_form=True))


def serve(
    contestant: Contestant | LoopContestant, job: Job, say: Say, work: Work, looked_at: int, **more: Any
) -> Job:
    """Serves while `work` runs. `more`: what the server says besides its port."""
    count = Count(looked_at)
    if isinstance(contestant, LoopContestant):
        return _on_loop(contestant, job, say, work, count, more)
    return _with_threads(contestant, job, say, work, count, more)


def _on_loop(contestant: LoopContestant, job: Job, say: Say, work: Work, count: Count, more: Job) -> Job:
    context = contestant.context(Recipe.of(job["recipe"]), server=True)

    async def main() -> Job:
        sock = listener()
        async with serving(context, lambda: _Echo(count), sock):
            say({"port": sock.getsockname()[1]} | more)
            return await asyncio.get_running_loop().run_in_executor(None, work, count)

    return contestant.run(main())  # type: ignore[no-any-return]


def _with_threads(contestant: Contestant, job: Job, say: Say, work: Work, count: Count, more: Job) -> Job:
    with Server(contestant, job, say, **more) as server:
        accepting = threading.Thread(target=_accept, args=(server, job["size"], count), daemon=True)
        accepting.start()
        result = work(count)
        server.stop()
        accepting.join()
    return result


def _accept(server: Server, size: int, count: Count) -> None:
    with contextlib.suppress(OSError):
        while True:
            plain = server.plain()
            threading.Thread(target=_live, args=(server, plain, size, count), daemon=True).start()


def _live(server: Server, plain: socket.socket, size: int, count: Count) -> None:
    buffer, answered = bytearray(size), 0
    with contextlib.suppress(OSError, EOFError), contextlib.ExitStack() as stack:
        connection = stack.enter_context(contextlib.closing(server.greet(plain, thorough=count.another())))
        while True:
            fill(connection, buffer, size)
            connection.sendall(buffer)
            if not answered:
                answered = 1
                count.add(answered=1)
    count.add(ended=1)
