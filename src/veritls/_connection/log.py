"""The log of handshakes: logger "veritls.handshake".

A refusal, of a peer or by one, is a line at WARNING; anything else is at DEBUG. What a peer chose stands in a
line escaped and shortened. Of refusals of one kind that follow each other fast only the first are logged, and
the next line of that kind counts the others.
"""

from __future__ import annotations

import logging
import os
from _thread import get_ident

from veritls._report.limiter import Limiter
from veritls._report.rendering import plain
from veritls.events import HandshakeEvent, Outcome

logger = logging.getLogger("veritls.handshake")

_WARNED = ("refused", "refused_by_peer", "refused_late", "failed")

_FIRST_WORDS: dict[Outcome, str] = {
    "completed": "completed with the {}",
    "refused": "refused the {}",
    "refused_by_peer": "refused by the {}",
    "refused_late": "refused, after the handshake, by the {}",
    "probe": "probed by the {}",
    "gone": "lost the {}",
    "timeout": "gave up on the {}",
    "closed": "closed the connection to the {}",
    "failed": "failed with the {}",
}

_limiter = Limiter()
_threads: set[int] = set()
"""Those that log now: a handler that makes a TLS connection is not to log that in turn."""


def _after_fork_in_child() -> None:
    """The thread that held a lock does not exist in the child."""
    global _limiter
    _limiter = Limiter()
    _threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _level(outcome: Outcome) -> int:
    return logging.WARNING if outcome in _WARNED else logging.DEBUG


def admit(side: str, outcome: Outcome, kind: str | None) -> int | None:
    """None where a handshake that ended so is not to be logged; else how many lines were held back before.

    Asked before there is an event, which costs more: a stranger can be refused as often as it likes.
    """
    level = _level(outcome)
    if not logger.isEnabledFor(level) or get_ident() in _threads:
        return None
    return 0 if level < logging.WARNING else _limiter.admit((side, outcome, kind))


def _address(address: object) -> str:
    match address:
        case (str(host), int(port), *_):
            return plain(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        case None | "" | b"":
            return ""
        case _:
            return plain(str(address))


def _peer(event: HandshakeEvent) -> str:
    """The peer in words: "server db.internal at 10.0.0.1:5432"."""
    address, name = _address(event.peer_address), plain(event.server_name or "")
    if event.side == "server":
        words = f"client {address or 'at an unknown address'}"
        return f"{words} that asked for {name}" if name else words
    return f"server {' at '.join(filter(None, (name, address))) or 'at an unknown address'}"


def _parameters(event: HandshakeEvent) -> str:
    """What was agreed on, and with whom."""
    known = [event.version, event.suite, event.group, "resumed" if event.resumed else None]
    if event.peer_identity is not None:
        known.append(plain(event.peer_identity.spiffe_id or event.peer_identity.subject))
    return ", ".join(filter(None, known))


def line(event: HandshakeEvent, held: int = 0) -> str:
    """The text of one line. `held`: how many of its kind were held back since the last."""
    first = _FIRST_WORDS[event.outcome].format(_peer(event))
    rest = f"{event.sentence} [{event.kind}]" if event.sentence else _parameters(event)
    more = f" ({held:,} more of this kind were not logged)" if held else ""
    return f"{first}: {rest}{more}"


def record(event: HandshakeEvent, held: int) -> None:
    """Logs `event`, after `admit`, which gave `held`. The record has it as `handshake`."""
    thread = get_ident()
    _threads.add(thread)
    try:
        logger.log(_level(event.outcome), "%s", line(event, held), extra={"handshake": event})
    finally:
        _threads.discard(thread)
