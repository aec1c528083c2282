"""The settings of a context that are not about trust: versions, suites, groups, ALPN, tickets, key log."""

from __future__ import annotations

import os
import ssl
import threading
import warnings
from collections.abc import Iterable
from typing import Any

from veritls import _engine, ciphers, groups, keylog
from veritls.errors import ssl_error
from veritls.pem import StrPath, pem_blocks, read_file

_V = ssl.TLSVersion
_NO_VERSION = (
    ssl.OP_NO_SSLv2
    | ssl.OP_NO_SSLv3
    | ssl.OP_NO_TLSv1
    | ssl.OP_NO_TLSv1_1
    | ssl.OP_NO_TLSv1_2
    | ssl.OP_NO_TLSv1_3
)


class Parameters(ssl.SSLContext):
    """The base of SSLContext. A change holds for connections made after it."""

    _lock: threading.RLock
    _frozen: dict[Any, Any]
    _protocol: ssl._SSLMethod
    _minimum: ssl.TLSVersion
    _maximum: ssl.TLSVersion
    _options: ssl.Options
    _alpn: list[bytes]
    _tls12_suites: tuple[ciphers.Suite, ...]
    _tls13_suites: tuple[ciphers.Suite, ...]
    _groups: tuple[int, ...]
    _tickets: int
    _keylog: str | None
    _statistics: _engine.Statistics

    def _set_defaults(self) -> None:
        self._lock = threading.RLock()
        self._frozen = {}
        self._minimum = _V.MINIMUM_SUPPORTED
        self._maximum = _V.MAXIMUM_SUPPORTED
        self._options = super().options
        self._alpn = []
        self._tls12_suites = ciphers.DEFAULT_TLS12
        self._tls13_suites = ciphers.DEFAULT_TLS13
        self._groups = groups.DEFAULT
        self._tickets = 2
        self._keylog = None
        self._statistics = _engine.Statistics()

    def _changed(self) -> None:
        """To be called, with the lock held, after every change: the next connection freezes anew."""
        self._frozen = {}

    @property
    def protocol(self) -> ssl._SSLMethod:  # type: ignore[override]
        """The protocol constant that the context was made with."""
        return self._protocol

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
            self._changed()

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
            self._changed()

    def _versions(self) -> tuple[bool, bool]:
        """Whether TLS 1.2 and TLS 1.3 may be spoken. Raises ssl.SSLError where neither may."""
        minimum = max(self._minimum, _V.TLSv1_2) if self._minimum > 0 else _V.TLSv1_2
        maximum = self._maximum if self._maximum > 0 else _V.TLSv1_3
        tls12 = minimum <= _V.TLSv1_2 <= maximum and not self._options & ssl.OP_NO_TLSv1_2
        tls13 = minimum <= _V.TLSv1_3 <= maximum and not self._options & ssl.OP_NO_TLSv1_3
        if not (tls12 or tls13):
            raise ssl_error(
                "NO_PROTOCOLS_AVAILABLE",
                f"no protocols available between minimum_version {self._minimum.name} "
                f"and maximum_version {self._maximum.name} with these options",
            )
        return tls12, tls13

    @property
    def options(self) -> ssl.Options:
        """Flags of `ssl`. These count: OP_NO_TLSv1_2, OP_NO_TLSv1_3, OP_NO_TICKET (no resumption),
        OP_CIPHER_SERVER_PREFERENCE. What others forbid is never done here; docs/compatibility.md lists all.
        """
        return self._options

    @options.setter
    def options(self, value: int) -> None:
        if not 0 <= value < 1 << 64:
            raise OverflowError("options must be a number of 64 bits")
        flags = ssl.Options(value)
        with self._lock:
            if flags & ~self._options & _NO_VERSION:
                words = "ssl.OP_NO_SSL*/ssl.OP_NO_TLS* options are deprecated"
                warnings.warn(words, category=DeprecationWarning, stacklevel=2)
            self._options = flags
            self._changed()

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
            self._changed()

    def set_npn_protocols(self, npn_protocols: Iterable[str]) -> None:
        """Raises NotImplementedError: NPN, the forerunner of ALPN, is not offered (`ssl.HAS_NPN`)."""
        raise NotImplementedError("NPN is not offered: use set_alpn_protocols")

    def set_ciphers(self, ciphers: str) -> None:
        """The TLS 1.2 suites to use, as an OpenSSL cipher string over those that exist here.

        Raises ssl.SSLError where it leaves none.
        """
        self._select_suites("_tls12_suites", _select, ciphers)

    def set_ciphersuites(self, ciphersuites: str) -> None:
        """The TLS 1.3 suites to use: names separated by colons. Raises ssl.SSLError for an unknown one."""
        self._select_suites("_tls13_suites", _select_tls13, ciphersuites)

    def _select_suites(self, kept: str, select: Any, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"ciphers must be a str, not {type(text).__name__}")
        try:
            chosen = select(text)
        except ValueError as why:
            raise ssl.SSLError(str(why)) from None
        with self._lock:
            setattr(self, kept, chosen)
            self._changed()

    def get_ciphers(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The suites in use, best first, described as `ssl` documents."""
        return [suite.described() for suite in self._tls13_suites + self._tls12_suites]

    def set_groups(self, groups: str) -> None:
        """The key exchange groups to use: names separated by colons, best first; ``?`` marks an optional one.

        Raises ssl.SSLError for a name that does not exist here.
        """
        if not isinstance(groups, str):
            raise TypeError(f"groups must be a str, not {type(groups).__name__}")
        try:
            chosen = _select_groups(groups)
        except ValueError as why:
            raise ssl.SSLError(str(why)) from None
        with self._lock:
            self._groups = chosen
            self._changed()

    def get_groups(self, *, include_aliases: bool = False) -> list[str]:
        """The names of the groups in use, best first; with `include_aliases` their other names too."""
        names = [groups.NAMES.get(number, (groups.name_of(number),)) for number in self._groups]
        return [name for known in names for name in (known if include_aliases else known[:1])]

    def set_ecdh_curve(self, name: str | bytes) -> None:
        """The one key exchange group to use. Raises ValueError for a name that does not exist here."""
        text = name.decode("ascii", "backslashreplace") if isinstance(name, bytes) else name
        if not isinstance(text, str):
            raise TypeError(f"name must be str or bytes, not {type(name).__name__}")
        number = groups.number_of(text)
        with self._lock:
            self._groups = (number,)
            self._changed()

    def load_dh_params(self, path: StrPath) -> None:
        """Reads the PEM file and warns: they have no effect, because no suite here uses finite-field DH.

        Raises OSError for a file that cannot be read, ssl.SSLError for one without DH parameters.
        """
        if b"DH PARAMETERS" not in dict(pem_blocks(read_file(path, "DH parameters"))):
            words = f"no start line: no DH parameters in {os.fsdecode(path)!r}"
            raise ssl_error("NO_START_LINE", words, library="PEM")
        words = "DH parameters have no effect: no cipher suite here uses finite-field Diffie-Hellman"
        warnings.warn(words, category=RuntimeWarning, stacklevel=2)

    @property
    def num_tickets(self) -> int:
        """How many tickets a server sends after a TLS 1.3 handshake. Raises ValueError on a client."""
        return self._tickets

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:
        if value < 0:
            raise ValueError("value must be non-negative")
        if self._protocol != ssl.PROTOCOL_TLS_SERVER:
            raise ValueError("SSLContext is not a server context.")
        with self._lock:
            self._tickets = int(value)
            self._changed()

    @property  # type: ignore[override]
    def keylog_filename(self) -> str | None:
        """A file to which the secrets of every connection are appended, or None. For debugging only.

        Whoever reads it reads the traffic: it is made for its owner alone (mode 0600). Raises
        OSError if it cannot be written.
        """
        return self._keylog

    @keylog_filename.setter
    def keylog_filename(self, value: StrPath | None) -> None:
        path = os.fsdecode(value) if value is not None else None
        if path is not None:
            keylog.begin(path)
        with self._lock:
            self._keylog = path
            self._changed()

    @property
    def security_level(self) -> int:  # type: ignore[override]
        """2, in OpenSSL's terms: it cannot be lowered."""
        return ciphers.MAX_LEVEL

    @property
    def post_handshake_auth(self) -> None:  # type: ignore[override]
        """None, which is the answer of `ssl` where post-handshake authentication is not available."""
        return None

    @property
    def _msg_callback(self) -> None:
        """None: the engine does not show its messages."""
        return None

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("this belongs to the standard module's own engine")

    _wrap_socket = _wrap_bio = _set_alpn_protocols = _refuse

    def set_psk_client_callback(self, callback: Any) -> None:
        """Raises NotImplementedError: pre-shared keys are not offered (`HAS_PSK`)."""
        raise NotImplementedError("pre-shared keys are not offered")

    def set_psk_server_callback(self, callback: Any, identity_hint: str | None = None) -> None:
        """Raises NotImplementedError: pre-shared keys are not offered (`HAS_PSK`)."""
        raise NotImplementedError("pre-shared keys are not offered")

    def session_stats(self) -> dict[str, int]:
        """This context's handshakes, in the terms of `ssl`; what does not exist counts 0."""
        (connect, connect_good, resumed), (accept, accept_good, hits) = self._statistics.read()
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


_select, _select_tls13, _select_groups = ciphers.select, ciphers.select_tls13, groups.select
