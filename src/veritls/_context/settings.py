"""What a context is: one immutable value, and its form for the engine.

Theory of operation
-------------------

**The value.** `Settings` holds everything that a context is: protocol settings, peer policy, trust, own
identities, callbacks, the secret of its tickets. It and its parts are frozen. A part has methods that
return the next part (`PeerPolicy.with_verify_mode`), and they raise before anything has changed.

**The swap.** A context holds the value in one cell of the engine. A setter makes the next value of the
present one and swaps it in, if the present one is still there; otherwise it starts over with the newer
value (`HasSettings._change`). The comparison and the store are one call that runs no Python code, so no
signal handler, trace function, thread or fork comes in between. At no moment do the visible and the
enforced settings differ, and a setter that raises halfway has changed nothing. There is no lock, so a
callback may set what it likes, and a child of a fork never waits.

**The engine's form.** `Settings.frozen` makes it on first use, one for each side, and keeps it with the
value: a form that is made while another thread changes the context is never used for the newer value. Two
threads may both make it; `setdefault` keeps one. What the engine cannot use is an error there, before a
socket is taken over. The form says "request, require, validate, check_name"; only `policy.py` knows
modes.

**Connections.** A connection takes one value, whole, when it is made, and keeps it. A later change of the
context holds for later connections. Sessions are bound to the value by the fingerprint of its form.

**Two contexts.** Where `sni_callback` moves a connection to a second context, `Settings.after` gives a
third value: the demands of both, the choices of the second; of trust, the second's, within a bundle map
of the first. Each field declares which of the two it is
(`veritls._context.combining`); one that does not is a TypeError, and a test. The result is kept with the
second value, weakly by the first, so that a server with many names combines two contexts once.

**Why the obvious ways fail.** Attributes on the context, read one by one when a connection is made, give
a connection half of an old and half of a new policy. A lock around them is held by a thread that a fork
leaves behind, and is waited for by a callback that runs under it. An engine's form that the context
keeps, and setters clear, is stale between the two stores, and an exception there leaves a demand visible
that is not enforced. Records 0009 and 0046 have the cases.
"""

from __future__ import annotations

import ssl
from operator import or_

from veritls import _engine
from veritls._context.combining import choice, combined, demand
from veritls._context.keyring import Keyring
from veritls._context.peer import PeerPolicy
from veritls._context.protocol import ProtocolSettings
from veritls._context.server_name import on_the_wire
from veritls._context.trust_store import TrustStore
from veritls._value import TicketSecret, Value, replace, shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from veritls._context.following import Follower, Freshness
    from veritls._context.ocsp_renewal import Renewal
    from veritls.events import Subscription
    from veritls.events.material import Kind
    from veritls.tickets import TicketKeys

    SNICallback: TypeAlias = Callable[[Any, str | None, Any], int | None]


class Frozen(Value):
    """The settings of a connection: the engine's form, and the peer policy that it was made of."""

    settings: _engine.Settings
    peer: PeerPolicy
    demands: _engine.Demands
    by_trust_domain: bool
    """Whether the peer's SPIFFE ID chooses the trust anchors."""


def _both(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*first, *(each for each in second if each not in first))


def _trust_of_both(first: TrustStore, second: TrustStore) -> TrustStore:
    """The second's choice, within a bundle map of the first."""
    return second.after(first)


class Settings(Value):
    """All settings of a context. Two are equal only if they are the same object."""

    protocol: ProtocolSettings = demand(combined)
    peer: PeerPolicy = demand(combined)
    trust: TrustStore = demand(_trust_of_both)
    own: Keyring = choice()
    sni_callback: SNICallback | None = choice(None)
    renewal: Renewal | None = choice(None)
    listeners: tuple[Subscription, ...] = demand(_both, ())
    material_listeners: tuple[Subscription, ...] = choice(())
    followed: Follower | None = choice(None)
    """Which source is followed, where one is."""
    fresh: tuple[Freshness, ...] = demand(_both, ())
    """Until when what was loaded from sources may be used; empty where that is unlimited."""
    generation: int = choice(0)
    """How often own identities, trust, intermediates and CRLs were changed."""
    statistics: _engine.Statistics = choice()
    """Counts the context's handshakes, across changes of its settings."""
    ticket_secret: TicketSecret = choice(secret=True)
    """Drawn when the context is made; the ticket keys of each value are derived from it."""
    ticket_keys: TicketKeys | None = choice(None)
    """Those that the context shares with others."""
    by_callback: bool = demand(or_, False)
    """Whether an sni_callback chose this value for a connection."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def frozen(self, server_side: bool, *, validating: bool = False) -> Frozen:
        """The engine's form, made once; `validating`: as under CERT_REQUIRED, whatever the mode.

        Raises ssl.SSLError or ValueError where the settings cannot be used.
        """
        validating = validating and self.peer.verify_mode != ssl.CERT_REQUIRED
        # Literals: for keys of another kind free-threaded Python takes a lock, at which all connections meet.
        if validating:
            key = "_validating_server" if server_side else "_validating_client"
        else:
            key = "_server" if server_side else "_client"
        kept: Frozen | None = vars(self).get(key)
        if kept is None:
            kept = vars(self).setdefault(key, self._freeze(server_side, validating))
        return kept

    def _freeze(self, server_side: bool, validating: bool) -> Frozen:
        if not server_side:
            self._refuse_any_workload()
        peer = self.peer.with_verify_mode(ssl.CERT_REQUIRED) if validating else self.peer
        demands = peer.demands(server_side)
        settings = _engine.Settings(
            self.protocol.recipe(server_side),
            demands,
            self._identities(),
            self.trust.frozen(partial_chain=peer.partial_chain),
            self.statistics,
            *self._sealing(peer),
        )
        return Frozen(settings, peer, demands, self.trust.bundles is not None)

    def _sealing(self, peer: PeerPolicy) -> tuple[_engine.TicketKeyring | TicketSecret, bytes]:
        """What tickets are sealed with, and what stands for the callbacks in the fingerprint."""
        keys = self.ticket_keys
        asked = self.by_callback or self.sni_callback is not None
        if keys is None:
            return self.ticket_secret, peer.token
        version = keys.policy_version
        if version is not None:
            # Where the version ends is not its own to say: what stands before it is of a fixed length.
            kinds = len(peer.callbacks).to_bytes(4, "big") + bytes([asked])
            return keys._keyring, b"version" + kinds + version.encode("utf-8", "surrogatepass")
        if asked or peer.callbacks:
            return self.ticket_secret, peer.token
        return keys._keyring, b""

    def _identities(self) -> list[_engine.Identity]:
        """The own identities in the engine's form, the preferred first.

        A certificate that was loaded alone is sent with its issuers in the trust set, as by OpenSSL.
        """
        own = []
        for identity in self.own.preferred():
            above = self.trust.path_above(identity.chain[0]) if len(identity.chain) == 1 else []
            own.append(identity.completed(above) if above else identity)
        return own

    def check_unfollowed(self, *kinds: Kind) -> None:
        """Raises ValueError where a followed source provides one of the `kinds`: only it sets them then."""
        if self.followed is not None:
            for kind in kinds:
                if kind in self.followed.provides:
                    raise ValueError(
                        f"{kind} comes from {self.followed.name}, which this context follows: "
                        "follow(None) ends that"
                    )

    def after(self, first: Settings) -> Settings:
        """This value for a connection that began under `first`: with the demands of both."""
        if first is self:
            return self
        if "_after" not in vars(self):
            from weakref import WeakKeyDictionary

            vars(self).setdefault("_after", WeakKeyDictionary())
        combinations: WeakKeyDictionary[Settings, Settings] = vars(self)["_after"]
        kept = combinations.get(first)
        if kept is None:
            kept = combinations[first] = replace(combined(first, self), by_callback=True)
        return kept

    def check(self) -> None:
        """Raises ValueError where no connection can be made of settings that are for a client only."""
        if self.protocol.method == ssl.PROTOCOL_TLS_CLIENT:
            self._refuse_any_workload()

    def _refuse_any_workload(self) -> None:
        """With a bundle map a client must say which workloads it means: any could impersonate its server."""
        if self.trust.bundles is None:
            return
        if self.peer.check_hostname:
            raise ValueError(
                "a client with spiffe_bundles needs check_hostname = False: its servers have SPIFFE IDs, "
                "which allowed_peers name"
            )
        if not self.peer.allowed_peers:
            raise ValueError(
                "a client with spiffe_bundles needs allowed_peers (veritls.SPIFFE patterns): otherwise any "
                "workload of a trust domain could impersonate the server"
            )

    def check_side(self, server_side: bool) -> None:
        """Raises ssl.SSLError where the protocol is for the other side only."""
        if server_side and self.protocol.method == ssl.PROTOCOL_TLS_CLIENT:
            raise ssl.SSLError("Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
        if not server_side and self.protocol.method == ssl.PROTOCOL_TLS_SERVER:
            raise ssl.SSLError("Cannot create a client socket with a PROTOCOL_TLS_SERVER context")

    def server_name(self, name: str | bytes | None, *, server_side: bool) -> str | None:
        """server_hostname as it is sent; see `on_the_wire`. Raises ValueError where it is missing."""
        self.check_side(server_side)
        if name is None and server_side:
            return None
        if name is None:
            if self.peer.check_hostname:
                raise ValueError("check_hostname requires server_hostname")
            return None
        return on_the_wire(name)


@shown_in("veritls")
class HasSettings:
    """The state of an SSLContext: one immutable Settings value, which is swapped. There is no lock."""

    _cell: _engine.Cell[Settings]

    @property
    def _settings(self) -> Settings:
        return self._cell.get()

    def _change(self, change: Callable[[Settings], Settings]) -> Settings:
        """Replaces the value by the result of `change`; returns the value that was replaced.

        Where another thread changed it meanwhile, `change` is called again, with that thread's value. If it
        raises, or the result's `check`, nothing changes.
        """
        while True:
            before = self._cell.get()
            after = change(before)
            after.check()
            if self._cell.replace(before, after):
                return before
