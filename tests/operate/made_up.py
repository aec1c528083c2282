"""Events that no connection made, for what only depends on their content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritls import _engine
from veritls.events import AccessEvent, Event, HandshakeEvent, MaterialEvent, PeerIdentity, material

HOSTILE = 'x"}\n1 2\n\x00\u202e' + "y" * 5000
"""What breaks out of a label, a line or a bound."""


def handshake(**changed: Any) -> HandshakeEvent:
    told: dict[str, Any] = {
        "side": "server",
        "outcome": "completed",
        "kind": None,
        "sentence": None,
        "peer_address": ("192.0.2.1", 50000),
        "server_name": "localhost",
        "version": "TLSv1.3",
        "suite": "TLS_AES_128_GCM_SHA256",
        "group": "X25519MLKEM768",
        "resumed": False,
        "duration": 0.003,
        "peer_identity": None,
        "generation": 1,
        "time": 1_800_000_000.0,
    }
    return HandshakeEvent(**told | changed)


def access(**changed: Any) -> AccessEvent:
    told: dict[str, Any] = {
        "kind": "no_peer",
        "sentence": "the client showed no certificate that was validated",
        "scope": "http",
        "method": "GET",
        "path": "/admin",
        "peer_address": ("192.0.2.1", 50000),
        "peer_identity": None,
        "time": 1_800_000_000.0,
    }
    return AccessEvent(**told | changed)


def hostile_handshakes(count: int) -> list[HandshakeEvent]:
    """Each of them another in all that a peer chooses, and in its kind, which no peer chooses."""
    return [
        handshake(
            outcome="refused",
            kind=f"{number}{HOSTILE}",
            sentence=f"{number}{HOSTILE}",
            server_name=f"{number}{HOSTILE}",
            peer_address=(HOSTILE, number),
            suite=f"{number}{HOSTILE}",
            group=f"{number}{HOSTILE}",
            peer_identity=PeerIdentity(HOSTILE, (("DNS", f"{number}{HOSTILE}"),) * 100, 7, HOSTILE),
        )
        for number in range(count)
    ]


def renewal(
    outcome: material.MaterialOutcome = "loaded",
    kind: str | None = None,
    expires: Mapping[material.Kind, float] | None = None,
    **changed: Any,
) -> MaterialEvent:
    """`changed`: of the event, or of its status."""
    status: dict[str, Any] = {
        "generation": 3,
        "source": "files",
        "since": 1_800_000_000.0,
        "checked": 1_800_000_100.0,
        "failures": 0,
        "sentence": None,
        "items": (),
        "left_out": 0,
        "expires": {"identity": 1_900_000_000.0, "trust": 2_000_000_000.0} if expires is None else expires,
    }
    status |= changed
    return MaterialEvent(
        outcome=outcome,
        kind=kind,
        sentence=None if outcome == "loaded" else "it says why",
        source=status["source"],
        generation=status["generation"],
        status=material.MaterialStatus(**status),
        time=1_800_000_200.0,
    )


def tell(*events: Event) -> None:
    """Tells them to every listener of this process."""
    for event in events:
        for subscription in _engine.listeners.get():
            subscription._tell(event)
