"""The timeouts of a loop's connections. Of those of one length, the one that began first ends first: one
timer of the loop's is enough for all."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

_LENGTHS = 64
"""How many lengths a loop remembers."""
_TICK = 0.001
"""uvloop counts in milliseconds."""


class Timeouts:
    """The timeouts of one length, in seconds, on one loop."""

    __slots__ = ("_loop", "_running", "_timer", "length")

    def __init__(self, loop: Any, length: float) -> None:
        self._loop = loop
        self.length = length
        self._running: dict[object, tuple[float, Callable[..., Any], Callable[[], None]]] = {}
        """Whose it is -> when it ends, `run` of the context, what it runs; in the order in which they end."""
        self._timer: Any = None

    @classmethod
    def of(cls, loop: Any, length: float) -> Timeouts:
        """Those of `length` on `loop`, which keeps them."""
        kept: dict[float, Timeouts] = vars(loop).setdefault("_timeouts", {})
        timeouts = kept.get(length)
        if timeouts is None:
            if len(kept) >= _LENGTHS:
                kept.clear()  # the timer keeps those that run
            timeouts = kept[length] = cls(loop, length)
        return timeouts

    def begin(self, owner: object, ended: Callable[[], None], context: Context | None) -> None:
        """Calls `ended` after that time, in `context`, unless `end` comes before; one for each `owner`."""
        if self._timer is None:
            self._arm(self.length)
        run = (copy_context() if context is None else context).run
        self._running[owner] = self._loop.time() + self.length, run, ended

    def end(self, owner: object) -> None:
        """Forgets what was begun for `owner`. The timer goes on: others will begin, and it ends by itself."""
        self._running.pop(owner, None)

    def _arm(self, seconds: float) -> None:
        # In an empty context: it is no one connection's.
        self._timer = Context().run(self._loop.call_later, seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        if not self._running:
            return
        owner, (when, run, ended) = next(iter(self._running.items()))
        left = when - self._loop.time()
        if left > _TICK:
            self._arm(left)
            return
        del self._running[owner]
        if self._running:
            self._arm(0)
        run(ended)
