"""The thread that keeps ticket keys current: one for each TicketKeys of a file or a Redis, and process.

It ends with the TicketKeys. A forked child has the keys at hand, and starts a thread of its own. A handshake
never waits for it: it takes the keys that are there.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from queue import Empty, SimpleQueue

from veritls import _engine
from veritls._report.rendering import plain

logger = logging.getLogger("veritls.tickets")

FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds until what failed is tried again: doubled each time, up to the last."""
AT_FIRST = 1.0
"""Seconds for which the first look may hold up the program at most."""
LONGEST_REASON = 300


def reason(error: BaseException) -> str:
    """What failed, in a line of a log: a server chose its words."""
    return plain(f"{type(error).__name__}: {error}", LONGEST_REASON)


class Refresher:
    """Looks again and again for what a keyring is to hold. `look` is what kinds differ in."""

    def __init__(self, keyring: _engine.TicketKeyring) -> None:
        self.keyring = keyring
        self._failures = 0
        self._looked = threading.Event()
        self._wake: SimpleQueue[None] = SimpleQueue()

    def look(self) -> None:
        """Holds what is there. Raises whatever says why that cannot be had."""
        raise NotImplementedError  # a file and Redis have their own

    def pause(self) -> float:
        """Seconds until the next look after one that succeeded."""
        raise NotImplementedError  # a file and Redis have their own

    def failed(self, error: Exception) -> None:
        """Called after each look that failed."""
        raise NotImplementedError  # a file and Redis have their own

    def recovered(self) -> None:
        """Called after the first look that succeeded since one failed."""
        raise NotImplementedError  # a file and Redis have their own

    def start(self, *, wait: float = AT_FIRST) -> None:
        """Starts the thread, and gives its first look `wait` seconds."""
        _running.add(self)
        self.begin()
        self._looked.wait(wait)

    def begin(self) -> None:
        """Starts the thread: in the first process, and again in each process forked from it."""
        self._looked = threading.Event()
        wake = self._wake = SimpleQueue()
        # A queue may be put into amid anything, where an Event's lock may be held by the thread that puts.
        mine = weakref.ref(self, lambda _: wake.put(None))
        thread = threading.Thread(target=_run, args=(mine, wake), name="veritls ticket keys", daemon=True)
        thread.start()

    def round(self) -> float:
        """One look; returns the seconds until the next one."""
        try:
            self.look()
        except Exception as error:
            self._failures += 1
            self.failed(error)
            backoff: float = min(LAST_RETRY, FIRST_RETRY * 2 ** min(self._failures - 1, 10))
            return min(backoff, max(self.pause(), FIRST_RETRY))
        finally:
            self._looked.set()
        if self._failures:
            self._failures = 0
            self.recovered()
        return self.pause()


def _run(mine: weakref.ref[Refresher], wake: SimpleQueue[None]) -> None:
    while True:
        refresher = mine()
        if refresher is None or refresher._wake is not wake:
            return
        wait = refresher.round()
        del refresher
        try:
            wake.get(timeout=wait)
        except Empty:
            continue


_running: weakref.WeakSet[Refresher] = weakref.WeakSet()


def _after_fork() -> None:
    """A forked process has the keys, but not the threads that renew them."""
    for refresher in list(_running):
        refresher.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
