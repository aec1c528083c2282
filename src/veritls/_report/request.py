"""What was asked about a peer, and the engine's refusal, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from veritls._value import shown_in

Purpose = Literal["server", "client"]
"""Whose certificate it is: a server's, verified by a client, or a client's, verified by a server."""

Revocation = Literal["none", "leaf", "chain"]
"""Which certificates are checked for revocation: none, the peer's own, or every one of the path."""


@shown_in("veritls.report")
@dataclass(frozen=True)
class Request:
    """What was asked: is `chain` (DER, as the peer sent it, its own certificate first) to be trusted?

    `purpose`: whose chain it is, "server" or "client". `at`: the time of the verification, aware.
    `server_hostname`: the name or address that a client connects to; the certificate's names are compared
    with it where `check_hostname` is True. `allowed_peers`, `pinned_keys`: these demands as text, None where
    they are not set. `revocation`: which certificates are checked, "none", "leaf" or "chain". `strict`:
    whether VERIFY_X509_STRICT is set. `ocsp`: whether a good OCSP response has to be stapled.
    `by_trust_domain`: whether the trust domain of its SPIFFE ID chooses the trust anchors.
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
    by_trust_domain: bool = False

    @property
    def checked_name(self) -> str | None:
        """The name that the certificate must be for; None where none is checked."""
        return self.server_hostname if self.check_hostname else None


@shown_in("veritls.report")
@dataclass(frozen=True)
class Refusal:
    """Why the engine refused, and its evidence.

    `kind`: of the refusal, for example "expired" (docs/verification.md). `detail`: more about it, in words.
    `bound`: the limit that was passed, in seconds since 1970. `presented`: the names that were compared.
    `path`: the certificates above the peer's (DER), where path building had succeeded. `anchors`: how many
    the trust set has, None where that is not known. `unread`: which of the system's certificates could not be
    read, in words. `above`: the certificates of the trust set that may be issuers of those sent (DER), each
    with whether it is an anchor. `crls`: for the first certificates of the path, whether a CRL of the issuer
    is loaded, and the revocation time in it, in seconds since 1970. `trust_domain`: the SPIFFE trust domain
    whose anchors counted, None where all did. `helping`: those of `above` that only help to build paths.
    """

    kind: str
    detail: str = field(default="", repr=False)
    bound: int | None = None
    presented: tuple[str, ...] = field(default=(), repr=False)
    path: tuple[bytes, ...] = field(default=(), repr=False)
    anchors: int | None = None
    unread: tuple[str, ...] = ()
    above: tuple[tuple[bytes, bool], ...] = field(default=(), repr=False)
    crls: tuple[tuple[bool, int | None], ...] = field(default=(), repr=False)
    trust_domain: str | None = None
    helping: tuple[bytes, ...] = field(default=(), repr=False)
