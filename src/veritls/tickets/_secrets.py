"""Secrets as they are kept, and the time for which they count."""

from __future__ import annotations

from veritls._value import TicketSecret

EPOCH = 2 * 60 * 60
"""Seconds of an epoch, unless `rotate_every` says otherwise."""
LAST_EPOCH = (1 << 32) - 1
BACK, AHEAD = 3, 1
"""Epochs before the present one, and after it, whose tickets are opened; the engine's numbers."""
SHORTEST = 32
"""Bytes of a secret at least."""


def hidden(value: object) -> TicketSecret:
    """The same bytes, which nothing shows. Raises TypeError for anything but bytes."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"a secret must be bytes, not {type(value).__name__}")
    return TicketSecret(value)


def as_secret(secret: TicketSecret) -> TicketSecret:
    """A secret as it is kept. Raises ValueError for fewer than 32 bytes."""
    if len(secret) < SHORTEST:
        raise ValueError(f"a secret must be of at least {SHORTEST} random bytes, not {len(secret)}")
    return secret
