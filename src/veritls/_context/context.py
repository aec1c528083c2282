"""SSLContext: a thin face over one immutable Settings value."""

from __future__ import annotations

import itertools
import ssl
import sys
import warnings
from types import FunctionType

from veritls import _engine
from veritls._context.keyring import Keyring
from veritls._context.own_identities import OwnMembers
from veritls._context.peer import PeerMembers, PeerPolicy
from veritls._context.protocol import ProtocolMembers, ProtocolSettings
from veritls._context.settings import HasSettings, Settings
from veritls._context.trust import TrustMembers
from veritls._context.trust_store import TrustStore
from veritls._value import TicketSecret, replace, shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta
    from typing import Any, Self

    from veritls._connection.sslobject import SSLObject
    from veritls._connection.sslsocket import SSLSocket
    from veritls._context.ocsp_renewal import Renewal
    from veritls._context.settings import SNICallback
    from veritls._engine import MemoryBIO
    from veritls._loading.chains import Chain
    from veritls._report.request import Purpose
    from veritls.events import Listener, MaterialEvent, MaterialStatus, Subscription
    from veritls.events.material import Kind
    from veritls.report import VerificationReport
    from veritls.sources import Source
    from veritls.tickets import TicketKeys

PROTOCOL_TLS = ssl.PROTOCOL_TLS
PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT
PROTOCOL_TLS_SERVER = ssl.PROTOCOL_TLS_SERVER

_PROTOCOLS = (PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLSv1_2)
_TAKES_A_CALLABLE = ("set_verify_callback", "set_ocsp_response", "on_handshake", "on_material")


def _declared(kind: type) -> Iterable[str]:
    """The names that a class itself annotates."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(kind, format=annotationlib.Format.FORWARDREF)
    declared: Iterable[str] = vars(kind).get("__annotations__", ())
    return declared


def _members(kind: type) -> frozenset[str]:
    """The public names that a class, or one of its bases, defines or annotates."""
    names = itertools.chain(dir(kind), *map(_declared, kind.__mro__))
    return frozenset(name for name in names if not name.startswith("_"))


@shown_in("veritls")
class SSLContext(  # type: ignore[misc, override]
    HasSettings, ProtocolMembers, PeerMembers, TrustMembers, OwnMembers, ssl.SSLContext
):
    """The settings of TLS connections: own certificates, trust anchors, the demands on a peer, the protocol.

    The interface, defaults and errors are those of `ssl.SSLContext`. Threads may share it; a change applies
    to connections made after it. `protocol`: PROTOCOL_TLS_CLIENT or PROTOCOL_TLS_SERVER; PROTOCOL_TLS, the
    default, and PROTOCOL_TLSv1_2 are deprecated. Raises ValueError for any other protocol. Setting an
    attribute that does not exist raises AttributeError: a misspelt demand would have no effect.

    A client or server begins with `veritls.create_default_context`. What comes then: what both sides speak
    (`minimum_version`, `set_alpn_protocols`), what is demanded of the peer (`verify_mode`,
    `check_hostname`, `allowed_peers`), what is trusted (`load_verify_locations`), and what this side has of
    its own (`load_cert_chain`); `wrap_socket` and `wrap_bio` make connections, `follow` renews certificates.
    """

    sslsocket_class: type[ssl.SSLSocket]
    """The class of `wrap_socket`'s result, `SSLSocket` by default. Set when the package is imported."""
    sslobject_class: type[ssl.SSLObject]
    """The class of `wrap_bio`'s result, `SSLObject` by default."""

    def __new__(cls, protocol: int | None = None, *args: Any, **kwargs: Any) -> Self:
        if protocol is None:
            words = "ssl.SSLContext() without protocol argument is deprecated."
            warnings.warn(words, category=DeprecationWarning, stacklevel=2)
            protocol = PROTOCOL_TLS
        if protocol not in _PROTOCOLS:
            raise ValueError(
                f"protocol {protocol!r} is not supported: use PROTOCOL_TLS_CLIENT or PROTOCOL_TLS_SERVER"
            )
        # The base's settings are not used: it is there for isinstance() and its options.
        self = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        method = ssl._SSLMethod(protocol)
        peer = PeerPolicy()
        if protocol == PROTOCOL_TLS_CLIENT:
            peer = peer.with_check_hostname(True)
        if protocol in (PROTOCOL_TLS, ssl.PROTOCOL_TLSv1_2):
            words = f"ssl.{method.name} is deprecated"
            warnings.warn(words, category=DeprecationWarning, stacklevel=2)
        interpreters_options = super(ProtocolMembers, self).options  # past our own property
        spoken = ProtocolSettings(method, interpreters_options)
        if protocol == ssl.PROTOCOL_TLSv1_2:
            spoken = replace(spoken, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.TLSv1_2)
        settings = Settings(
            protocol=spoken,
            peer=peer,
            trust=TrustStore(),
            own=Keyring(),
            statistics=_engine.Statistics(),
            ticket_secret=TicketSecret.drawn(),
        )
        self._cell = _engine.Cell(settings)
        return self

    def __init__(self, protocol: int | None = None, *args: Any, **kwargs: Any) -> None:
        pass

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name.startswith("_") or hasattr(type(self), name)):
            members = _members(type(self))
            if name not in members:
                import difflib

                similar = difflib.get_close_matches(name, members, n=1)
                hint = f" Did you mean {similar[0]!r}?" if similar else ""
                words = f"{type(self).__name__!r} object has no attribute {name!r}.{hint}"
                raise AttributeError(words, name=name, obj=self)
        # Tests replace methods with callables. A value that is not callable, or is for a method that takes a
        # callable, was meant as the method's argument: as an attribute it would have no effect.
        is_method = isinstance(getattr(type(self), name, None), FunctionType) and not name.startswith("_")
        if is_method and (name in _TAKES_A_CALLABLE or not callable(value)):
            words = f"{name!r} is a method of {type(self).__name__!r}: call it"
            raise AttributeError(words, name=name, obj=self)
        super().__setattr__(name, value)

    @property
    def _protocol(self) -> ProtocolSettings:
        return self._settings.protocol

    def _change_protocol(self, change: Callable[[ProtocolSettings], ProtocolSettings]) -> None:
        self._change(lambda settings: replace(settings, protocol=change(settings.protocol)))

    @property
    def _peer(self) -> PeerPolicy:
        return self._settings.peer

    def _change_peer(self, change: Callable[[PeerPolicy], PeerPolicy]) -> None:
        self._change(lambda settings: replace(settings, peer=change(settings.peer)))

    @property
    def _trust(self) -> TrustStore:
        return self._settings.trust

    def _change_trust(self, change: Callable[[TrustStore], TrustStore], *kinds: Kind) -> None:
        def changed(settings: Settings) -> Settings:
            settings.check_unfollowed(*kinds)
            trust = change(settings.trust)
            if trust is settings.trust:
                return settings
            return replace(settings, trust=trust, generation=settings.generation + 1)

        self._change(changed)

    @property
    def _partial_chain(self) -> bool:
        return self._settings.peer.partial_chain

    def _trusted_above(self, der: bytes) -> list[bytes]:
        return self._settings.trust.path_above(der)

    @property
    def _own(self) -> Keyring:
        return self._settings.own

    def _change_own(self, change: Callable[[Keyring], Keyring]) -> None:
        def changed(settings: Settings) -> Settings:
            settings.check_unfollowed("identity")
            own = change(settings.own)
            if own is settings.own:
                return settings
            return replace(settings, own=own, generation=settings.generation + 1)

        self._change(changed)

    @property
    def _is_client_only(self) -> bool:
        return self._settings.protocol.method == PROTOCOL_TLS_CLIENT

    @property
    def _renewal(self) -> Renewal | None:
        return self._settings.renewal

    def _put_renewal(self, renewal: Renewal | None) -> Renewal | None:
        return self._change(lambda settings: replace(settings, renewal=renewal)).renewal

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> SSLSocket:
        """An SSLSocket that takes over the connection of `sock`, as `ssl.SSLContext.wrap_socket`.

        `server_side`: whether this side accepts connections. `do_handshake_on_connect`: whether the handshake
        is done at once, or by `connect` and `accept`; otherwise call `do_handshake`. `suppress_ragged_eofs`:
        whether an end without close_notify reads as an end of the data. `server_hostname`: the name or
        address that a client connects to. `session`: an `SSLSession` to resume.

        Raises NotImplementedError where `sock` is not a stream socket; ssl.SSLError where the context
        is for the other side or its settings cannot be used; ValueError where `check_hostname` is True and
        there is no `server_hostname`, and for arguments of the other side; TypeError for other types. If
        `sock` is connected and `do_handshake_on_connect` is True, raises as `SSLSocket.do_handshake`.
        """
        connection: SSLSocket = self.sslsocket_class._create(  # type: ignore[attr-defined]
            sock=sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=server_hostname,
            context=self,
            session=session,
        )
        return connection

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO | MemoryBIO,
        outgoing: ssl.MemoryBIO | MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> SSLObject:
        """An SSLObject over two MemoryBIOs, of veritls or of `ssl`, as `ssl.SSLContext.wrap_bio`.

        Unlike with `wrap_socket` a server may have a `server_hostname`, as in `ssl`: it has no effect. Raises
        TypeError for anything but two MemoryBIOs of one module; else as `wrap_socket`.
        """
        connection: SSLObject = self.sslobject_class._create(  # type: ignore[attr-defined]
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
            session=session,
            context=self,
        )
        return connection

    def verify_chain(
        self,
        chain: Chain,
        *,
        server_hostname: str | bytes | None = None,
        at: datetime | None = None,
        purpose: Purpose | None = None,
        ocsp_response: bytes | None = None,
    ) -> VerificationReport:
        """Verifies a chain without a connection, by the verifier that handshakes use.

        `chain`: certificates, the peer's own first, each as DER bytes, PEM text or of `cryptography`; or one
        PEM text with all. `server_hostname`: the name to check; None, the default, checks none. `at`: an
        aware datetime, default now. `purpose`: "server" or "client", by default the peers of this context.
        `ocsp_response`: the stapled response, DER.

        The chain is validated under any `verify_mode`, and the verify callback is called. Raises
        ssl.SSLCertVerificationError as a handshake; TypeError, ValueError or ssl.SSLError for arguments that
        cannot be used.
        """
        from veritls._context.asking import verify_chain

        settings = self._settings
        if purpose is None:
            purpose = "client" if settings.protocol.method == PROTOCOL_TLS_SERVER else "server"
        if purpose not in ("server", "client"):
            raise ValueError(f"purpose must be 'server' or 'client', not {purpose!r}")
        return verify_chain(settings, chain, purpose, server_hostname, at, ocsp_response)

    @property  # type: ignore[override]
    def sni_callback(self) -> SNICallback | None:
        """A server calls it with (connection, server name or None, context) once it has the client's hello.

        It may set the connection's `context`. It returns None to continue, or the number of an alert to
        refuse the client; an exception refuses, too. During the call the connection has no state yet, and
        using it raises ValueError. None, the default, removes it. Raises ValueError on a PROTOCOL_TLS_CLIENT
        context, TypeError for anything that is not callable.
        """
        return self._settings.sni_callback

    @sni_callback.setter
    def sni_callback(self, callback: SNICallback | None) -> None:
        if self._settings.protocol.method == PROTOCOL_TLS_CLIENT:
            raise ValueError("sni_callback cannot be set on TLS_CLIENT context")
        if callback is not None and not callable(callback):
            raise TypeError("not a callable object")
        self._change(lambda settings: replace(settings, sni_callback=callback))

    def set_servername_callback(self, server_name_callback: SNICallback | None) -> None:
        """Sets `sni_callback`, under the older name of `ssl`. Raises as its setter."""
        self.sni_callback = server_name_callback

    @property
    def ticket_keys(self) -> TicketKeys | None:
        """What a server's tickets are sealed with, shared with other contexts and processes: a TicketKeys.

        See `veritls.tickets`. A ticket opens where the same keys *and* the same policy hold. None, the
        default: this context's own keys, which only processes have that are forked from this one. A change
        holds for later connections, and leads those with earlier tickets to a full handshake; so does a
        change that is taken back, until then. Raises ValueError on a PROTOCOL_TLS_CLIENT context, TypeError
        for anything else.
        """
        return self._settings.ticket_keys

    @ticket_keys.setter
    def ticket_keys(self, keys: TicketKeys | None) -> None:
        if keys is not None:
            from veritls.tickets import TicketKeys

            if not isinstance(keys, TicketKeys):
                raise TypeError(f"ticket_keys must be a TicketKeys or None, not {type(keys).__name__}")
            if self._settings.protocol.method == PROTOCOL_TLS_CLIENT:
                raise ValueError("ticket_keys cannot be set on a TLS_CLIENT context: a server makes tickets")
        self._change(lambda settings: replace(settings, ticket_keys=keys))

    @property
    def generation(self) -> int:
        """How often own identities, trust, intermediates and CRLs were changed: it only grows.

        A connection is made with one generation, whole; `veritls.events.HandshakeEvent` names it.
        """
        return self._settings.generation

    def on_handshake(self, listener: Listener) -> Subscription:
        """Has `listener` hear the end of each handshake of connections that are made from now on.

        It gets a `veritls.events.HandshakeEvent`. Where and when it is called, what happens with what it
        raises: see `veritls.events`. Where `sni_callback` chooses a second context, the listeners of both
        hear. The result takes the listener back (`close`, or ``with``). Raises TypeError for what is not
        callable.
        """
        from veritls.events import Subscription

        def without(settings: Settings) -> Settings:
            rest = tuple(each for each in settings.listeners if each is not subscription)
            return settings if rest == settings.listeners else replace(settings, listeners=rest)

        subscription = Subscription(listener, lambda _: self._change(without))
        self._change(lambda settings: replace(settings, listeners=(*settings.listeners, subscription)))
        return subscription

    def follow(self, source: Source | None, *, max_stale: float | timedelta | None = None) -> None:
        """Takes over what `source` has now, and from then on whatever it has.

        `source`: a `veritls.sources.Source`, such as a `FileSource`. `max_stale`: seconds, or a timedelta,
        for which a set may be used after the source was last read with success; then new handshakes are
        refused (ssl.SSLError with the reason MATERIAL_STALE; a server sends the alert internal_error). None,
        the default, is unlimited. Where `sni_callback` chooses a second context, the limits of both hold.
        `verify_chain` and connections that exist go on.

        The kinds that the source provides are replaced whole: what was loaded of them before is gone, and
        setting them raises ValueError. Other kinds stay. A thread watches the source, and swaps in the next
        set, or nothing: where it cannot be read, or what it gave cannot be used, the last good set stays, a
        `MaterialEvent` and a line of the logger "veritls.material" say so, and it is tried again. New
        connections use the new set; sessions of older ones are not resumed. A CRL is not replaced by an older
        one. A context follows one source at a time: following another, or None, ends the former, and leaves
        its last set. It ends with the context.

        Raises what `source.load` raises; ValueError where a kind that it provides is missing or empty;
        ssl.SSLError, ValueError or TypeError where one cannot be used, and for other arguments. Nothing has
        changed then.
        """
        from veritls._context.following import follow

        follow(self, source, max_stale)

    @property
    def material_status(self) -> MaterialStatus:
        """What this context holds, since when, from where, and what expires when; no keys."""
        from veritls._context.material_status import status

        return status(self._settings)

    def on_material(self, listener: Callable[[MaterialEvent], object]) -> Subscription:
        """Has `listener` hear what becomes of what this context follows: loads, failures, expiry ahead.

        It gets a `veritls.events.MaterialEvent`, in the thread that watches the source, or in that of
        `follow`, or of a handshake that is refused because the set is too old. While it runs, the source is
        not read. See `veritls.events`. The result takes the listener back (`close`, or ``with``). Raises
        TypeError for what is not callable.
        """
        from veritls.events import Subscription

        def without(settings: Settings) -> Settings:
            rest = tuple(each for each in settings.material_listeners if each is not subscription)
            return (
                settings
                if rest == settings.material_listeners
                else replace(settings, material_listeners=rest)
            )

        subscription = Subscription(listener, lambda _: self._change(without))
        self._change(
            lambda settings: replace(
                settings, material_listeners=(*settings.material_listeners, subscription)
            )
        )
        return subscription

    def session_stats(self) -> dict[str, int]:
        """The numbers of this context's handshakes, with the keys of `ssl`; what does not exist here is 0."""
        (connect, connect_good, resumed), (accept, accept_good, hits) = self._settings.statistics.read()
        return {
            "number": 0,
            "connect": connect,
            "connect_good": connect_good,
            "connect_renegotiate": 0,
            "accept": accept,
            "accept_good": accept_good,
            "accept_renegotiate": 0,
            "hits": resumed + hits,
            "misses": 0,
            "timeouts": 0,
            "cache_full": 0,
        }

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")
