"""OCSP responses fetched in the background, ahead of their expiry."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cryptography import x509

from veritls import _engine

OCSPRenewal: TypeAlias = Callable[[x509.Certificate, x509.Certificate | None], bytes | None]
"""Fetches a response (DER): called with a certificate and its issuer's, or None where that is not known."""

Period: TypeAlias = tuple[int, int]
"""The validity of a response: from and until, in seconds since 1970."""

FIRST_RETRY = 60.0
"""Seconds until a failed renewal is tried again; doubled each time, up to LAST_RETRY."""
LAST_RETRY = 3600.0
_GRACE = 60.0
"""Seconds after which a renewal that is not its context's ends: a signal handler raised before it was set."""


_log = logging.getLogger("veritls.ocsp")


class Stapler(Protocol):
    """What a renewal needs of a context: an SSLContext."""

    def _identities(self) -> list[_engine.Identity]: ...
    def _certificates_of(self, of: _engine.Identity) -> tuple[x509.Certificate, x509.Certificate | None]: ...
    def _checked(self, of: _engine.Identity, response: bytes) -> Period: ...
    def _renews_with(self, renewal: Renewal) -> bool: ...


@dataclass(frozen=True)
class Due:
    """The time of the next fetch, in seconds since 1970, and the wait in seconds if that fails."""

    at: float
    retry: float


def due_after(period: Period, now: float) -> Due:
    """The next fetch: when half of the remaining validity is over, at most about once a minute."""
    since, until = period
    at_least = max(1.0, min(FIRST_RETRY, (until - since) / 4))
    return Due(now + max(at_least, (until - now) / 2), at_least)


_running: weakref.WeakSet[Renewal] = weakref.WeakSet()


class Renewal:
    """Renews the responses of one context's identities, in a daemon thread that ends with the context.

    The context's settings say which renewal is in use. Any other one ends, and staples nothing.
    """

    def __init__(self, context: Stapler, callback: OCSPRenewal) -> None:
        self._changed = threading.Event()
        self._context = weakref.ref(context, lambda _: self.wake())
        self._callback = callback
        self._due: dict[_engine.Identity, Due] = {}

    def start(self) -> None:
        """Fetches all responses once, and raises errors. From then on the thread renews them."""
        context = self._context()
        assert context is not None
        fetched = [(identity, self._fetched(context, identity)) for identity in context._identities()]
        for identity, found in fetched:
            self._due[identity] = self._sent(identity, found)
        _running.add(self)
        self.begin()

    def begin(self) -> None:
        """Starts the thread: in the first process, and again in each process forked from it."""
        self._changed = threading.Event()
        threading.Thread(target=self._run, name="veritls OCSP renewal", daemon=True).start()

    def wake(self) -> None:
        """Wakes the thread, which ends if this is no longer the context's renewal."""
        self._changed.set()

    def prepare(self, context: Stapler, identity: _engine.Identity) -> None:
        """Fetches the response of an identity that is about to be added. Errors are logged."""
        self._due[identity] = self._renewed(context, identity, FIRST_RETRY)
        self._changed.set()

    def _fetched(self, context: Stapler, identity: _engine.Identity) -> tuple[bytes, Period] | None:
        certificates = context._certificates_of(identity)
        response = self._callback(*certificates)
        if response is None:
            return None
        if not isinstance(response, bytes):
            raise TypeError(f"an OCSP response must be bytes, not {type(response).__name__}")
        return response, context._checked(identity, response)

    def _sent(self, identity: _engine.Identity, found: tuple[bytes, Period] | None) -> Due:
        now = time.time()
        if found is None:
            return Due(now + FIRST_RETRY, FIRST_RETRY)
        response, period = found
        identity.staple(response, period[1])
        return due_after(period, now)

    def _renewed(self, context: Stapler, identity: _engine.Identity, retry: float) -> Due:
        try:
            found = self._fetched(context, identity)
            return self._sent(identity, found if context._renews_with(self) else None)
        except Exception as error:
            _log.error("An OCSP response was not renewed by %r", self._callback, exc_info=error)
            return Due(time.time() + retry, min(2 * retry, LAST_RETRY))

    def _run(self) -> None:
        wait: float | None = _GRACE
        while wait is not None:
            self._changed.wait(wait)
            self._changed.clear()
            wait = self._round()

    def _round(self) -> float | None:
        """Renews the responses that are due; returns the seconds until the next is, None to end."""
        context = self._context()
        if context is None or not context._renews_with(self):
            return None
        due = {}
        for identity in context._identities():
            due[identity] = self._due.get(identity, Due(0.0, FIRST_RETRY))
            if due[identity].at <= time.time():
                due[identity] = self._renewed(context, identity, due[identity].retry)
        self._due = due
        if not context._renews_with(self):
            return None
        earliest = min((each.at for each in due.values()), default=time.time() + LAST_RETRY)
        return max(earliest - time.time(), 0.0)


def _after_fork() -> None:
    """A forked process has the responses, but not the threads that renew them."""
    for renewal in list(_running):
        renewal.begin()
        renewal.wake()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
