"""The settings of a context that decide about the peer: whom to trust and what to demand."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Literal

from veritls import _engine, policy
from veritls.certificate import decoded
from veritls.parameters import Parameters
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


class Verification(Parameters):
    """The base of SSLContext that knows about trust. A change holds for connections made after it."""

    _verify_mode: ssl.VerifyMode
    _check_hostname: bool
    _verify_flags: ssl.VerifyFlags
    _unknown_status: Literal["refuse", "accept"]
    _require_ocsp: bool
    _trust: TrustStore

    def _set_defaults(self) -> None:
        super()._set_defaults()
        self._verify_mode = ssl.CERT_NONE
        self._check_hostname = False
        self._verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
        self._unknown_status = "refuse"
        self._require_ocsp = False
        self._trust = TrustStore()

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

    def _demands(self, server_side: bool, mode: ssl.VerifyMode) -> _engine.Demands:
        """What the engine is to demand of the peer, with the lock held."""
        rule = policy.rule(server_side=server_side, mode=mode)
        return {
            "request": rule.request,
            "require": rule.require,
            "validate": rule.validate,
            "check_name": rule.name_matters and self._check_hostname,
            "revocation": self._revocation(),
            "accept_unknown": self._unknown_status == "accept",
            "require_ocsp": self._require_ocsp,
            "strict": bool(self._verify_flags & ssl.VERIFY_X509_STRICT),
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
