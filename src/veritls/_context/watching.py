"""The thread that watches a source: one for each source and process, for all contexts that follow it.

Theory of operation
-------------------

**Who is there.** The registry has the watcher of each source that is followed. It starts with the first
follower, and ends when none is left; what decides is whether a context's settings name the follower. So a
context that is collected, follows another source, or none, is left out without being asked.

**The lock.** `load` is called by one thread at a time: the watcher's, or one that begins to follow. Nobody
else waits for it. `follow(None)` does not: what a load gives afterwards finds no follower.

**A fork.** The child has the registry, and none of the threads; a lock may be held by one of them. Each
watcher gets new locks and a thread there.

**Pace.** The source says when there may be something new; the watcher looks every `PERIOD` in any case. A
source that says so all the time, and has nothing new, is asked once a second; no source is asked more often
than 200 times. After a failure the next try
is after `FIRST_RETRY`, then twice as long each time, up to `LAST_RETRY`, or when the source says so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from veritls import _engine
from veritls._context.material import Prepared, prepared
from veritls._report.rendering import plain
from veritls.events.material import Kind
from veritls.sources.source import Material, Source

PERIOD = 10.0
"""Seconds after which a source is read again in any case."""
FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds until a load that failed is tried again: doubled each time, up to the last."""
UNSETTLED_RETRY = 0.25
"""The same for a source that has patience, while that lasts."""
SHORTEST = 0.005
"""Seconds from one load to the next, whatever the source says."""
LEAST, MOST = 0.05, 1.0
"""Seconds between two loads that found nothing new: doubled each time, up to the last."""


def clock() -> float:
    """Seconds that only grow, also while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot) if boot is not None else time.monotonic()


def name_of(source: object) -> str:
    """A source's name, printable and bounded."""
    try:
        name = getattr(source, "name", None)
    except Exception:
        name = None
    return plain(name) if isinstance(name, str) and name else plain(type(source).__name__)


class Loaded:
    """What one load gave: a set, or what was raised; and when it began."""

    def __init__(self, load: Callable[[], Material], prepare: Callable[[Material], Prepared]) -> None:
        self.began = clock()
        self.prepared: Prepared | None = None
        self.error: BaseException | None = None
        try:
            material = load()
        except BaseException as error:
            self.error = error
            return
        try:
            self.prepared = prepare(material)
        except BaseException as error:
            # The frames that it came from hold keys.
            error.__context__ = error.__cause__ = None
            self.error = error.with_traceback(None)


class Follows(Protocol):
    """What a watcher needs of one that follows."""

    provides: frozenset[Kind]

    def alive(self) -> bool: ...
    def take(self, loaded: Loaded) -> Any: ...
    def failed(self, error: BaseException) -> Any: ...
    def after(self, taken: Any, *, told: bool) -> None: ...
    def hurry(self) -> float: ...


class _Stop(threading.Event):
    """An event that a collected context's weak reference may set, amid anything in the same thread."""

    _cond: threading.Condition

    def __init__(self) -> None:
        super().__init__()
        self._cond = threading.Condition(threading.RLock())


class Watcher:
    """Watches one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.name = name_of(source)
        self._followers: tuple[Follows, ...] = ()
        self._joining = 0
        self._failures = 0
        self._failing_since: float | None = None
        self.renew()

    def renew(self) -> None:
        """New locks: the threads that held the old ones are not there, or there are none yet."""
        self._stop = _Stop()
        self.loading = threading.RLock()
        self._runs = False

    def load(self, provides: frozenset[Kind]) -> Loaded:
        """One load, as soon as no other thread loads."""
        with self.loading:
            return Loaded(self.source.load, lambda material: prepared(material, provides, self.name))

    def add(self, follower: Follows) -> bool:
        """Watches for `follower`, too; whether there were others."""
        with _registry:
            others = self._followers
            self._followers = (*others, follower)
            return bool(others)

    def wake(self) -> None:
        """Has the thread look who is left. May be called amid anything."""
        self._stop.set()

    def begin(self) -> None:
        """Starts the thread. Raises RuntimeError where there can be none."""
        name = f"veritls watcher {self.name}"
        threading.Thread(target=self._run, args=(self._stop,), name=name, daemon=True).start()
        self._runs = True

    def _run(self, stop: threading.Event) -> None:
        with self.loading:  # the first follower loads
            pass
        pause, changed = 0.0, True
        while True:
            try:
                if not self._goes_on(stop):
                    return
                pause, changed = self._turn(stop, pause, changed)
            except BaseException as error:  # whatever a source does, the thread goes on
                _engine.report_unraisable(error, self.source)
                stop.wait(MOST)

    def _turn(self, stop: threading.Event, pause: float, changed: bool) -> tuple[float, bool]:
        """Waits, and loads. `pause`, `changed`: of the turn before; returns those of this one."""
        timeout, before = self._timeout(), time.monotonic()
        fault = self._wait(stop, timeout)
        spent = time.monotonic() - before
        pause = SHORTEST if changed or spent >= timeout else min(MOST, max(LEAST, 2 * pause))
        if fault is not None:
            pause = timeout if self._failures else SHORTEST
        if pause > spent and not stop.is_set():
            stop.wait(pause - spent)
        elif spent < SHORTEST:
            time.sleep(SHORTEST - spent)  # the source may have set it
        return pause, self._goes_on(stop) and self._round(fault)

    def _goes_on(self, stop: threading.Event) -> bool:
        with _registry:
            if stop is not self._stop:
                return False
            if not self._joining:
                self._followers = tuple(each for each in self._followers if each.alive())
            if not (self._followers or self._joining):
                self._runs = False
                _watchers.pop(id(self.source), None)
                return False
            stop.clear()
            return True

    def _timeout(self) -> float:
        shortest = min((each.hurry() for each in self._followers), default=PERIOD)
        if not self._failures:
            return min(PERIOD, shortest)
        if self._patient():
            return UNSETTLED_RETRY
        backoff: float = min(LAST_RETRY, FIRST_RETRY * 2 ** min(self._failures - 1, 10))
        return min(backoff, max(shortest, FIRST_RETRY)) if shortest < PERIOD else backoff

    def _patient(self) -> bool:
        """Whether what fails is not to be told yet."""
        patience, since = getattr(self.source, "patience", 0), self._failing_since
        return isinstance(patience, int | float) and since is not None and time.monotonic() - since < patience

    def _wait(self, stop: threading.Event, timeout: float) -> BaseException | None:
        try:
            self.source.wait(stop, timeout)
        except BaseException as error:
            return error
        return None

    def _round(self, fault: BaseException | None) -> bool:
        """One load for all; whether there was anything new. `fault`: what the wait before raised, which is a
        failure, though what is loaded is taken over."""
        with self.loading:
            sets: dict[frozenset[Kind], Loaded] = {}
            results: list[tuple[Follows, Any]] = []
            for follower in self._followers:
                if follower.provides not in sets:
                    sets[follower.provides] = self.load(follower.provides)
                taken = follower.take(sets[follower.provides])
                results.append((follower, taken if fault is None else follower.failed(fault)))
        failed = any(taken.error is not None for _, taken in results)
        if failed and self._failing_since is None:
            self._failing_since = time.monotonic()
        told = failed and not self._patient()
        if not failed:
            self._failures, self._failing_since = 0, None
        else:
            self._failures = self._failures + 1 if told else 1
        for follower, taken in results:
            try:
                follower.after(taken, told=told)
            except BaseException as error:
                _engine.report_unraisable(error, self.source)
        return any(taken.changed for _, taken in results)


_registry = threading.RLock()
_watchers: dict[int, Watcher] = {}
"""By the id of its source, which the watcher keeps alive."""


def followed() -> frozenset[str]:
    """The names of the sources that contexts follow now."""
    return frozenset(
        watcher.name
        for watcher in list(_watchers.values())
        if watcher._joining or any(each.alive() for each in watcher._followers)
    )


class Joining:
    """While one begins to follow: the watcher of the source is there, with its thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._held: Any = None

    def __enter__(self) -> Watcher:
        with _registry:
            watcher = _watchers.get(id(self._source))
            if watcher is None:
                watcher = Watcher(self._source)
            if not watcher._runs:
                # The thread waits for this: a source that has loaded nothing may not know what to wait for.
                self._held = watcher.loading
                self._held.acquire()
                try:
                    watcher.begin()
                except BaseException:
                    self._held.release()
                    raise
            self._watcher = _watchers[id(self._source)] = watcher
            watcher._joining += 1
        return watcher

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with _registry:
            self._watcher._joining = max(0, self._watcher._joining - 1)
        if self._held is not None:
            self._held.release()
        if kind is not None:
            self._watcher.wake()


def _after_fork() -> None:
    """A forked process has the followers, but not the threads that watch for them."""
    global _registry
    _registry = threading.RLock()
    for watcher in list(_watchers.values()):
        watcher._joining = 0
        watcher.renew()
        watcher.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
