"""What an SSLSocket and an SSLObject have in common: the state of the connection."""

from __future__ import annotations

import os
import ssl
import sys
from _thread import get_ident

from veritls import _engine
from veritls._context import groups
from veritls._context.cipher_suites import VERSIONS, describe
from veritls._context.settings import Frozen, HasSettings, Settings
from veritls._value import shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, Literal, overload

    from veritls._connection.session import SSLSession
    from veritls._connection.sslobj import SSLObj
    from veritls._context.context import SSLContext
    from veritls._report.request import Purpose
    from veritls.events import Subscription

CHANNEL_BINDING_TYPES = ["tls-server-end-point"]
"""The channel binding types of `get_channel_binding` (RFC 5929)."""


def _before_fork() -> tuple[ModuleType, ...]:
    """What a connection may import late, imported. The child would not have the thread that does it now."""
    if len(sys._current_frames()) == 1:
        return ()
    from veritls._connection import session, sslobj
    from veritls._context import asking
    from veritls._explaining import refusals
    from veritls._loading import certificates

    late = asking, certificates, refusals, session, sslobj
    # `logging` cannot be imported by a fork: it would release a lock that it did not take. Where no thread
    # has begun to, the child can do so itself.
    if not sys.modules.keys() & {"logging", "veritls._connection.telling"}:
        return late
    from veritls._connection import telling

    return *late, telling


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)


NOT_YET = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""The errors of a handshake that goes on."""

_DEBUG = 10
_log: Any = None
"""The logger of handshakes; None while nothing has imported `logging`."""

_dropped: list[ConnectionState] = []
"""SSLObjects that were let go of within their handshake, and are to be told of."""


def _logs_everything() -> bool:
    """Whether handshakes that are completed are logged."""
    global _log
    if _log is None:
        make = getattr(sys.modules.get("logging"), "getLogger", None)
        if make is None:
            return False
        _log = make("veritls.handshake")
    debug: bool = _log.isEnabledFor(_DEBUG)
    return debug


def _verify_callback(frozen: Frozen, purpose: Purpose, name: str | None) -> _engine.VerifyCallback | None:
    """The function that the engine calls within a handshake; None where no callback is set."""
    if not frozen.peer.callbacks:
        return None
    from veritls._context.asking import verify_callback

    return verify_callback(frozen, purpose, name)


def _tell_of_dropped() -> None:
    while _dropped:
        try:
            connection = _dropped.pop(0)
        except IndexError:  # another thread has it
            return
        stream = connection._require_stream()
        end = stream.end(True, True)
        if end is not None:
            connection._tell(stream, "dropped" if end == "given_up" else end)


@shown_in("veritls")
class ConnectionState:
    """Mixed into SSLSocket and SSLObject. Most attributes are None before the handshake is done."""

    _context: SSLContext
    _settings: Settings
    """The context's settings when the connection was made. After `sni_callback` has chosen another context,
    its settings with the demands of both."""
    _stream: _engine.Stream | None
    _session: SSLSession | None
    _sni_callback_thread: int | None = None
    """The thread in which sni_callback runs, during the call."""
    _chosen_in_callback: tuple[SSLContext, Settings] | None = None
    """The context that sni_callback has chosen so far, and the settings that then apply: swapped as one."""
    _heard_by: tuple[Subscription, ...] = ()
    """Those who heard all handshakes of the process when the connection was made."""
    _watched = False
    """Whether anybody is to hear of a handshake that is completed."""
    _timed_out = False
    """Whether the last call that did the handshake took too long."""
    _peer_address: Any = None
    """Within the handshake: the kernel forgets it when the peer resets."""

    def _is_server(self) -> bool:
        raise NotImplementedError

    def _require_stream(self) -> _engine.Stream:
        """The engine's connection. Raises OSError or ValueError where there is none."""
        raise NotImplementedError

    def _renew(self) -> None:
        """Replaces the engine's connection, before the first step of the handshake."""
        raise NotImplementedError

    def _made(
        self,
        name: str | None,
        bios: tuple[_engine.MemoryBIO, _engine.MemoryBIO] | None,
        descriptor: int | None = None,
    ) -> _engine.Stream:
        """A new engine's connection with `_settings`."""
        server_side, session = self._is_server(), self._session
        frozen = self._settings.frozen(server_side)
        name = None if server_side else name  # a server's has no effect, as with `ssl`
        if frozen.demands["check_name"] and name is None:
            raise ValueError("check_hostname requires server_hostname")
        callback = _verify_callback(frozen, "client" if server_side else "server", name)
        offer = session._engine_session if session is not None else None
        on_hello = self._client_hello_handler() if server_side else None
        stream = _engine.Stream(frozen.settings, name, bios, offer, on_hello, callback, descriptor)
        if _dropped:
            _tell_of_dropped()
        everywhere = _engine.listeners.get()
        if everywhere:
            self._heard_by = everywhere
        if everywhere or self._settings.listeners or _logs_everything():
            self._watch(stream)
        if self._settings.fresh and not server_side and descriptor is not None:
            refusal = self._stale()  # the first read or write may do the handshake, which asks nobody
            if refusal is not None:
                self._failed(stream, refusal, broken=True)
                raise refusal
        return stream

    def _stale(self) -> ssl.SSLError | None:
        """The error where what the context follows was read too long ago (`max_stale`); else None."""
        for each in self._settings.fresh:
            refusal = each.refusal()
            if refusal is not None:
                return refusal
        return None

    def _refuse_stale(self) -> None:
        """Raises it on a client that has sent nothing yet. A server answers a hello by an alert."""
        stream = self._stream
        if self._is_server() or stream is None or not stream.untouched:
            return
        refusal = self._stale()
        if refusal is not None:
            self._failed(stream, refusal, broken=True)
            raise refusal

    def _watch(self, stream: _engine.Stream) -> None:
        """Has the engine say when the handshake is completed."""
        self._watched = True
        import weakref

        # The engine must not keep its own connection alive.
        connection_of, stream_of = weakref.ref(self), weakref.ref(stream)

        def on_completed() -> None:
            connection, stream = connection_of(), stream_of()
            if connection is not None and stream is not None:
                connection._tell(stream, "completed")

        stream.watch(on_completed)

    def _tell(self, stream: _engine.Stream, end: str, error: BaseException | None = None) -> None:
        """Tells that the handshake has ended. Raises nothing but what ends the program."""
        try:
            from veritls._connection import telling

            telling.tell(self, stream, end, error)
        except Exception as fault:  # at the end of the interpreter there are no imports any more
            _engine.report_unraisable(fault, self)

    def _failed(self, stream: _engine.Stream, error: BaseException, *, broken: bool = False) -> None:
        """`error` was raised by a call that may do the handshake: tells of its end, where it ended by that.

        `broken`: whatever the engine says, it cannot go on.
        """
        end = None if isinstance(error, NOT_YET) else stream.end(False, broken)
        if end is not None:
            self._tell(stream, end, error)

    def _left(self, stream: _engine.Stream) -> None:
        """Nothing of `stream` is used any more, and nobody was told how its handshake ended."""
        end = stream.end(True, True)
        if end is not None:
            self._tell(stream, end)

    def _address(self) -> Any:
        """The peer's address; None where there is none."""
        return self._peer_address

    def _asked_name(self) -> str | None:
        """A client's `server_hostname`."""
        raise NotImplementedError  # SSLSocket and SSLObject each keep their own

    def _agreed(self) -> _engine.Stream | None:
        stream = self._stream
        return stream if stream is not None and stream.established else None

    @property
    def _sslobj(self) -> SSLObj | None:
        """None unless TLS is on: libraries check that, and get the chains from it before Python 3.13."""
        if self._stream is None:
            return None
        from veritls._connection.sslobj import SSLObj

        return SSLObj(self)

    @property
    def context(self) -> SSLContext:
        """The context of the connection. `SSLContext.sni_callback` may set it.

        The connection then has the identities, trust anchors, CRLs and ALPN of the new context, and meets the
        demands of both: the stricter `verify_mode`, the `verify_flags`, `allowed_peers`, `pinned_keys` and
        verify callbacks of both, the versions, cipher suites and groups that both allow. Raises ssl.SSLError
        where none is left, TypeError for anything but a context of veritls, ValueError at any other time
        before the handshake is done. Afterwards setting it changes this attribute only, as in `ssl`.
        """
        chosen = self._chosen_in_callback
        return self._context if chosen is None else chosen[0]

    @context.setter
    def context(self, context: SSLContext) -> None:
        if not isinstance(context, HasSettings):
            raise TypeError("The value must be a SSLContext")
        if self._sni_callback_thread == get_ident():
            both = context._settings.after(self._settings)
            both.frozen(True)  # raises where the settings cannot be used
            self._chosen_in_callback = context, both
            return
        if self._agreed() is None:
            raise ValueError("the context of a connection can only be set within its sni_callback")
        self._context = context

    def _client_hello_handler(self) -> Callable[[str | None], object] | None:
        """The function that a server's engine calls with a client's hello; None where nothing is asked.

        Its result: the callback's, or an error of this side's; and the engine's form of the chosen context's
        settings, if there are any.
        """
        context = self._context
        callback = self._settings.sni_callback
        if callback is None and not self._settings.fresh:
            return None
        import weakref

        # The engine must not keep its own connection alive.
        reference = weakref.ref(self)

        def on_hello(name: str | None) -> tuple[object, object]:
            connection = reference()
            if connection is None:
                raise RuntimeError("the connection is gone")
            stale = connection._stale()
            if stale is not None or callback is None:
                return stale, None
            connection._sni_callback_thread = get_ident()
            try:
                answer = callback(connection, name, context)
                chosen = connection._chosen_in_callback
                if answer is not None or chosen is None:
                    if isinstance(answer, BaseException):
                        raise TypeError(f"sni_callback must return an alert or None, not {answer!r}")
                    return answer, None
                frozen = chosen[1].frozen(True)
                connection._context, connection._settings = chosen
                stale = connection._stale()
                if stale is not None:
                    return stale, None
                stream = connection._stream
                if chosen[1].listeners and not connection._watched and stream is not None:
                    connection._watch(stream)
                return None, (frozen.settings, _verify_callback(frozen, "client", None))
            finally:
                connection._sni_callback_thread = connection._chosen_in_callback = None

        return on_hello

    @property
    def session(self) -> SSLSession | None:
        """A client's session, for a later connection to resume; None on a server.

        Before the handshake it is the session to resume, None by default, and can be set. Raises TypeError
        for anything but an SSLSession or None; ValueError on a server, once the handshake has begun, and for
        another context's session.
        """
        stream = self._agreed()
        if stream is None or self._is_server():
            return None if self._is_server() else self._session
        resumes, session = self._session if stream.resumed else None, stream.session
        if session is None:
            return None
        from veritls._connection.session import SSLSession

        return SSLSession._create(self._context, session, resumes)

    @session.setter
    def session(self, session: SSLSession | None) -> None:
        self._check_session(session)
        if self._agreed() is not None:
            raise ValueError("Cannot set session after handshake.")
        if self._is_server():
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
        from veritls._connection.session import SSLSession

        if not isinstance(session, SSLSession):
            raise TypeError("Value is not a SSLSession.")
        if session._context is not self._context:
            raise ValueError("Session refers to a different SSLContext.")
        if self._is_server():
            raise ValueError("Cannot set session for server-side SSLSocket.")
        return session

    @property
    def session_reused(self) -> bool | None:
        """Whether the handshake resumed an earlier session; None before it is done."""
        stream = self._agreed()
        return stream.resumed if stream is not None else None

    if TYPE_CHECKING:

        @overload
        def getpeercert(self, binary_form: Literal[False] = False) -> dict[str, Any] | None: ...
        @overload
        def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...
        @overload
        def getpeercert(self, binary_form: bool) -> Any: ...

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate as a dict (`ssl.SSLSocket.getpeercert`), or as DER bytes with `binary_form`.

        None if the peer sent none; the dict is empty if it was not validated (CERT_NONE). Raises ValueError
        before the handshake is done.
        """
        stream = self._require_stream()
        if not stream.established:
            raise ValueError("handshake not done yet")
        chain = stream.peer_chain
        if chain is None:
            return None
        if binary_form:
            return chain[0]
        if not stream.validated:
            return {}
        from veritls._loading.certificates import decoded

        return decoded(chain[0])

    def get_unverified_chain(self) -> list[bytes]:
        """The certificates that the peer sent (DER), its own first; empty where it sent none.

        Raises ValueError where TLS is not on.
        """
        from veritls._connection.sslobj import Certificate

        return [Certificate(der) for der in self._require_stream().peer_chain or []]

    def get_verified_chain(self) -> list[bytes]:
        """The verified path (DER): the peer's certificate, its issuer's, up to the trust anchor.

        Where certificates are not validated (CERT_NONE), as `get_unverified_chain`, as in `ssl`. Raises
        ValueError where TLS is not on.
        """
        from veritls._connection.sslobj import Certificate

        stream = self._require_stream()
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
        """On a server, the client's suites that are enabled here, each as in `cipher`; None on a client.

        None before the handshake, too.
        """
        stream = self._agreed()
        if stream is None or not self._is_server():
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
        if number is None:
            return None
        from veritls._context.signature_algorithms import name_of

        return name_of(number)

    def client_sigalg(self) -> str | None:
        """The signature algorithm with which the client proved that it holds its key, for example "ed25519".

        None before the handshake, without a client certificate, and on resumption (`ssl` of Python 3.15).
        """
        return self._sigalg(not self._is_server())

    def server_sigalg(self) -> str | None:
        """The signature algorithm with which the server proved that it holds its key, for example "ed25519".

        None before the handshake and on resumption (`ssl` of Python 3.15).
        """
        return self._sigalg(self._is_server())

    def selected_alpn_protocol(self) -> str | None:
        """The protocol that ALPN (RFC 7301) has selected; None where there is none."""
        stream = self._stream
        name = stream.alpn_protocol if stream is not None else None
        return name.decode("ascii", "backslashreplace") if name is not None else None

    def selected_npn_protocol(self) -> None:
        """None: NPN is not supported."""
        return None

    def compression(self) -> None:
        """None: compression is not supported."""
        return None

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """The channel binding bytes of type `cb_type` (RFC 5929).

        None before the handshake, without a server certificate, and where its signature algorithm has no
        hash. Raises ValueError for a type that is not in `CHANNEL_BINDING_TYPES`: "tls-unique" is not defined
        for TLS 1.3, and is not secure before (RFC 7627).
        """
        if cb_type not in CHANNEL_BINDING_TYPES:
            raise ValueError(f"{cb_type} channel binding type not implemented")
        stream = self._agreed()
        if stream is None:
            return None
        if self._is_server():
            certificate = stream.own_certificate
        else:
            certificate = next(iter(stream.peer_chain or ()), None)
        if certificate is None:
            return None
        from veritls._loading.channel_binding import end_point_hash

        return end_point_hash(certificate)

    def verify_client_post_handshake(self) -> None:
        """Raises NotImplementedError: post-handshake authentication is not supported (`HAS_PHA`)."""
        raise NotImplementedError("Post-handshake auth is not implemented by this TLS engine")

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")
