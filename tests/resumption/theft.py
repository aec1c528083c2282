"""What a thief does with sessions of `ssl`, which the module does not offer: OpenSSL's memory by ctypes."""

from __future__ import annotations

import _ssl
import ctypes
from collections.abc import Callable
from typing import Any

_OPENSSL = ctypes.CDLL(_ssl.__file__)
_GET0_TICKET = _OPENSSL.SSL_SESSION_get0_ticket
_GET0_TICKET.restype = None


def _pointer(session: Any) -> ctypes.c_void_p:
    """Where an ssl.SSLSession keeps its SSL_SESSION: the first member of its own."""
    return ctypes.c_void_p.from_address(id(session) + object.__basicsize__)


def exchange(one: Any, other: Any) -> None:
    """Each of two sessions, of different contexts, becomes the other."""
    ours, theirs = _pointer(one), _pointer(other)
    ours.value, theirs.value = theirs.value, ours.value


def rewrite(session: Any, change: Callable[[bytes], bytes]) -> None:
    """Replaces the ticket of `session` by one of the same length."""
    place, length = ctypes.c_void_p(), ctypes.c_size_t()
    _GET0_TICKET(_pointer(session), ctypes.byref(place), ctypes.byref(length))
    assert place.value is not None
    changed = change(ctypes.string_at(place.value, length.value))
    assert len(changed) == length.value
    ctypes.memmove(place.value, changed, length.value)


def ticket(session: Any) -> bytes:
    """What a passive observer sees when `session` is offered."""
    found: list[bytes] = []

    def look(seen: bytes) -> bytes:
        found.append(seen)
        return seen

    rewrite(session, look)
    return found[0]
