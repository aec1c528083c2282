"""What is told of a request that was refused because of who its peer is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from veritls.events.identity import PeerIdentity

AccessKind: TypeAlias = Literal["no_peer", "not_allowed", "unlisted", "bad_path"]
"""Why a request was refused.

`no_peer`: the client showed no certificate that was validated. `not_allowed`: it did, and none of the
patterns matches. `unlisted`: no rule covers the path, and there is no default. `bad_path`: the path can be
read in ways that no rule can be relied on for.
"""


@dataclass(frozen=True)
class AccessEvent:
    """A request that `veritls.serving.RequirePeer` or `require_peer` has refused.

    `outcome`: "refused", always. `kind`: see `AccessKind`. `sentence`: why, for people, printable and of at
    most 500 characters. `scope`: "http" or "websocket". `method`: of the request, None for a WebSocket.
    `path`: as the request has it, decoded, printable and shortened. `peer_address`: as the server has it,
    None where it has none. `peer_identity`: None without a validated certificate. `time`: in seconds since
    1970.
    """

    kind: AccessKind
    sentence: str
    scope: Literal["http", "websocket"]
    method: str | None
    path: str
    peer_address: Any
    peer_identity: PeerIdentity | None
    time: float
    outcome: Literal["refused"] = "refused"
