"""Ticket keys of a fleet whose epochs have salts in a Redis."""

from __future__ import annotations

import os
import random
import time

from veritls import _engine
from veritls._value import TicketSecret
from veritls.tickets._refreshing import Refresher, logger, reason
from veritls.tickets._salts import SALT, Salts
from veritls.tickets._secrets import AHEAD, BACK, LAST_EPOCH

LONGEST_PAUSE = 300.0
"""Seconds between two looks at most."""
MOST_OF_AN_EPOCH = 2
"""Salts that are held of one epoch: a Redis that was flushed has another than its members."""


class NoSalt(Exception):
    """What Redis has for an epoch is no salt."""


class RedisRefresher(Refresher):
    """Holds the secrets of the epochs that count, and one of this process's own for when there is none."""

    def __init__(
        self, keyring: _engine.TicketKeyring, salts: Salts, secret: TicketSecret, period: int
    ) -> None:
        super().__init__(keyring)
        self._salts, self._secret, self._period = salts, secret, period
        self._local = TicketSecret.drawn()
        self._held: dict[int, list[bytes]] = {}
        """Of each epoch, the newest first."""
        self._told_local = False
        self._hold(self._epoch())

    def _epoch(self) -> int:
        return min(int(time.time()) // self._period, LAST_EPOCH - AHEAD)

    def look(self) -> None:
        now = self._epoch()
        offered: dict[int, bytes | None] = {}
        for epoch in range(max(0, now - BACK), now + AHEAD + 1):
            held = self._held.get(epoch)
            # What is at hand goes back into a Redis that has lost it.
            offered[epoch] = held[0] if held else os.urandom(SALT) if epoch >= now else None
        try:
            found = self._salts.exchange(offered, time.time())
            wrong = [epoch for epoch, salt in found.items() if len(salt) != SALT]
            for epoch in offered:
                if epoch in found and epoch not in wrong:
                    others = [salt for salt in self._held.get(epoch, []) if salt != found[epoch]]
                    self._held[epoch] = [found[epoch], *others][:MOST_OF_AN_EPOCH]
        finally:
            self._hold(now)
        if wrong or now not in found:
            raise NoSalt(f"what it has for epoch {wrong[0] if wrong else now} is no salt")

    def _hold(self, now: int) -> None:
        self._held = {
            epoch: salts for epoch, salts in self._held.items() if now - BACK <= epoch <= now + AHEAD
        }
        shared = [
            (self._secret, salt, epoch, epoch)
            for epoch, salts in sorted(self._held.items())
            for salt in salts
        ]
        self.keyring.hold([*shared, (self._local, None, 0, LAST_EPOCH)])

    def pause(self) -> float:
        # Spread, so that a fleet that was started at once does not ask at once.
        return min(LONGEST_PAUSE, self._period / 8) * random.uniform(0.75, 1.0)

    def failed(self, error: Exception) -> None:
        name, has = self._salts.name, self._epoch() in self._held
        if self._failures == 1 and has:
            logger.warning(
                "The Redis at %s has no salts for ticket keys, those at hand go on: %s", name, reason(error)
            )
        if not has and not self._told_local:
            self._told_local = True
            logger.warning(
                "The Redis at %s has no salts for ticket keys, tickets of this process open in no other: %s",
                name,
                reason(error),
            )

    def recovered(self) -> None:
        self._told_local = False
        logger.info("The Redis at %s has salts for ticket keys again", self._salts.name)
