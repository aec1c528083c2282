"""What a context is: one immutable value, and its form for the engine.

A setter makes the next value and swaps it in one store, so there is no moment at which what is shown and what
is enforced differ. The engine's form belongs to the value: it is made by whoever needs it first and goes with
it, so that a form that is made while another thread changes the context never counts for the newer value. A
connection takes one value, whole, when it is made.

Where `sni_callback` moves a connection to a second context, `Settings.after` gives the value that meets the
demands of both; `veritls._context.combining` says how.
"""

from __future__ import annotations

import dataclasses
import secrets
import ssl
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from veritls import _engine
from veritls._context.combining import choice, combined, demand
from veritls._context.conditions import Frozen
from veritls._context.own_identities import Keyring
from veritls._context.peer import PeerPolicy
from veritls._context.protocol import ProtocolSettings
from veritls._context.server_name import on_the_wire
from veritls._context.trust import TrustStore

if TYPE_CHECKING:
    from veritls._context.ocsp_renewal import Renewal

SNICallback: TypeAlias = Callable[[Any, str | None, Any], int | None]


class TicketSecret(bytes):
    """What ticket keys are derived from. A traceback that shows local variables, as error reporters do, does
    not show it.
    """

    @classmethod
    def drawn(cls) -> TicketSecret:
        """A new one."""
        return cls(secrets.token_bytes(32))

    def __repr__(self) -> str:
        return "<TicketSecret>"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("cannot pickle 'TicketSecret' object")


@dataclass(frozen=True, eq=False, kw_only=True)
class Settings:
    """Everything that a context is. Two are the same only if they are one object."""

    protocol: ProtocolSettings = demand(combined)
    peer: PeerPolicy = demand(combined)
    trust: TrustStore = choice()
    own: Keyring = choice()
    sni_callback: SNICallback | None = choice(None)
    renewal: Renewal | None = choice(None)
    statistics: _engine.Statistics = choice()
    """Counts the context's handshakes, whatever its settings were."""
    ticket_secret: TicketSecret = choice(secret=True)
    """Drawn when the context is made; the ticket keys of each value are derived from it."""
    _frozen: dict[Any, Frozen] = dataclasses.field(default_factory=dict, init=False, repr=False)
    _after: weakref.WeakKeyDictionary[Settings, Settings] = dataclasses.field(
        default_factory=weakref.WeakKeyDictionary, init=False, repr=False
    )

    def frozen(self, server_side: bool, *, validating: bool = False) -> Frozen:
        """The engine's form of it, made once; `validating`: as under CERT_REQUIRED, whatever the mode.

        Raises what makes it unusable.
        """
        key = server_side, validating and self.peer.verify_mode != ssl.CERT_REQUIRED
        kept = self._frozen.get(key)
        if kept is None:
            kept = self._frozen.setdefault(key, self._freeze(*key))
        return kept

    def _freeze(self, server_side: bool, validating: bool) -> Frozen:
        peer = self.peer.with_verify_mode(ssl.CERT_REQUIRED) if validating else self.peer
        demands = peer.demands(server_side)
        settings = _engine.Settings(
            self.protocol.recipe(server_side),
            demands,
            self._identities(),
            self.trust.frozen(partial_chain=peer.partial_chain),
            self.statistics,
            self.ticket_secret,
            peer.token,
        )
        return Frozen(settings, peer.conditions, demands)

    def _identities(self) -> list[_engine.Identity]:
        """Our identities as the engine takes them, the one to prefer first.

        A certificate that came alone is sent with those above it that are in the trust set, as by OpenSSL.
        """
        own = []
        for identity in self.own.preferred():
            above = self.trust.path_above(identity.chain[0]) if len(identity.chain) == 1 else []
            own.append(identity.completed(above) if above else identity)
        return own

    def after(self, first: Settings) -> Settings:
        """This value for a connection that began under `first`: with its demands, too."""
        if first is self:
            return self
        kept = self._after.get(first)
        if kept is None:
            kept = self._after[first] = combined(first, self)
        return kept

    def check_side(self, server_side: bool) -> None:
        """Raises ssl.SSLError where the protocol is for the other side only."""
        if server_side and self.protocol.method == ssl.PROTOCOL_TLS_CLIENT:
            raise ssl.SSLError("Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
        if not server_side and self.protocol.method == ssl.PROTOCOL_TLS_SERVER:
            raise ssl.SSLError("Cannot create a client socket with a PROTOCOL_TLS_SERVER context")

    def server_name(self, name: str | bytes | None, *, server_side: bool) -> str | None:
        """server_hostname as it goes on the wire: an A-label or an address (RFC 6066, section 3)."""
        self.check_side(server_side)
        if name is None and server_side:
            return None
        if name is None:
            if self.peer.check_hostname:
                raise ValueError("check_hostname requires server_hostname")
            return None
        return on_the_wire(name)
