"""SSLContext: settings that can change at any time, frozen for the engine when a connection is made."""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self, TypeAlias, get_args

from veritls import _engine
from veritls.connection import SSLObject
from veritls.deciding import Chain, Conditions, Frozen, der_chain
from veritls.errors import ssl_error
from veritls.report import Purpose, VerificationReport, accepted
from veritls.socket import SSLSocket
from veritls.stapling import Stapling

PROTOCOL_TLS = ssl.PROTOCOL_TLS
PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT
PROTOCOL_TLS_SERVER = ssl.PROTOCOL_TLS_SERVER

_PROTOCOLS = (PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLSv1_2)
_MAX_HOSTNAME = 253
_NOTHING = Conditions()
_EPOCH = datetime.fromtimestamp(0, UTC)

SNICallback: TypeAlias = Callable[[Any, str | None, Any], int | None]


@functools.lru_cache(maxsize=1024)
def _on_the_wire(name: str) -> str:
    if "\x00" in name:
        raise TypeError("server_hostname: embedded null character")
    if not name or name.startswith("."):
        raise UnicodeError("server_hostname cannot be an empty string or start with a leading dot.")
    try:
        return str(ipaddress.ip_address(name.strip("[]") if name.startswith("[") else name))
    except ValueError:
        pass
    try:
        encoded = name.encode("idna").decode("ascii") if not name.isascii() else name
    except UnicodeError as why:
        raise ValueError(f"server_hostname {name!r} is not a host name: {why}") from None
    if len(encoded.rstrip(".")) > _MAX_HOSTNAME:
        raise ValueError(f"server_hostname is longer than {_MAX_HOSTNAME} bytes")
    if not _engine.is_server_name(encoded):
        raise ValueError(f"server_hostname {name!r} is not a host name")
    return encoded


def _moment(at: datetime | None) -> datetime:
    if at is None:
        at = datetime.now(UTC)
        if at < _EPOCH:
            raise ssl_error("UNUSABLE", "the system's clock cannot be used: it shows a time before 1970")
        return at
    if not isinstance(at, datetime):
        raise TypeError(f"at must be a datetime, not {type(at).__name__}")
    if at.utcoffset() is None:
        raise ValueError("at must be an aware datetime")
    if at < _EPOCH:
        raise ValueError("at must not be before 1970")
    return at


class SSLContext(Stapling):
    """What TLS connections are made with: own credentials, whom to trust, what to demand of a peer.

    The interface, defaults and errors are those of `ssl.SSLContext`. May be shared by threads; a change
    holds for connections made after it.
    """

    sslsocket_class: type[ssl.SSLSocket] = SSLSocket
    sslobject_class: type[ssl.SSLObject] = SSLObject

    _sni_callback: SNICallback | None

    def __new__(cls, protocol: int | None = None, *args: Any, **kwargs: Any) -> Self:
        if protocol is None:
            words = "ssl.SSLContext() without protocol argument is deprecated."
            warnings.warn(words, category=DeprecationWarning, stacklevel=2)
            protocol = PROTOCOL_TLS
        if protocol not in _PROTOCOLS:
            raise ValueError(
                f"protocol {protocol!r} is not offered: use PROTOCOL_TLS_CLIENT or PROTOCOL_TLS_SERVER"
            )
        # The base holds no setting that counts: it is there for isinstance() only.
        self = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        self._set_defaults()
        self._protocol = ssl._SSLMethod(protocol)
        if protocol == PROTOCOL_TLS_CLIENT:
            self._verify_mode, self._check_hostname = ssl.CERT_REQUIRED, True
        self._sni_callback = None
        if protocol in (PROTOCOL_TLS, ssl.PROTOCOL_TLSv1_2):
            words = f"ssl.{self._protocol.name} is deprecated"
            warnings.warn(words, category=DeprecationWarning, stacklevel=2)
        if protocol == ssl.PROTOCOL_TLSv1_2:
            self._minimum = self._maximum = ssl.TLSVersion.TLSv1_2
        return self

    def __init__(self, protocol: int | None = None, *args: Any, **kwargs: Any) -> None:
        pass

    def _freeze(
        self,
        server_side: bool,
        at_least: ssl.VerifyMode = ssl.CERT_NONE,
        first: SSLContext | None = None,
    ) -> Frozen:
        """The settings as the engine takes them; made once and kept until something changes.

        `at_least`: the weakest mode to settle for, whatever `verify_mode` says. `first`: the context that a
        connection had before `sni_callback`, whose demands on the client hold, too.
        """
        extra, since = _NOTHING, None
        if first is not None and first is not self:
            # A change of the first context is a change here: its dictionary is another then.
            since = first._frozen
            at_least, extra = max(at_least, first._verify_mode), first._conditions()
            since = since if extra else None
        key = (server_side, max(self._verify_mode, at_least), id(first) if extra else None)
        kept = self._frozen.get(key)
        if kept is not None and kept[1] is since:
            frozen: Frozen = kept[0]
            return frozen
        with self._lock:
            tls12, tls13 = self._versions()
            suites = (self._tls13_suites if tls13 else ()) + (self._tls12_suites if tls12 else ())
            mode = max(self._verify_mode, at_least)
            recipe: _engine.Recipe = {
                "server_side": server_side,
                "tls12": tls12,
                "tls13": tls13,
                "alpn": self._alpn,
                "suites": [suite.number for suite in suites],
                "groups": list(self._groups),
                "own_order": bool(self._options & ssl.OP_CIPHER_SERVER_PREFERENCE),
                "tickets": None if self._options & ssl.OP_NO_TICKET else self._tickets,
                "keylog": self._keylog,
            }
            conditions = extra + self._conditions()
            demands = self._demands(server_side, mode, conditions)
            settings = _engine.Settings(recipe, demands, self._own(), self._trusted(), self._statistics)
            frozen = Frozen(settings, conditions, demands)
            self._frozen[server_side, mode, key[2]] = frozen, since
            return frozen

    def _check_side(self, server_side: bool) -> None:
        if server_side and self._protocol == PROTOCOL_TLS_CLIENT:
            raise ssl.SSLError("Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
        if not server_side and self._protocol == PROTOCOL_TLS_SERVER:
            raise ssl.SSLError("Cannot create a client socket with a PROTOCOL_TLS_SERVER context")

    def _encode_server_name(self, name: str | bytes | None, *, server_side: bool) -> str | None:
        """server_hostname as it goes on the wire: an A-label or an address (RFC 6066, section 3)."""
        self._check_side(server_side)
        if name is None and server_side:
            return None
        if name is None:
            if self._check_hostname:
                raise ValueError("check_hostname requires server_hostname")
            return None
        return self._ascii_name(name)

    def _ascii_name(self, name: str | bytes) -> str:
        if isinstance(name, bytes):
            name = name.decode("ascii")
        if not isinstance(name, str):
            raise TypeError(f"server_hostname must be a str, not {type(name).__name__}")
        return _on_the_wire(name)

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> SSLSocket:
        """An SSLSocket over `sock`, which it takes over. Arguments and errors as in `ssl`."""
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
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> SSLObject:
        """An SSLObject between two MemoryBIOs, of veritls or of `ssl`.

        Unlike with `wrap_socket` a server may be given a `server_hostname`, as in `ssl`: it has no effect.
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
        """Whether a chain is to be trusted, by exactly the verifier that handshakes use. No socket, no key.

        `chain`: certificates, the peer's own first, each as DER bytes, PEM text or of `cryptography`; or one
        PEM text with all. `server_hostname`: checked where it is given. `at`: an aware datetime, default now.
        `purpose`: "server" or "client", by default whom this context verifies. `ocsp_response`: what the peer
        stapled, DER. It validates whatever `verify_mode` is, and asks the verify callback. Raises
        ssl.SSLCertVerificationError as a handshake would; TypeError, ValueError or ssl.SSLError for arguments
        that cannot be used.
        """
        if purpose is None:
            purpose = "client" if self._protocol == PROTOCOL_TLS_SERVER else "server"
        if purpose not in get_args(Purpose):
            raise ValueError(f"purpose must be 'server' or 'client', not {purpose!r}")
        moment = _moment(at)
        name = self._ascii_name(server_hostname) if server_hostname is not None else None
        frozen = self._freeze(purpose == "client", ssl.CERT_REQUIRED)
        stapled = bool(ocsp_response)
        question = frozen.question(der_chain(chain), purpose, moment, name, name is not None, stapled)
        seconds = int(moment.timestamp())
        above = frozen.settings.verify(question.chain, purpose == "server", name, seconds, ocsp_response)
        report = accepted(question, (question.chain[0], *above))
        frozen.conditions.ask_about_chain(report)
        return report

    @property  # type: ignore[override]
    def sni_callback(self) -> SNICallback | None:
        """Called on a server with (connection, server name or None, context), before it answers a client.

        It may set the connection's `context`. Returns None to go on or the number of an alert to refuse; an
        exception in it refuses too. Raises ValueError on a client's context, TypeError for what is not
        callable.
        """
        return self._sni_callback

    @sni_callback.setter
    def sni_callback(self, callback: SNICallback | None) -> None:
        if self._protocol == PROTOCOL_TLS_CLIENT:
            raise ValueError("sni_callback cannot be set on TLS_CLIENT context")
        if callback is not None and not callable(callback):
            raise TypeError("not a callable object")
        self._sni_callback = callback

    def set_servername_callback(self, server_name_callback: SNICallback | None) -> None:
        """The older name of setting `sni_callback`."""
        self.sni_callback = server_name_callback

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")
