"""What an SSLSocket and an SSLObject have in common: the state of the connection."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from veritls import _engine
from veritls._connection.session import SSLSession
from veritls._connection.sslobj import Certificate, SSLObj
from veritls._context import groups, signature_algorithms as sigalgs
from veritls._context.cipher_suites import VERSIONS, describe
from veritls._context.settings import Frozen, HasSettings, Settings
from veritls._explaining.explanation import accepted, unverified
from veritls._loading.certificates import decoded, end_point_hash
from veritls._report.request import Purpose

if TYPE_CHECKING:
    from veritls._context.context import SSLContext

CHANNEL_BINDING_TYPES = ["tls-server-end-point"]
"""The channel bindings that `get_channel_binding` gives (RFC 5929)."""


def _verify_callback(frozen: Frozen, purpose: Purpose, name: str | None) -> _engine.VerifyCallback | None:
    """What the engine calls within a handshake; None where no callback is set. Holds no connection alive."""
    peer, checked = frozen.peer, frozen.demands["check_name"]
    if not peer.callbacks:
        return None

    def ask(chain: list[bytes], path: list[bytes] | None, at: int, stapled: bool) -> None:
        moment = datetime.fromtimestamp(at, UTC)
        request = peer.request(chain, purpose, moment, name, checked, stapled)
        peer.ask(unverified(request) if path is None else accepted(request, tuple(path)))

    return ask


class ConnectionState:
    """Mixed into SSLSocket and SSLObject. Before the handshake is done, most of it is None."""

    _context: SSLContext
    _settings: Settings
    """What the context was when the connection was made: whole, whatever becomes of the context. After
    `sni_callback` chose another one, what both demand."""
    _stream: _engine.Stream | None
    _session: SSLSession | None
    _deciding: int | None = None
    """The thread that runs sni_callback, while it does."""
    _switched: tuple[SSLContext, Settings] | None = None
    """What sni_callback has chosen so far: in one store, so that what is shown is what comes to hold."""

    def _side(self) -> bool:
        raise NotImplementedError

    def _known(self) -> _engine.Stream:
        """The engine's connection, or the error that says why there is none."""
        raise NotImplementedError

    def _renew(self) -> None:
        """Makes the engine's connection anew, before the first step of the handshake."""
        raise NotImplementedError

    def _made(
        self,
        name: str | None,
        bios: tuple[_engine.MemoryBIO, _engine.MemoryBIO] | None,
        descriptor: int | None = None,
    ) -> _engine.Stream:
        """The engine's connection under `_settings`."""
        server_side, session = self._side(), self._session
        frozen = self._settings.frozen(server_side)
        name = None if server_side else name  # a server's is shown, as with `ssl`, and has no effect
        if frozen.demands["check_name"] and name is None:
            raise ValueError("check_hostname requires server_hostname")
        callback = _verify_callback(frozen, "client" if server_side else "server", name)
        offer = session._engine_session if session is not None else None
        decision = self._hello_decision() if server_side else None
        return _engine.Stream(frozen.settings, name, bios, offer, decision, callback, descriptor)

    def _agreed(self) -> _engine.Stream | None:
        stream = self._stream
        return stream if stream is not None and stream.established else None

    @property
    def _sslobj(self) -> SSLObj | None:
        """What some libraries ask whether TLS is on, and for the chains before Python 3.13."""
        return SSLObj(self) if self._stream is not None else None

    @property
    def context(self) -> SSLContext:
        """The context of the connection. Can be set from within `SSLContext.sni_callback`.

        The connection then has the identity, trust anchors, CRLs and ALPN of the new context, and meets the
        demands of both: the stricter `verify_mode`, the `verify_flags`, `allowed_peers`, `pinned_keys` and
        verify callbacks of both, the versions, cipher suites and groups that both allow. Raises ssl.SSLError
        where none is left, TypeError for what is no context, ValueError at any other time. Once the
        handshake is over, setting it changes nothing but what is read here, as in `ssl`.
        """
        switched = self._switched
        return self._context if switched is None else switched[0]

    @context.setter
    def context(self, context: SSLContext) -> None:
        if not isinstance(context, HasSettings):
            raise TypeError("The value must be a SSLContext")
        if self._deciding == threading.get_ident():
            both = context._settings.after(self._settings)
            both.frozen(True)  # what makes it unusable is raised here
            self._switched = context, both
            return
        if self._agreed() is None:
            raise ValueError("the context of a connection is changed within sni_callback or not at all")
        self._context = context

    def _hello_decision(self) -> Callable[[str | None], object] | None:
        """What a server's engine calls with a hello: the callback's result and other settings, if any."""
        context = self._context
        callback = self._settings.sni_callback
        if callback is None:
            return None
        # The engine must not keep its own connection alive.
        reference = weakref.ref(self)

        def decide(name: str | None) -> tuple[object, object]:
            connection = reference()
            if connection is None:
                raise RuntimeError("the connection is gone")
            connection._deciding = threading.get_ident()
            try:
                answer = callback(connection, name, context)
                switched = connection._switched
                if answer is not None or switched is None:
                    return answer, None
                frozen = switched[1].frozen(True)
                connection._context, connection._settings = switched
                return None, (frozen.settings, _verify_callback(frozen, "client", None))
            finally:
                connection._deciding = connection._switched = None

        return decide

    @property
    def session(self) -> SSLSession | None:
        """A client's session, for a later connection to take up; None before the handshake and on a server.

        Setting it, before the handshake, offers that session. Raises ValueError where it cannot be used:
        on a server, after the handshake, with another context's session; TypeError for anything else.
        """
        stream = self._agreed()
        if stream is None or self._side():
            return None if self._side() else self._session
        resumes, session = self._session if stream.resumed else None, stream.session
        return SSLSession._create(self._context, session, resumes) if session is not None else None

    @session.setter
    def session(self, session: SSLSession | None) -> None:
        self._check_session(session)
        if self._agreed() is not None:
            raise ValueError("Cannot set session after handshake.")
        if self._side():
            return
        stream = self._stream
        if stream is not None:
            if not stream.untouched:
                raise ValueError("Cannot set session after the handshake has begun.")
            self._session = session
            self._renew()
        self._session = session

    def _check_session(self, session: object) -> SSLSession | None:
        if session is None:
            return None
        if not isinstance(session, SSLSession):
            raise TypeError("Value is not a SSLSession.")
        if session._context is not self._context:
            raise ValueError("Session refers to a different SSLContext.")
        if self._side():
            raise ValueError("Cannot set session for server-side SSLSocket.")
        return session

    @property
    def session_reused(self) -> bool | None:
        """Whether the handshake took up an earlier session; None before the handshake."""
        stream = self._agreed()
        return stream.resumed if stream is not None else None

    @overload
    def getpeercert(self, binary_form: Literal[False] = False) -> dict[str, Any] | None: ...
    @overload
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...
    @overload
    def getpeercert(self, binary_form: bool) -> Any: ...
    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate: None if it sent none, {} if it was not validated, its DER bytes on request.

        Raises ValueError before the handshake is done.
        """
        stream = self._known()
        if not stream.established:
            raise ValueError("handshake not done yet")
        chain = stream.peer_chain
        if chain is None:
            return None
        if binary_form:
            return chain[0]
        return decoded(chain[0]) if stream.validated else {}

    def get_unverified_chain(self) -> list[bytes]:
        """The certificates that the peer sent, DER, its own first; empty where it sent none."""
        return [Certificate(der) for der in self._known().peer_chain or []]

    def get_verified_chain(self) -> list[bytes]:
        """The path that convinced us, DER: the peer's certificate, its issuer's, up to the trusted one.

        Where certificates are not validated (CERT_NONE) the same as `get_unverified_chain`, as in `ssl`.
        """
        stream = self._known()
        chain = stream.verified_chain if stream.validated else stream.peer_chain
        return [Certificate(der) for der in chain or []]

    def version(self) -> str | None:
        """The protocol version, "TLSv1.2" or "TLSv1.3"; None before the handshake."""
        stream = self._stream  # which another thread may close at any moment
        agreed = stream.negotiated if stream is not None else None
        return VERSIONS[agreed[0]] if agreed else None

    def cipher(self) -> tuple[str, str, int] | None:
        """(name, protocol version, secret bits); None before the handshake."""
        stream = self._stream  # which another thread may close at any moment
        agreed = stream.negotiated if stream is not None else None
        return describe(agreed[1]) if agreed else None

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """On a server, what of the client's suites exists here: (name, version, bits); None on a client."""
        stream = self._agreed()
        if stream is None or not self._side():
            return None
        protocol = self._settings.protocol
        enabled = {suite.number for suite in protocol.tls13_suites + protocol.tls12_suites}
        return [describe(number) for number in stream.offered_suites if number in enabled]

    def group(self) -> str | None:
        """The key exchange group, for example "X25519MLKEM768"; None before the handshake."""
        stream = self._agreed()
        number = stream.group if stream is not None else None
        return groups.name_of(number) if number is not None else None

    def _sigalg(self, own: bool) -> str | None:
        stream = self._agreed()
        number = stream.signature_schemes[0 if own else 1] if stream is not None else None
        return sigalgs.name_of(number) if number is not None else None

    def client_sigalg(self) -> str | None:
        """The signature algorithm with which the client proved its key, for example "ed25519".

        None before the handshake, where it showed no certificate, and in a resumption.
        """
        return self._sigalg(not self._side())

    def server_sigalg(self) -> str | None:
        """The signature algorithm with which the server proved its key, for example "rsa_pss_rsae_sha256".

        None before the handshake and in a resumption.
        """
        return self._sigalg(self._side())

    def selected_alpn_protocol(self) -> str | None:
        """The protocol agreed on by ALPN (RFC 7301), or None."""
        stream = self._stream
        name = stream.alpn_protocol if stream is not None else None
        return name.decode("ascii", "backslashreplace") if name is not None else None

    def selected_npn_protocol(self) -> None:
        """None: NPN is not offered."""
        return None

    def compression(self) -> None:
        """None: compression is not offered."""
        return None

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """The data that binds an outer authentication to this connection; None before the handshake.

        Raises ValueError for a type that is not in `CHANNEL_BINDING_TYPES`: "tls-unique" is not defined for
        TLS 1.3, and its older form is broken (RFC 7627). Also where the server sent no certificate.
        """
        if cb_type not in CHANNEL_BINDING_TYPES:
            raise ValueError(f"{cb_type} channel binding type not implemented")
        stream = self._agreed()
        if stream is None:
            return None
        if self._side():
            certificate = stream.own_certificate
            return end_point_hash(certificate) if certificate is not None else None
        chain = stream.peer_chain
        if not chain:
            raise ValueError("the server sent no certificate to bind to")
        return end_point_hash(chain[0])

    def verify_client_post_handshake(self) -> None:
        """Raises NotImplementedError: post-handshake authentication is not offered."""
        raise NotImplementedError("Post-handshake auth is not implemented by this TLS engine")

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")
