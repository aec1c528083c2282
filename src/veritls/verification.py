"""The settings of a context that decide about the peer: whom to trust and what to demand."""

from __future__ import annotations

import inspect
import secrets
import ssl
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from veritls import _engine, policy
from veritls.certificate import decoded
from veritls.deciding import Conditions, VerifyCallback
from veritls.parameters import Parameters
from veritls.peers import Matcher, as_matchers, as_pins
from veritls.pem import StrPath
from veritls.trust import TrustData, TrustEntry, TrustStore

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_VERIFY_FLAGS = (
    ssl.VERIFY_CRL_CHECK_CHAIN
    | ssl.VERIFY_X509_STRICT
    | ssl.VERIFY_X509_TRUSTED_FIRST
    | ssl.VERIFY_X509_PARTIAL_CHAIN
)


_DAY = 24 * 60 * 60


class Verification(Parameters):
    """The base of SSLContext that knows about trust. A change holds for connections made after it."""

    _verify_mode: ssl.VerifyMode
    _check_hostname: bool
    _verify_flags: ssl.VerifyFlags
    _unknown_status: Literal["refuse", "accept"]
    _require_ocsp: bool
    _trust: TrustStore
    _allowed_peers: tuple[Matcher, ...] | None
    _pinned_keys: frozenset[bytes] | None
    _verify_callback: VerifyCallback | None
    _callback_token: bytes
    _reverify: bool
    _max_resumption_age: int

    def _set_defaults(self) -> None:
        super()._set_defaults()
        self._verify_mode = ssl.CERT_NONE
        self._check_hostname = False
        self._verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
        self._unknown_status = "refuse"
        self._require_ocsp = False
        self._trust = TrustStore()
        self._allowed_peers = None
        self._pinned_keys = None
        self._verify_callback = None
        self._callback_token = b""
        self._reverify = True
        self._max_resumption_age = _DAY

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
            if mode == ssl.CERT_NONE and self._allowed_peers is not None:
                raise ValueError("Cannot set verify_mode to CERT_NONE when allowed_peers is set.")
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

    @property
    def allowed_peers(self) -> tuple[Matcher, ...] | None:
        """Whose certificates are accepted, of those that are valid: `veritls.DNSPattern`, `Network`, `URI`,
        `SPIFFE`, `Email`. One that matches a name of the certificate's subjectAltName is enough.

        None, the default, restricts nothing; an empty list allows nobody. Setting it raises CERT_NONE to
        CERT_REQUIRED: names in a certificate that nobody validated prove nothing. Under CERT_OPTIONAL a
        server still lets clients in that have no certificate at all. Raises TypeError for what is no
        matcher. A peer that is refused gets the alert access_denied; `verify_code` is 50.
        """
        return self._allowed_peers

    @allowed_peers.setter
    def allowed_peers(self, values: Iterable[Matcher] | None) -> None:
        matchers = as_matchers(values) if values is not None else None
        with self._lock:
            self._allowed_peers = matchers
            if matchers is not None and self._verify_mode == ssl.CERT_NONE:
                self._verify_mode = ssl.CERT_REQUIRED
            self._changed()

    @property
    def pinned_keys(self) -> frozenset[bytes] | None:
        """SHA-256 digests of SubjectPublicKeyInfo (RFC 7469, section 2.4), of which the verified path must
        hold one: 32 bytes each, or base64 text, bare or after ``sha256/``.

        None, the default, pins nothing; an empty collection accepts nobody. On a client under CERT_NONE the
        server's own key must be pinned. On a server under CERT_NONE, which asks for no certificate, making
        a connection raises ValueError. Raises TypeError or ValueError for what is no digest.
        """
        return self._pinned_keys

    @pinned_keys.setter
    def pinned_keys(self, values: Iterable[str | bytes] | None) -> None:
        pins = as_pins(values) if values is not None else None
        with self._lock:
            self._pinned_keys = pins
            self._changed()

    def set_verify_callback(self, callback: VerifyCallback | None) -> None:
        """Has `callback` called with the VerificationReport once a handshake, and by `verify_chain`.

        That is after every other check passed, and, in a handshake, after the peer proved that it holds its
        key; also where a session is taken up again. Raising refuses the peer (alert access_denied) with an
        ssl.SSLCertVerificationError whose ``__cause__`` is the exception; what is no Exception, such as
        KeyboardInterrupt, refuses and comes out itself. What it returns means nothing: it can only refuse.

        On a client under CERT_NONE the report's chain is not verified (`trusted` is False). Not called where
        a server asked under CERT_OPTIONAL and no certificate came; a server under CERT_NONE, which never
        asks, raises ValueError when a connection is made. The connection cannot be used within it. On asyncio
        it runs on the loop's thread: while it waits, so does everything else. None takes the callback away.
        Raises TypeError for what is not callable, and for a coroutine function.
        """
        if callback is not None and not callable(callback):
            raise TypeError("not a callable object")
        if inspect.iscoroutinefunction(callback):
            raise TypeError("a verify callback cannot be asynchronous: nobody would await it")
        with self._lock:
            self._verify_callback = callback
            self._callback_token = secrets.token_bytes(16) if callback is not None else b""
            self._changed()

    @property
    def reverify_on_resumption(self) -> bool:
        """Whether the peer's path is verified again, as of now, when a session is resumed: True.

        False: the result of the last full handshake holds, even if a certificate has expired since; so an
        expired peer gets in for `max_resumption_age` seconds at most. A change of the context ends its
        sessions either way, and the verify callback is always asked.
        """
        return self._reverify

    @reverify_on_resumption.setter
    def reverify_on_resumption(self, value: object) -> None:
        with self._lock:
            self._reverify = bool(value)
            self._changed()

    @property
    def max_resumption_age(self) -> int:
        """For how many seconds after a full handshake its session is resumed: 86400 (24 hours).

        A full handshake is where the peer proves that it holds its key. After this time there is one again,
        however often the session was resumed and renewed in between; also where a session's time lies in the
        future, as after the clock was set back. 0 turns resumption off. On a server it bounds its tickets, on
        a client what `session=` offers. Other limits hold too: a server's ticket is good for 6 to 12 hours.

        Set it to an int or a datetime.timedelta (its whole seconds). Raises TypeError for anything else,
        ValueError for less than 0 and for more than 2**32 - 1 seconds.
        """
        return self._max_resumption_age

    @max_resumption_age.setter
    def max_resumption_age(self, value: int | timedelta) -> None:
        if isinstance(value, timedelta):
            value = value // timedelta(seconds=1)
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"max_resumption_age must be an int or a timedelta, not {type(value).__name__}")
        if not 0 <= value < 1 << 32:
            raise ValueError(f"max_resumption_age must be 0 to 2**32 - 1 seconds, not {value}")
        with self._lock:
            self._max_resumption_age = value
            self._changed()

    def _conditions(self) -> Conditions:
        return Conditions(
            (self._allowed_peers,) if self._allowed_peers is not None else (),
            (self._pinned_keys,) if self._pinned_keys is not None else (),
            (self._verify_callback,) if self._verify_callback is not None else (),
        )

    def load_verify_locations(
        self,
        cafile: StrPath | None = None,
        capath: StrPath | None = None,
        cadata: str | ReadableBuffer | TrustData | None = None,
    ) -> None:
        """Adds trusted certificates: a PEM file, a folder in OpenSSL's hashed layout, PEM str or DER bytes.

        `cadata` may also be `cryptography` certificates and revocation lists, one or several.
        Raises TypeError if all are omitted, OSError for what cannot be read, ssl.SSLError (naming the file)
        or ValueError for what holds no usable certificate. What came before the failing one stays.
        """
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        with self._lock:
            if cadata is not None:
                self._trust.load_data(cadata)
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

    def _revocation(self) -> Literal["none", "leaf", "chain"]:
        if self._verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN == ssl.VERIFY_CRL_CHECK_CHAIN:
            return "chain"
        return "leaf" if self._verify_flags & ssl.VERIFY_CRL_CHECK_LEAF else "none"

    def _demands(self, server_side: bool, mode: ssl.VerifyMode, conditions: Conditions) -> _engine.Demands:
        """What the engine is to demand of the peer, with the lock held.

        Raises ValueError where a condition would never be looked at.
        """
        rule = policy.rule(server_side=server_side, mode=mode)
        if not rule.request and (conditions.pinned or conditions.callbacks):
            raise ValueError(
                "pinned_keys and a verify callback need CERT_OPTIONAL or CERT_REQUIRED on a server: "
                "under CERT_NONE it asks for no certificate"
            )
        return {
            "request": rule.request,
            "require": rule.require,
            "validate": rule.validate,
            "check_name": rule.name_matters and self._check_hostname,
            "revocation": self._revocation(),
            "accept_unknown": self._unknown_status == "accept",
            "require_ocsp": self._require_ocsp,
            "strict": bool(self._verify_flags & ssl.VERIFY_X509_STRICT),
            "allowed": [[each._for_engine() for each in several] for several in conditions.allowed],
            "pinned": [list(several) for several in conditions.pinned],
            "decides": bool(conditions.callbacks),
            "reverify": self._reverify,
            "max_resumption_age": self._max_resumption_age,
        }

    def _trusted(self) -> _engine.TrustSet:
        """The engine's form of whom to trust, with the lock held."""
        return self._trust.frozen(partial_chain=bool(self._verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN))

    def list_trust(self) -> list[TrustEntry]:
        """All that was loaded: certificates and revocation lists, their kinds and where they came from."""
        with self._lock:
            partial = bool(self._verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN)
            return self._trust.entries(partial_chain=partial)

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates ("x509"), of them authorities' ("x509_ca"), and revocation lists ("crl")."""
        return self._trust.statistics()

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """The trusted authorities, DER where `binary_form`, else decoded as by `getpeercert`."""
        certificates = self._trust.authorities()
        return certificates if binary_form else [decoded(der) for der in certificates]
