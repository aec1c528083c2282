"""What the metrics have in common, whoever collects them.

Theory of operation
===================

**Labels.** None is text that a peer chose: a name or a subject is in the log and in events, not here. Each is
a word of a list of this library; any other word is counted as "other". So are the sources that are met after
the first `MOST_SOURCES`, whose names the program chose.

**Sources.** A context ends to follow a source without a word, for example when it is collected. So what is
still followed is asked for at a scrape, and when another event comes; the gauges of other sources go.

**Locks.** One lock is held while an event is counted, and across a fork: the locks of the library that
counts, of which a forked child could inherit a held one, are free then. A handshake that a signal handler
makes while its thread holds the lock is not counted: the handler would wait for what it interrupted.
"""

from __future__ import annotations

import os
import threading
from _thread import get_ident
from collections.abc import Collection, Iterator, Set
from contextlib import contextmanager
from types import TracebackType
from typing import Self, get_args

from veritls._connection.kinds import FAILURES as FAILURES, KINDS as KINDS
from veritls._context.cipher_suites import VERSIONS
from veritls._context.watching import followed as followed
from veritls._report.rendering import plain
from veritls._value import shown_in
from veritls.events import AccessEvent, AccessKind, Event, HandshakeEvent, MaterialEvent, Outcome, subscribe
from veritls.events.material import Kind

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: the upper ends of a histogram's buckets. A local handshake takes less than a millisecond."""

MOST_SOURCES = 100
LONGEST = 200
"""Characters of a source's name."""

MATERIAL_KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES = frozenset(("client", "server"))
OUTCOMES = frozenset(get_args(Outcome))
SCOPES = frozenset(("http", "websocket"))
ACCESS_KINDS = frozenset(get_args(AccessKind))
VERSION_WORDS = frozenset(VERSIONS.values())

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def word(value: str | None, known: Collection[str]) -> str:
    """`value` if it is a known one, "" for None, else "other"."""
    return "" if value is None else value if value in known else "other"


@shown_in("veritls.events")
class Exporting:
    """A listener of the whole process, from `_subscribe` to `close`; a context manager.

    `closed`: whether it was closed.
    """

    def __init__(self) -> None:
        self.closed = False
        self._sources: set[str] = set()
        self._shown: set[str] = set()
        self._owner: int | None = None

    def _count_handshake(self, event: HandshakeEvent) -> None:
        raise NotImplementedError  # each library counts in its own way

    def _count_access(self, event: AccessEvent) -> None:
        raise NotImplementedError  # each library counts in its own way

    def _count_material(self, event: MaterialEvent, source: str) -> None:
        raise NotImplementedError  # each library counts in its own way

    def _forget(self, source: str) -> None:
        """No context follows it any more."""
        raise NotImplementedError  # each library counts in its own way

    def _end(self) -> None:
        """What else `close` does."""

    def _subscribe(self) -> Self:
        self._subscription = subscribe(self._hear)
        return self

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock, in a thread that does not hold it."""
        with _lock:
            self._owner = get_ident()
            try:
                yield
            finally:
                self._owner = None

    def _hear(self, event: Event) -> None:
        with _lock:
            if self._owner == get_ident():
                return
            self._owner = get_ident()
            try:
                if isinstance(event, HandshakeEvent):
                    self._count_handshake(event)
                elif isinstance(event, AccessEvent):
                    self._count_access(event)
                else:
                    source = self._source(event.source)
                    self._forget_ended({source, *followed()})
                    self._count_material(event, source)
            finally:
                self._owner = None

    def _forget_ended(self, present: Set[str]) -> None:
        for source in self._shown - present:
            self._shown.discard(source)
            self._forget(source)

    def _source(self, name: str) -> str:
        name = plain(name, LONGEST)
        if name in self._sources or len(self._sources) < MOST_SOURCES:
            self._sources.add(name)
            self._shown.add(name)
            return name
        return "other"

    def close(self) -> None:
        """Ends the counting, and takes the metrics back. A second call does nothing."""
        with _lock:
            if self.closed:
                return
            self.closed = True
        self._subscription.close()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
