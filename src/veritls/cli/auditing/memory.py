"""One handshake of a context with a peer, in memory. What the context says of the peer is the evidence."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from typing import Any

from veritls.cli.alerts import alert_in
from veritls.cli.auditing.contexts import Shown, peer_context
from veritls.cli.auditing.outcomes import (
    Outcome,
    detail,
    speaks_not_the_version,
    unsent,
    was_requested,
    watch_for_request,
    words,
)
from veritls.cli.auditing.peers import Side, other

_MOST_FLIGHTS = 20
_OWN_FAULTS = ("INTERNAL_ERROR", "FORKED", "UNUSABLE", "MATERIAL_STALE", "NO_SHARED_CIPHER")
"""Errors that say nothing of the peer: the context cannot be used as it is."""


class _End:
    """One side, as far as it has come."""

    def __init__(self, context: ssl.SSLContext, server_side: bool, name: str | None) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls: Any = context.wrap_bio(
            self.incoming,
            self.outgoing,
            server_side=server_side,
            server_hostname=None if server_side else name,
        )
        self.done = False
        self.error: BaseException | None = None

    def go_on(self) -> bytes:
        """As far as what has come in allows; what is to be sent."""
        if not self.done and self.error is None:
            try:
                self.tls.do_handshake()
                self.done = True
            except ssl.SSLWantReadError:
                pass
            except KeyboardInterrupt:
                raise
            except BaseException as why:  # a callback of the program may raise anything, SystemExit too
                self.error = why
        return self.outgoing.read()


@dataclass(frozen=True)
class Context:
    """A context to try peers on. `side`: its own. `name`: the host name that a client asks for."""

    context: ssl.SSLContext
    side: Side
    name: str | None

    def try_all(self, tried: list[tuple[Shown | None, ssl.TLSVersion]]) -> list[Outcome]:
        """What each peer gets, in their order."""
        return [self.attempt(*each) for each in tried]

    def attempt(self, shown: Shown | None, version: ssl.TLSVersion) -> Outcome:
        """One peer: what it shows, and the only version that it speaks."""
        side = other(self.side)
        try:
            peer = _End(peer_context(side, shown, version), side == "server", self.name)
            watch_for_request(peer.tls)
        except (OSError, ValueError) as why:
            return Outcome("unknown", words(why))
        try:
            audited = _End(self.context, self.side == "server", self.name)
        except KeyboardInterrupt:
            raise
        except BaseException as why:  # so may a class of the program
            return Outcome("unknown", _named(why))
        for _ in range(_MOST_FLIGHTS):
            moved = False
            for end, to in ((peer, audited), (audited, peer)):
                data = end.go_on()
                to.incoming.write(data)
                moved = moved or bool(data)
            if not moved:
                break
        return self._outcome(audited, peer, shown is not None)

    def _outcome(self, audited: _End, peer: _End, shows: bool) -> Outcome:
        why = audited.error
        if why is None and audited.done:
            accepted = Outcome("accepted", "completed the handshake")
            if self.side == "client":
                return accepted
            return unsent(peer.tls, shows) or replace(accepted, requested=was_requested(peer.tls))
        errors = [each for each in (why, peer.error) if each is not None]
        if any(map(speaks_not_the_version, errors)):
            return Outcome("no version", words(errors[0]))
        if why is None:
            return Outcome("unknown", words(peer.error) if peer.error else "the handshake did not end")
        if not isinstance(why, ssl.SSLError):
            return Outcome("unknown", _named(why))
        if alert_in(why) or why.reason in _OWN_FAULTS:
            return Outcome("unknown", words(why))
        if self.side == "server" and (nothing_sent := unsent(peer.tls, shows)):
            return nothing_sent
        return Outcome("refused", words(why), detail=detail(why))


def _named(error: BaseException) -> str:
    return words(error) if isinstance(error, ssl.SSLError) else f"{type(error).__name__}: {words(error)}"
