"""What a transport and its two parts share of one connection: its phase, and what the loop is told of its
socket."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from veritls import _engine

served: contextvars.ContextVar[Callable[[], Any] | None] = contextvars.ContextVar("served", default=None)
"""A weak reference to the transport whose `connection_made` runs, on a server, in that call and in the tasks
that it makes."""


class Phase(IntEnum):
    """Where a connection is; it only goes forward.

    ========== ============================ =====================================
    from       to                           when
    ========== ============================ =====================================
    HANDSHAKE  OPEN                         the handshake is done
    OPEN       FLUSHING                     `close`
    FLUSHING   LINGERING                    all that was written is with the kernel
    LINGERING  LOST                         both close_notify have passed
    any        LOST                         an error, a timeout, `abort`
    ========== ============================ =====================================
    """

    HANDSHAKE = 0
    OPEN = 1
    FLUSHING = 2
    """`close` was called; what was written before goes out."""
    LINGERING = 3
    """Our close_notify went out; the peer's is awaited, so that our last bytes are not lost to a reset."""
    LOST = 4


def within(context: contextvars.Context | None, callback: Any, *args: Any) -> functools.partial[Any]:
    """The call of `callback` with `args`, in `context` where there is one."""
    if context is None:
        return functools.partial(callback, *args)
    return functools.partial(context.run, callback, *args)


class Connection:
    """One connection of a loop. The transport moves its `phase`; the parts read it.

    Watches the socket in each direction at most once: to tell the loop again costs as much as the first time.
    """

    __slots__ = ("_reading", "_writing", "context", "fd", "loop", "phase", "stream")

    def __init__(
        self, loop: Any, stream: _engine.EventLoopStream, fd: int, context: contextvars.Context | None
    ) -> None:
        """`context`: where callbacks run; None: where the loop would run them."""
        self.loop = loop
        self.stream = stream
        self.fd = fd
        self.context = context
        self.phase = Phase.HANDSHAKE
        self._reading = False
        self._writing = False

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        """Calls `callback` in the next iteration of the loop."""
        self.loop.call_soon(callback, *args, context=self.context)

    def _in_context(self, callback: Callable[[], None]) -> Callable[[], None]:
        """`callback` for a loop's `_add_reader` and `_add_writer`, which before 3.15 take no context."""
        return callback if self.context is None else within(self.context, callback)

    def add_reader(self, callback: Callable[[], None]) -> None:
        """Calls `callback` whenever the socket is readable. A second call changes nothing."""
        if not self._reading:
            self._reading = True
            self.loop._add_reader(self.fd, self._in_context(callback))

    def remove_reader(self) -> None:
        """Undoes `add_reader`."""
        if self._reading:
            self._reading = False
            self.loop._remove_reader(self.fd)

    def add_writer(self, callback: Callable[[], None]) -> None:
        """Calls `callback` whenever the socket is writable. A second call changes nothing."""
        if not self._writing:
            self._writing = True
            self.loop._add_writer(self.fd, self._in_context(callback))

    def remove_writer(self) -> None:
        """Undoes `add_writer`."""
        if self._writing:
            self._writing = False
            self.loop._remove_writer(self.fd)

    def unwatch(self) -> None:
        """Watches neither direction, and drops a reader that another transport left on the descriptor."""
        self._reading = False
        self.loop._remove_reader(self.fd)
        self.remove_writer()
