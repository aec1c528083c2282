"""Who is tried, what it takes to be one of them, and what a policy demands of each."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Literal

from veritls import policy

Side = Literal["server", "client"]
Needs = Literal["nothing", "ca", "valid", "ca key", "ca key and crl"]
"""What it takes to make its certificate; "valid": that of the valid peer, with its key."""
Fate = Literal["accepted", "refused"]


def other(side: Side) -> Side:
    """The side of the peers of what is on `side`."""
    return "client" if side == "server" else "server"


VERSIONS = {"TLSv1.3": ssl.TLSVersion.TLSv1_3, "TLSv1.2": ssl.TLSVersion.TLSv1_2}
"""The versions that every peer is tried with: a server may verify in one of them only."""


@dataclass(frozen=True)
class Peer:
    """A row. `key`: its name in `--peer` and JSON; `words`: what it shows, `{own}` is its side, `{other}`
    the other one.
    """

    key: str
    words: str
    needs: Needs

    def described(self, side: Side) -> str:
        """The words for a peer that is on `side`."""
        return self.words.format(own=side, other=other(side))


VALID = Peer("valid", "a valid certificate", "ca key")
NOTHING = Peer("none", "no certificate", "nothing")
PURPOSE = Peer("purpose", "a certificate for {other}s only", "ca key")
OTHER_NAME = Peer("other-name", "a certificate for another name", "ca key")
REVOKED = Peer("revoked", "a revoked certificate", "ca key and crl")
WEAK = Peer("weak", "an RSA key of 1,024 bits", "ca key")

PEERS = (
    VALID,
    NOTHING,
    Peer("other-ca", "a certificate of another CA", "nothing"),
    Peer("namesake", "a certificate of a namesake CA", "ca"),
    Peer("self-signed", "a self-signed certificate", "nothing"),
    Peer("leaf-as-ca", "one that a valid {own} issued", "valid"),
    Peer("expired", "an expired certificate", "ca key"),
    Peer("not-yet-valid", "a certificate not valid yet", "ca key"),
    PURPOSE,
    OTHER_NAME,
    REVOKED,
    WEAK,
)
"""Every row, from top to bottom. The first is the control: where it is refused, so may everybody be."""

KEYS = tuple(peer.key for peer in PEERS)


@dataclass(frozen=True)
class Demands:
    """What is demanded of the peers of the `side` that is audited.

    `mode`: as in `veritls.policy`; None: a server is held to what it asks for. A client is held to
    CERT_REQUIRED whatever its mode is: who is on its way to the server is the attacker. `name`: whether a
    peer of another name must be refused. `revocation`: the same of a revoked one. `overrides`: what the user
    expects against all that, by key.
    """

    side: Side
    mode: ssl.VerifyMode | None
    name: bool = False
    revocation: bool = False
    overrides: tuple[tuple[str, Fate], ...] = ()

    def tried(self, peer: Peer, given: frozenset[str]) -> bool:
        """Whether the row is of any interest. `given`: the peers whose certificates the user gave."""
        if peer.key in given or peer.key in dict(self.overrides):
            return True
        if peer is OTHER_NAME:
            return self.name
        if peer is REVOKED:
            return self.revocation
        return not (peer is NOTHING and self.side == "client")

    def fate(self, peer: Peer, requested: bool) -> Fate | None:
        """What must happen to the peer; None where either will do. `requested`: whether a server asks for
        certificates; it tells what a server without `mode` is held to.
        """
        override = dict(self.overrides).get(peer.key)
        if override is not None:
            return override
        if self.mode is None:
            # It verifies what it asks for, and that is all that is known of its policy.
            if peer is not VALID and (peer is NOTHING or not requested):
                return None
            mode = ssl.CERT_OPTIONAL
        else:
            mode = self.mode if self.side == "server" else ssl.CERT_REQUIRED
        rule = policy.rule(server_side=self.side == "server", mode=mode)
        if not rule.request or peer is VALID:
            return "accepted"
        if peer is NOTHING:
            return "refused" if rule.require else "accepted"
        return "refused" if rule.validate else "accepted"
