"""A request that is refused: its event, and its line in the log, logger "veritls.access"."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Literal

from veritls import _engine
from veritls._report.limiter import Limiter
from veritls._report.rendering import plain
from veritls.events import AccessEvent, AccessKind
from veritls.serving.peer import Peer, extension_of

logger = logging.getLogger("veritls.access")

LONGEST = 500
"""Characters of a sentence."""

_limiter = Limiter()


def _after_fork_in_child() -> None:
    """The thread that held a lock does not exist in the child."""
    global _limiter
    _limiter = Limiter()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Refused(Exception):
    """Why a request is refused."""

    def __init__(self, kind: AccessKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def _line(event: AccessEvent, held: int) -> str:
    address = event.peer_address
    known = isinstance(address, tuple | list) and len(address) >= 2
    where = plain(f"{address[0]}:{address[1]}") if known else "an unknown address"
    identity = event.peer_identity
    whose = plain(identity.spiffe_id or identity.subject) if identity is not None else "no certificate"
    what = f"{plain(event.method)} {event.path}" if event.method else event.path
    more = f" ({held:,} more of this kind were not logged)" if held else ""
    return f"refused {what} to the client {where}, {whose}: {event.sentence} [{event.kind}]{more}"


def tell(scope: Mapping[str, Any], peer: Peer | None, refused: Refused) -> None:
    """Logs it, and tells those who hear all events of the process. Never fails."""
    try:
        listeners = _engine.listeners.get()
        held = _limiter.admit(refused.kind) if logger.isEnabledFor(logging.WARNING) else None
        if held is None and not listeners:
            return
        kind: Literal["http", "websocket"] = "websocket" if scope.get("type") == "websocket" else "http"
        path, method = scope.get("path"), scope.get("method")
        extension = extension_of(scope)
        event = AccessEvent(
            kind=refused.kind,
            sentence=plain(str(refused), LONGEST),
            scope=kind,
            method=plain(method) if isinstance(method, str) else None,
            path=plain(path) if isinstance(path, str) else "",
            # Not the scope's, which middlewares replace by what a header says.
            peer_address=extension._address if extension is not None else scope.get("client"),
            peer_identity=peer,
            time=time.time(),
        )
    except Exception as fault:
        _engine.report_unraisable(fault, logger)
        return
    if held is not None:
        try:
            logger.warning("%s", _line(event, held), extra={"access": event})
        except Exception as fault:
            _engine.report_unraisable(fault, logger)
    for subscription in listeners:
        subscription._tell(event)
