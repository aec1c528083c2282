"""What was asked about a peer, and the engine's no, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Purpose = Literal["server", "client"]
"""Whose certificate it is: a server's, verified by a client, or a client's, verified by a server."""

Revocation = Literal["none", "leaf", "chain"]
"""Whose revocation has to be known."""


@dataclass(frozen=True)
class Request:
    """What was asked: is `chain` (DER, as the peer sent it, its own certificate first) to be trusted?

    `server_hostname`: whom a client meant; the certificate's names are compared with it where
    `check_hostname` is True. `allowed_peers`, `pinned_keys`: what else was demanded, in words; None where
    nothing was. `revocation`: whose has to be known. `strict`: whether RFC 5280's profile has to be kept to.
    `ocsp`: whether a good OCSP response has to be stapled.
    """

    chain: tuple[bytes, ...] = field(repr=False)
    purpose: Purpose
    at: datetime
    server_hostname: str | None = None
    check_hostname: bool = True
    allowed_peers: tuple[str, ...] | None = None
    pinned_keys: tuple[str, ...] | None = None
    revocation: Revocation = "none"
    strict: bool = False
    ocsp: bool = False

    @property
    def checked_name(self) -> str | None:
        """The name that the certificate has to be for; None where it may be for any."""
        return self.server_hostname if self.check_hostname else None


@dataclass(frozen=True)
class Refusal:
    """Why the engine said no: its kind and words, and what it knew.

    `bound`: the second of the epoch that was passed. `presented`: the names that it compared. `path`: what is
    above the peer's certificate, where the search for a path had succeeded. `anchors`: how many the trust set
    has; `unread`: what could not be read of the system's trust, in words. `above`: those of it that could
    stand above those sent, each with whether it is an anchor. `lists`: of the first certificates of the path,
    whether a revocation list of their issuer is loaded, and the second of the epoch at which it has them as
    revoked.
    """

    kind: str
    detail: str = field(default="", repr=False)
    bound: int | None = None
    presented: tuple[str, ...] = field(default=(), repr=False)
    path: tuple[bytes, ...] = field(default=(), repr=False)
    anchors: int | None = None
    unread: tuple[str, ...] = ()
    above: tuple[tuple[bytes, bool], ...] = field(default=(), repr=False)
    lists: tuple[tuple[bool, int | None], ...] = field(default=(), repr=False)
