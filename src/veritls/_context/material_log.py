"""The log of what becomes of certificates, keys and CRLs: logger "veritls.material".

What failed, expires or is stale is a line at WARNING, a new set one at INFO. What a file or a source chose
stands in a line escaped and shortened. Of lines of one source and kind that follow each other fast only the
first are logged, and the next one counts the others.
"""

from __future__ import annotations

import logging
import os

from veritls._report.limiter import Limiter
from veritls.events.material import MaterialEvent, MaterialOutcome

logger = logging.getLogger("veritls.material")

_limiter = Limiter()

_WORDS: dict[MaterialOutcome, str] = {
    "loaded": "took over a new set from {}",
    "failed": "could not renew from {}, and keeps what it has",
    "expiring": "expiry ahead, with {}",
    "stale": "refuses new handshakes, with {}",
}
_RECOVERED = "can use {} again, which has nothing new"


def _after_fork_in_child() -> None:
    """The thread that held a lock does not exist in the child."""
    global _limiter
    _limiter = Limiter()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def admit(source: str, outcome: MaterialOutcome, kind: str | None) -> int | None:
    """None where this is not to be logged; else how many lines like it were held back before."""
    level = logging.INFO if outcome == "loaded" else logging.WARNING
    if not logger.isEnabledFor(level):
        return None
    return 0 if outcome == "loaded" else _limiter.admit((source, outcome, kind))


def line(event: MaterialEvent, held: int = 0) -> str:
    """The text of one line. `held`: how many like it were held back since the last."""
    words = _WORDS[event.outcome]
    if event.outcome == "loaded" and event.status.since != event.status.checked:
        words = _RECOVERED
    first = words.format(event.source)
    rest = f"{event.sentence} [{event.kind}]" if event.sentence else f"generation {event.generation}"
    more = f" ({held:,} more of this kind were not logged)" if held else ""
    return f"{first}: {rest}{more}"


def record(event: MaterialEvent, held: int) -> None:
    """Logs `event`, after `admit`, which gave `held`. The record has it as `material`."""
    level = logging.INFO if event.outcome == "loaded" else logging.WARNING
    logger.log(level, "%s", line(event, held), extra={"material": event})
