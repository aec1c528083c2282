"""SSLContext: settings that can change at any time, frozen for the engine when a connection is made."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from veritls import _engine, policy
from veritls.connection import SSLObject
from veritls.credentials import Password, StrPath, load_identity
from veritls.errors import ssl_error
from veritls.socket import SSLSocket
from veritls.trust import TrustStore

PROTOCOL_TLS = ssl.PROTOCOL_TLS
PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT
PROTOCOL_TLS_SERVER = ssl.PROTOCOL_TLS_SERVER

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PROTOCOLS = (PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER)
_V = ssl.TLSVersion
_MAX_HOSTNAME = 253


class SSLContext(ssl.SSLContext):
    """What TLS connections are made with: own credentials, whom to trust, what to demand of a peer.

    The interface, defaults and errors are those of `ssl.SSLContext`. May be shared by threads; a change
    holds for connections made after it.
    """

    sslsocket_class: type[ssl.SSLSocket] = SSLSocket
    sslobject_class: type[ssl.SSLObject] = SSLObject

    _lock: threading.RLock
    _protocol: ssl._SSLMethod
    _verify_mode: ssl.VerifyMode
    _check_hostname: bool
    _minimum: ssl.TLSVersion
    _maximum: ssl.TLSVersion
    _alpn: list[bytes]
    _identity: _engine.Identity | None
    _trust: TrustStore
    _frozen: dict[bool, _engine.Settings]

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
        self._lock = threading.RLock()
        self._protocol = ssl._SSLMethod(protocol)
        self._verify_mode = ssl.CERT_NONE
        self._check_hostname = False
        if protocol == PROTOCOL_TLS_CLIENT:
            self._verify_mode, self._check_hostname = ssl.CERT_REQUIRED, True
        self._minimum = _V.MINIMUM_SUPPORTED
        self._maximum = _V.MAXIMUM_SUPPORTED
        self._alpn = []
        self._identity = None
        self._trust = TrustStore()
        self._frozen = {}
        if protocol == PROTOCOL_TLS:
            warnings.warn("ssl.PROTOCOL_TLS is deprecated", category=DeprecationWarning, stacklevel=2)
        return self

    def __init__(self, protocol: int | None = None, *args: Any, **kwargs: Any) -> None:
        pass

    @property
    def protocol(self) -> ssl._SSLMethod:  # type: ignore[override]
        """The protocol constant that the context was made with."""
        return self._protocol

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
            self._frozen = {}

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
            self._frozen = {}

    def _as_version(self, value: int) -> ssl.TLSVersion:
        try:
            return _V(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a valid TLS version") from None

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        """The oldest version to accept. Whatever is set, none older than TLS 1.2 is ever spoken."""
        return self._minimum

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        version = self._as_version(value)
        with self._lock:
            self._minimum = _V.TLSv1_3 if version == _V.MAXIMUM_SUPPORTED else version
            self._frozen = {}

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        """The newest version to accept. Raises ValueError for one before TLS 1.2: those are not offered."""
        return self._maximum

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        version = self._as_version(value)
        if version in (_V.SSLv3, _V.TLSv1, _V.TLSv1_1):
            raise ValueError(f"maximum_version {version.name}: versions before TLS 1.2 are not offered")
        with self._lock:
            self._maximum = _V.TLSv1_2 if version == _V.MINIMUM_SUPPORTED else version
            self._frozen = {}

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """The application protocols to offer or accept, best first (RFC 7301); 1 to 255 bytes each."""
        names = []
        for protocol in alpn_protocols:
            name = bytes(protocol, "ascii")
            if not 0 < len(name) < 256:
                raise ssl.SSLError("ALPN protocols must be 1 to 255 bytes long")
            names.append(name)
        with self._lock:
            self._alpn = names
            self._frozen = {}

    def load_cert_chain(
        self, certfile: StrPath, keyfile: StrPath | None = None, password: Password = None
    ) -> None:
        """Loads one's own certificate, its intermediates and its key from PEM files.

        `password`: str, bytes or a callable that returns one, asked for only if the key is encrypted; there
        is no prompt. Raises OSError for an unreadable file; ssl.SSLError naming file and reason where the
        content cannot be used. The context then stays as it was.
        """
        identity = load_identity(certfile, keyfile, password)
        with self._lock:
            self._identity = identity
            self._frozen = {}

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
            self._frozen = {}

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """Adds what the operating system trusts; SSL_CERT_FILE and SSL_CERT_DIR are honoured."""
        if not isinstance(purpose, ssl._ASN1Object):
            raise TypeError(purpose)
        with self._lock:
            self._trust.load_system()
            self._frozen = {}

    def set_default_verify_paths(self) -> None:
        """The same as `load_default_certs()`."""
        self.load_default_certs()

    def _versions(self) -> tuple[bool, bool]:
        minimum = max(self._minimum, _V.TLSv1_2) if self._minimum > 0 else _V.TLSv1_2
        maximum = self._maximum if self._maximum > 0 else _V.TLSv1_3
        return minimum <= _V.TLSv1_2 <= maximum, minimum <= _V.TLSv1_3 <= maximum

    def _settings(self, server_side: bool) -> _engine.Settings:
        """The settings as the engine takes them; made once and kept until something changes."""
        settings = self._frozen.get(server_side)
        if settings is not None:
            return settings
        with self._lock:
            tls12, tls13 = self._versions()
            if not (tls12 or tls13):
                raise ssl_error(
                    "NO_PROTOCOLS_AVAILABLE",
                    f"no protocols available between minimum_version {self._minimum.name} "
                    f"and maximum_version {self._maximum.name}",
                )
            rule = policy.rule(server_side=server_side, mode=self._verify_mode)
            settings = _engine.Settings(
                server_side=server_side,
                tls12=tls12,
                tls13=tls13,
                alpn=self._alpn,
                identity=self._identity,
                trust=self._trust.frozen(),
                request=rule.request,
                require=rule.require,
                validate=rule.validate,
                check_name=rule.name_matters and self._check_hostname,
            )
            self._frozen[server_side] = settings
            return settings

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
        if "\x00" in name:
            raise TypeError("server_hostname: embedded null character")
        if not name or name.startswith("."):
            raise ValueError("server_hostname cannot be an empty string or start with a leading dot.")
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

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
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
        session: ssl.SSLSession | None = None,
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

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """The trusted certificates, DER where `binary_form`, else decoded as by `getpeercert`."""
        from veritls.certificate import decoded

        certificates = self._trust.certificates()
        return certificates if binary_form else [decoded(der) for der in certificates]

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")


def create_default_context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
    *,
    cafile: StrPath | None = None,
    capath: StrPath | None = None,
    cadata: str | ReadableBuffer | None = None,
) -> SSLContext:
    """A context with the defaults of `ssl.create_default_context`: SERVER_AUTH verifies servers by name.

    Without cafile, capath and cadata a client context trusts what the operating system trusts.
    Raises TypeError for a `purpose` that is none.
    """
    if not isinstance(purpose, ssl._ASN1Object):
        raise TypeError(purpose)
    if purpose == ssl.Purpose.SERVER_AUTH:
        context = SSLContext(PROTOCOL_TLS_CLIENT)
    elif purpose == ssl.Purpose.CLIENT_AUTH:
        context = SSLContext(PROTOCOL_TLS_SERVER)
    else:
        raise ValueError(purpose)
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs(purpose)
    return context
