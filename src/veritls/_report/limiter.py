"""How many lines of one kind a log gets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

BURST = 10
"""Lines of one kind that are logged at once."""
EVERY = 6.0
"""Seconds after which one more is."""
MOST_KINDS = 256
"""Kinds that are counted each for itself; what comes then is counted together."""


class Limiter:
    """How many lines of each kind are logged: `BURST` at once, then one every `EVERY` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._kinds: dict[Hashable, tuple[float, float, int]] = {}
        """Of each kind: the lines that may be logged now, when that was counted, how many were held back."""

    def __len__(self) -> int:
        return len(self._kinds)

    def admit(self, key: Hashable) -> int | None:
        """None where this line is to be held back; else how many were since the last one of its kind."""
        with self._lock:
            place = key if key in self._kinds or len(self._kinds) < MOST_KINDS else None
            now = self._clock()
            room, counted, held = self._kinds.get(place, (float(BURST), now, 0))
            room = min(float(BURST), room + max(0.0, now - counted) / EVERY)
            if room < 1:
                self._kinds[place] = room, now, held + 1
                return None
            self._kinds[place] = room - 1, now, 0
            return held
