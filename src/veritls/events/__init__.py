"""What happened: the end of each handshake, what became of certificates, and requests that were refused
because of their peer, told once to every listener.

A listener is a callable that takes an event. `subscribe` has it hear all events of the process, each a
`HandshakeEvent`, a `MaterialEvent` or an `AccessEvent`, those of contexts that `inject` made for others' code
included; `SSLContext.on_handshake` the handshakes of one context. It hears of connections that are made after
it subscribed. It is called where the handshake ended: in the thread of the call that did it, holding no lock;
on an event loop in the loop's thread, before the protocol is told. So a slow one holds up that thread, or
that loop; `Queue` is a listener that never does.

An SSLObject (`wrap_bio`) that is let go of within its handshake is told of when the process makes its next
connection: its finalizer could run amid anything.

What a listener raises is reported to `sys.unraisablehook`, and the connection goes on; KeyboardInterrupt and
SystemExit end the program as anywhere else. It may subscribe, unsubscribe, and close the connection. For
handshakes that it makes itself, in the same thread, it is not called. A forked process inherits listeners.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty as Empty, SimpleQueue
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from veritls import _engine
from veritls.events.access import AccessEvent as AccessEvent, AccessKind as AccessKind
from veritls.events.identity import PeerIdentity as PeerIdentity
from veritls.events.material import (
    MaterialEvent as MaterialEvent,
    MaterialItem as MaterialItem,
    MaterialOutcome as MaterialOutcome,
    MaterialStatus as MaterialStatus,
)

__all__ = [
    "AccessEvent",
    "AccessKind",
    "Event",
    "HandshakeEvent",
    "Listener",
    "MaterialEvent",
    "MaterialItem",
    "MaterialOutcome",
    "MaterialStatus",
    "Outcome",
    "PeerIdentity",
    "Queue",
    "Subscription",
    "subscribe",
]

Outcome: TypeAlias = Literal[
    "completed",
    "refused",
    "refused_by_peer",
    "refused_late",
    "probe",
    "gone",
    "timeout",
    "closed",
    "failed",
]
"""How a handshake ended.

`completed`: the peers have agreed, and this side accepted the other. `refused`: this side refused the peer.
`refused_by_peer`: the peer sent an alert. `refused_late`: a TLS 1.3 server refused this client by an alert
after the client's handshake was completed; it comes with the first read or write, in a second event, and is
not another handshake. `probe`: to a server, a peer that sent no byte, or no TLS. `gone`: the peer ended the
connection, or the network did. `timeout`: the time for it was over. `closed`: this side closed the
connection. `failed`: this side could not go on, for want of memory or by a fault of its own.
"""


@dataclass(frozen=True)
class HandshakeEvent:
    """The end of one handshake.

    `side`: "client" or "server", what this side is. `outcome`: see `Outcome`. `kind`: of what was not
    completed, one word of a bounded list: the kind of a report, the name of an alert (RFC 8446, section 6),
    else the reason of the exception in lower case. `sentence`: why, for people, printable and of at most 500
    characters. Both are None where it was completed.

    `peer_address`: as the socket has it, None where there is no socket (`wrap_bio`). `server_name`: the name
    that a client connects to, or asks a server for. `version`, `suite`, `group`: as far as they were agreed
    on, else None. `resumed`: whether a session was; None where that was not decided. `duration`: seconds
    since its first step, None where there was none. `peer_identity`: None where the handshake was not
    completed, and where no certificate was validated. `generation`: `SSLContext.generation` of the settings
    that the connection was made with. `time`: when it ended, in seconds since 1970.
    """

    side: Literal["client", "server"]
    outcome: Outcome
    kind: str | None
    sentence: str | None
    peer_address: Any
    server_name: str | None
    version: str | None
    suite: str | None
    group: str | None
    resumed: bool | None
    duration: float | None
    peer_identity: PeerIdentity | None
    generation: int
    time: float


Event: TypeAlias = HandshakeEvent | MaterialEvent | AccessEvent
"""What a listener of `subscribe` gets."""

Listener: TypeAlias = Callable[[HandshakeEvent], object]
"""Called with each handshake's event; its result is ignored."""


class Subscription:
    """What `subscribe` and `SSLContext.on_handshake` return, to take the listener back; a context manager.

    `listener`: the listener. `closed`: whether it was taken back.
    """

    __slots__ = ("_forget", "_threads", "closed", "listener")

    def __init__(self, listener: Callable[[Any], object], forget: Callable[[Subscription], object]) -> None:
        if not callable(listener):
            raise TypeError(f"a listener must be callable, not {type(listener).__name__}")
        self.listener = listener
        self.closed = False
        self._forget = forget
        self._threads: set[int] = set()

    def close(self) -> None:
        """Takes the listener back: no call of it begins any more. A second call does nothing."""
        self.closed = True
        self._forget(self)

    def _tell(self, event: Event) -> None:
        thread = get_ident()
        if self.closed or thread in self._threads:
            return
        self._threads.add(thread)
        try:
            self.listener(event)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            _engine.report_unraisable(error, self.listener)
        finally:
            self._threads.discard(thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Subscription of {self.listener!r}{', closed' if self.closed else ''}>"


def _forget(subscription: Subscription) -> None:
    while True:
        present = _engine.listeners.get()
        rest = tuple(each for each in present if each is not subscription)
        if _engine.listeners.replace(present, rest):
            return


def subscribe(listener: Callable[[Event], object]) -> Subscription:
    """Has `listener` hear all events of this process: those of handshakes of connections that are made from
    now on, and of what becomes of certificates, keys and CRLs.

    Subscribed twice, it is called twice. Any thread may call it. Raises TypeError for what is not callable.
    """
    subscription = Subscription(listener, _forget)
    while True:
        present = _engine.listeners.get()
        if _engine.listeners.replace(present, (*present, subscription)):
            return subscription


class Queue:
    """A listener that keeps up to `maxsize` events until they are taken, and counts those that find no room.

    It never waits, and never fails. Any thread may take events. Raises ValueError where `maxsize` is less
    than 1.
    """

    def __init__(self, maxsize: int) -> None:
        if maxsize < 1:
            raise ValueError(f"maxsize must be at least 1, not {maxsize}")
        self._maxsize = maxsize
        self._events: SimpleQueue[Event] = SimpleQueue()
        # Counted by swaps: there is no lock that a signal handler or a forked child could wait for.
        self._kept: _engine.Cell[int] = _engine.Cell(0)
        self._dropped: _engine.Cell[int] = _engine.Cell(0)

    @staticmethod
    def _count(cell: _engine.Cell[int], step: int, most: int | None = None) -> bool:
        while True:
            present = cell.get()
            if most is not None and present >= most:
                return False
            if cell.replace(present, present + step):
                return True

    def __call__(self, event: Event) -> None:
        """Keeps `event`, or drops it."""
        if self._count(self._kept, 1, self._maxsize):
            self._events.put(event)
        else:
            self._count(self._dropped, 1)

    def get(self, timeout: float | None = None) -> Event:
        """The oldest event. `timeout`: seconds to wait for one; None waits for ever, 0 not at all.

        Raises `queue.Empty` where none has come.
        """
        event = self._events.get(timeout=timeout) if timeout != 0 else self._events.get_nowait()
        self._count(self._kept, -1)
        return event

    @property
    def dropped(self) -> int:
        """How many events found no room."""
        return self._dropped.get()

    def __len__(self) -> int:
        return self._kept.get()

    def __bool__(self) -> bool:
        return True
