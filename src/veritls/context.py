"""SSLContext: settings that can change at any time, frozen for the engine when a connection is made."""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from veritls import _engine, policy
from veritls.certificate import decoded
from veritls.connection import SSLObject
from veritls.credentials import Password, StrPath, load_identity
from veritls.parameters import Parameters
from veritls.socket import SSLSocket
from veritls.trust import TrustStore

PROTOCOL_TLS = ssl.PROTOCOL_TLS
PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT
PROTOCOL_TLS_SERVER = ssl.PROTOCOL_TLS_SERVER

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PROTOCOLS = (PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLSv1_2)
_MAX_HOSTNAME = 253
_VERIFY_FLAGS = (
    ssl.VERIFY_CRL_CHECK_CHAIN
    | ssl.VERIFY_X509_STRICT
    | ssl.VERIFY_X509_TRUSTED_FIRST
    | ssl.VERIFY_X509_PARTIAL_CHAIN
)

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


class SSLContext(Parameters):
    """What TLS connections are made with: own credentials, whom to trust, what to demand of a peer.

    The interface, defaults and errors are those of `ssl.SSLContext`. May be shared by threads; a change
    holds for connections made after it.
    """

    sslsocket_class: type[ssl.SSLSocket] = SSLSocket
    sslobject_class: type[ssl.SSLObject] = SSLObject

    _verify_mode: ssl.VerifyMode
    _check_hostname: bool
    _verify_flags: ssl.VerifyFlags
    _sni_callback: SNICallback | None
    _identities: dict[str, _engine.Identity]
    _trust: TrustStore

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
        self._verify_mode = ssl.CERT_NONE
        self._check_hostname = False
        if protocol == PROTOCOL_TLS_CLIENT:
            self._verify_mode, self._check_hostname = ssl.CERT_REQUIRED, True
        self._verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
        self._sni_callback = None
        self._identities = {}
        self._trust = TrustStore()
        if protocol in (PROTOCOL_TLS, ssl.PROTOCOL_TLSv1_2):
            words = f"ssl.{self._protocol.name} is deprecated"
            warnings.warn(words, category=DeprecationWarning, stacklevel=2)
        if protocol == ssl.PROTOCOL_TLSv1_2:
            self._minimum = self._maximum = ssl.TLSVersion.TLSv1_2
        return self

    def __init__(self, protocol: int | None = None, *args: Any, **kwargs: Any) -> None:
        pass

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """What to demand of the peer: CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED; see `veritls.policy`.

        Raises ValueError for anything else, and for CERT_NONE while `check_hostname` is on.
        """
        return self._verify_mode

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        if not isinstance(value, int):
            raise TypeError(f"verify_mode must be a VerifyMode, not {type(value).__name__}")
        try:
            mode = ssl.VerifyMode(value)
        except ValueError:
            raise ValueError(f"invalid value for verify_mode: {value!r}") from None
        with self._lock:
            if mode == ssl.CERT_NONE and self._check_hostname:
                raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
            self._verify_mode = mode
            self._changed()

    @property
    def check_hostname(self) -> bool:
        """Whether a client compares the server's certificate with `server_hostname` (RFC 9525).

        Turning it on raises CERT_NONE to CERT_REQUIRED.
        """
        return self._check_hostname

    @check_hostname.setter
    def check_hostname(self, value: object) -> None:
        with self._lock:
            self._check_hostname = bool(value)
            if self._check_hostname and self._verify_mode == ssl.CERT_NONE:
                self._verify_mode = ssl.CERT_REQUIRED
            self._changed()

    def load_cert_chain(
        self, certfile: StrPath, keyfile: StrPath | None = None, password: Password = None
    ) -> None:
        """Loads one's own certificate, its intermediates and its key from PEM files.

        One identity of each kind of key is kept, and used with peers that can verify it; another of the same
        kind replaces it.
        `password`: str, bytes or a callable that returns one, asked for only if the key is encrypted; there
        is no prompt. Raises OSError for an unreadable file; ssl.SSLError naming file and reason where the
        content cannot be used. The context then stays as it was.
        """
        identity = load_identity(certfile, keyfile, password)
        with self._lock:
            self._identities = self._identities | {identity.algorithm: identity}
            self._changed()

    def load_verify_locations(
        self,
        cafile: StrPath | None = None,
        capath: StrPath | None = None,
        cadata: str | ReadableBuffer | None = None,
    ) -> None:
        """Adds trusted certificates: a PEM file, a folder in OpenSSL's hashed layout, PEM str or DER bytes.

        Raises TypeError if all are omitted, OSError for what cannot be read, ssl.SSLError (naming the file)
        or ValueError for what holds no usable certificate. What came before the failing one stays.
        """
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        with self._lock:
            if cadata is not None:
                if not isinstance(cadata, str | bytes | bytearray | memoryview):
                    raise TypeError("cadata should be an ASCII string or a bytes-like object")
                self._trust.load_data(cadata if isinstance(cadata, str) else bytes(cadata))
            if cafile is not None:
                self._trust.load_file(cafile)
            if capath is not None:
                self._trust.load_folder(capath)
            self._changed()

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """Adds what the operating system trusts; SSL_CERT_FILE and SSL_CERT_DIR are honoured."""
        if not isinstance(purpose, ssl._ASN1Object):
            raise TypeError(purpose)
        with self._lock:
            self._trust.load_system()
            self._changed()

    def set_default_verify_paths(self) -> None:
        """The same as `load_default_certs()`."""
        self.load_default_certs()

    def _settings(self, server_side: bool, at_least: ssl.VerifyMode = ssl.CERT_NONE) -> _engine.Settings:
        """The settings as the engine takes them; made once and kept until something changes.

        `at_least`: the weakest mode to settle for, whatever `verify_mode` says.
        """
        mode = max(self._verify_mode, at_least)
        settings = self._frozen.get((server_side, mode))
        if settings is not None:
            return settings
        with self._lock:
            tls12, tls13 = self._versions()
            suites = (self._tls13_suites if tls13 else ()) + (self._tls12_suites if tls12 else ())
            mode = max(self._verify_mode, at_least)
            rule = policy.rule(server_side=server_side, mode=mode)
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
                "request": rule.request,
                "require": rule.require,
                "validate": rule.validate,
                "check_name": rule.name_matters and self._check_hostname,
                "revocation": self._revocation(),
                "strict": bool(self._verify_flags & ssl.VERIFY_X509_STRICT),
            }
            trust = self._trust.frozen(partial_chain=bool(self._verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN))
            settings = _engine.Settings(recipe, self._own(), trust, self._statistics)
            self._frozen[server_side, mode] = settings
            return settings

    def _revocation(self) -> Literal["none", "leaf", "chain"]:
        if self._verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN == ssl.VERIFY_CRL_CHECK_CHAIN:
            return "chain"
        return "leaf" if self._verify_flags & ssl.VERIFY_CRL_CHECK_LEAF else "none"

    def _check_side(self, server_side: bool) -> None:
        if server_side and self._protocol == PROTOCOL_TLS_CLIENT:
            raise ssl.SSLError("Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
        if not server_side and self._protocol == PROTOCOL_TLS_SERVER:
            raise ssl.SSLError("Cannot create a client socket with a PROTOCOL_TLS_SERVER context")

    def _encode_server_name(self, name: str | bytes | None, *, server_side: bool) -> str | None:
        """server_hostname as it goes on the wire: an A-label or an address (RFC 6066, section 3)."""
        self._check_side(server_side)
        if server_side:
            if name:
                raise ValueError("server_hostname can only be specified in client mode")
            return None
        if name is None:
            if self._check_hostname:
                raise ValueError("check_hostname requires server_hostname")
            return None
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
    ) -> Any:
        """An SSLSocket over `sock`, which it takes over. Arguments and errors as in `ssl`."""
        return self.sslsocket_class._create(  # type: ignore[attr-defined]
            sock=sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=server_hostname,
            context=self,
            session=session,
        )

    def wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> Any:
        """An SSLObject between two MemoryBIOs, of veritls or of `ssl`."""
        return self.sslobject_class._create(  # type: ignore[attr-defined]
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
            session=session,
            context=self,
        )

    @property
    def verify_flags(self) -> ssl.VerifyFlags:
        """How paths are verified: VERIFY_CRL_CHECK_LEAF or _CHAIN, VERIFY_X509_STRICT, _PARTIAL_CHAIN.

        VERIFY_X509_TRUSTED_FIRST is always so. Raises ValueError for a flag that is not offered.
        """
        return self._verify_flags

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        flags = ssl.VerifyFlags(value)
        unknown = flags & ~_VERIFY_FLAGS
        if unknown:
            raise ValueError(f"verify_flags: {unknown!r} is not offered")
        with self._lock:
            self._verify_flags = flags
            self._changed()

    @property
    def hostname_checks_common_name(self) -> bool:
        """False: a name in the subject is no proof of anything (RFC 9525, section 2). Cannot be turned on."""
        return False

    @hostname_checks_common_name.setter
    def hostname_checks_common_name(self, value: object) -> None:
        if value:
            raise ValueError("hostname_checks_common_name is not offered: only subjectAltName counts")

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

    def _own(self) -> list[_engine.Identity]:
        """Our identities, the one to prefer first: ECDSA signs and verifies faster than RSA.

        A certificate that came alone is sent with those above it that are in the trust set, as by OpenSSL.
        """
        own = []
        for identity in sorted(self._identities.values(), key=lambda each: each.algorithm):
            above = self._trust.path_above(identity.chain[0]) if len(identity.chain) == 1 else []
            own.append(identity.completed(above) if above else identity)
        return own

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates ("x509"), of them authorities' ("x509_ca"), and revocation lists ("crl")."""
        return self._trust.statistics()

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """The trusted authorities, DER where `binary_form`, else decoded as by `getpeercert`."""
        certificates = self._trust.authorities()
        return certificates if binary_form else [decoded(der) for der in certificates]

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")
