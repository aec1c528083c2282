"""What can be parsed of a certificate, however malformed. Nothing here raises, whatever the bytes are."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.utils import CryptographyDeprecationWarning

from veritls import _engine
from veritls._report.oid_names import OID_NAMES
from veritls._report.rendering import hexadecimal, listing, plain

Source = Literal["peer", "trust set"]

LARGEST = 16 * 1024
MOST_ELEMENTS = 1000
"""Bytes and DER elements up to which a certificate is parsed as a whole: refusing has to stay cheap."""

MOST_NAMES = 100
"""Names of a certificate that are shown."""

_LONGEST_NAME = 512
"""Bytes of a subject or issuer up to which it is shown where the certificate is large."""
_NO_SUBJECT = "(no subject)"
_CURVES = ("secp256r1", "secp384r1", "secp521r1")

_LARGEST_RSA, _LARGEST_EXPONENT = 8192, 33
"""Bits of an RSA key and of its exponent up to which the engine verifies with it; OpenSSL accepts more."""

T = TypeVar("T")
E = TypeVar("E", bound=x509.ExtensionType)


def attempt(read: Callable[[], T], otherwise: T) -> T:
    """The result of `read`, or `otherwise` where it raises: `cryptography` raises many types."""
    try:
        return read()
    except Exception:
        return otherwise


_filters = threading.RLock()
"""Held while the filters are changed: two threads that did so at once could leave them changed."""


def _after_fork_in_child() -> None:
    """The thread that held the lock does not exist in the child."""
    global _filters
    _filters = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    with _filters, warnings.catch_warnings(action="ignore", category=CryptographyDeprecationWarning):
        yield


def quiet(der: bytes) -> contextlib.AbstractContextManager[None]:
    """A context in which `cryptography` does not warn about the serial number of a certificate (DER).

    It warns about 0 and less, which raises under ``-W error``. The filters are changed for those alone, by
    one thread at a time: all threads share them.
    """
    return _unwarned() if _engine.has_odd_serial(der) else contextlib.nullcontext()


def readable(der: bytes) -> x509.Certificate:
    """A certificate (DER). Raises ValueError where it, or its version, cannot be parsed."""
    try:
        with quiet(der):
            return x509.load_der_x509_certificate(der)
    except x509.InvalidVersion as why:
        raise ValueError(str(why)) from None


def raw_names(der: bytes) -> tuple[bytes, bytes]:
    """Subject and issuer of a certificate as they are encoded, which is how the engine compares them."""
    return attempt(lambda: _engine.names(der), (b"", b""))


def is_address(name: str) -> bool:
    """Whether a server name is an IP address."""
    return attempt(lambda: bool(ipaddress.ip_address(name)), False)


def general_name(name: x509.GeneralName) -> str:
    """A name of subjectAltName as people write it."""
    match name:
        case x509.DirectoryName():
            return plain(name.value.rfc4514_string())
        case x509.RegisteredID():
            return name.value.dotted_string
        case x509.OtherName():
            return f"other name {name.type_id.dotted_string}"
        case _:
            return plain(str(name.value))


def is_large(der: bytes) -> bool:
    """Whether a certificate is too large to be parsed as a whole."""
    return len(der) > LARGEST or _engine.elements(der) > MOST_ELEMENTS


class ParsedCertificate:
    """One certificate (DER). `anchor`: whether a path may end in it. `large`: not parsed as a whole."""

    def __init__(
        self, der: bytes, source: Source, *, anchor: bool = False, large: bool | None = None
    ) -> None:
        self.der = der
        self.large = is_large(der) if large is None else large
        self.source = source
        self.anchor = anchor
        self.problem = ""
        self.certificate: x509.Certificate | None = None
        try:
            self.certificate = readable(der)
        except Exception as why:
            self.problem = plain(str(why) or type(why).__name__)

    def _of(self, read: Callable[[x509.Certificate], T], otherwise: T) -> T:
        certificate = self.certificate
        return otherwise if certificate is None else attempt(lambda: read(certificate), otherwise)

    @cached_property
    def raw_names(self) -> tuple[bytes, bytes]:
        """Subject and issuer as they are encoded; empty where they cannot be read."""
        return raw_names(self.der)

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same (RFC 5280, section 3.2)."""
        subject, issuer = self.raw_names
        return subject == issuer != b""

    @cached_property
    def subject(self) -> str:
        """In the form of RFC 4514."""
        return self._whole(0, lambda certificate: certificate.subject)

    @cached_property
    def issuer(self) -> str:
        """In the form of RFC 4514."""
        return self._whole(1, lambda certificate: certificate.issuer)

    def _whole(self, which: int, name: Callable[[x509.Certificate], x509.Name]) -> str:
        return self._unread(which) or self._of(
            lambda certificate: plain(name(certificate).rfc4514_string(), 1000), ""
        )

    def _unread(self, which: int) -> str:
        """The placeholder for a subject (0) or an issuer (1) that is too long to be shown; else empty."""
        length = len(self.raw_names[which]) if self.large else 0
        return f"a name of {length:,} bytes" if length > _LONGEST_NAME else ""

    @cached_property
    def serial(self) -> str:
        """In upper-case hexadecimal digits, an even number of them, as OpenSSL and `getpeercert` show it."""
        with quiet(self.der):
            return self._of(lambda certificate: hexadecimal(certificate.serial_number), "")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER, in hexadecimal digits."""
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def not_before(self) -> datetime | None:
        """notBefore."""
        return self._of(lambda certificate: certificate.not_valid_before_utc, None)

    @cached_property
    def not_after(self) -> datetime | None:
        """notAfter."""
        return self._of(lambda certificate: certificate.not_valid_after_utc, None)

    @cached_property
    def extensions(self) -> list[x509.Extension[Any]]:
        """All of them; none where one cannot be parsed, or the certificate is large."""
        return [] if self.large else self._of(lambda certificate: list(certificate.extensions), [])

    def extension(self, kind: type[E]) -> E | None:
        """The extension of that type; None where there is none."""
        return next((each.value for each in self.extensions if isinstance(each.value, kind)), None)

    @cached_property
    def alternative(self) -> list[x509.GeneralName]:
        """The names in subjectAltName; none where the certificate is large."""

        def read(certificate: x509.Certificate) -> list[x509.GeneralName]:
            return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)

        return [] if self.large else self._of(read, [])

    @cached_property
    def _names(self) -> tuple[tuple[str, ...], int]:
        if self.large:
            nothing: tuple[list[str | None], int] = ([], 0)
            first, count = attempt(lambda: _engine.alternative_names(self.der, MOST_NAMES), nothing)
            return tuple("another kind of name" if name is None else plain(name) for name in first), count
        shown = self.alternative[:MOST_NAMES]
        return tuple(attempt(partial(general_name, name), "?") for name in shown), len(self.alternative)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in subjectAltName as text, at most MOST_NAMES."""
        return self._names[0]

    @property
    def names_left_out(self) -> int:
        """How many names of subjectAltName `names` leaves out."""
        return self._names[1] - len(self._names[0])

    @property
    def is_ca(self) -> bool:
        """Whether basicConstraints say CA:TRUE."""
        found = self.extension(x509.BasicConstraints)
        return found is not None and found.ca

    @property
    def path_length(self) -> int | None:
        """pathLenConstraint: how many CAs may stand below it in a path; None where there is no limit."""
        found = self.extension(x509.BasicConstraints)
        return found.path_length if found is not None else None

    @cached_property
    def key(self) -> Any:
        """Its public key; None where `cryptography` does not know the type."""
        return self._of(lambda certificate: certificate.public_key(), None)

    @property
    def key_words(self) -> str:
        """The type of its key, in words."""
        match self.key:
            case rsa.RSAPublicKey() as key:
                return f"{key.key_size}-bit RSA"
            case dsa.DSAPublicKey():
                return "DSA"
            case ec.EllipticCurvePublicKey() as key:
                return f"{key.curve.name} (elliptic curve)"
            case None:
                return "unknown"
            case other:
                return type(other).__name__.removesuffix("PublicKey")

    @property
    def key_is_usual(self) -> bool:
        """Whether the engine can verify with a key of this type."""
        match self.key:
            case rsa.RSAPublicKey() | ed25519.Ed25519PublicKey():
                return True
            case ec.EllipticCurvePublicKey() as key:
                return key.curve.name in _CURVES
            case _:
                return False

    @property
    def signature_name(self) -> str:
        """Its signature algorithm, by name or by object identifier."""
        return self._of(
            lambda certificate: oid_name(certificate.signature_algorithm_oid), "an unknown algorithm"
        )

    @property
    def signature_hash(self) -> str:
        """The hash of its signature; empty where there is none or it is unknown."""

        def name(certificate: x509.Certificate) -> str:
            algorithm = certificate.signature_hash_algorithm
            return algorithm.name if algorithm is not None else ""

        return self._of(name, "")

    @cached_property
    def own_key_identifier(self) -> bytes | None:
        """subjectKeyIdentifier."""
        found = self.extension(x509.SubjectKeyIdentifier)
        return found.digest if found is not None else None

    @cached_property
    def signing_key_identifier(self) -> bytes | None:
        """authorityKeyIdentifier: the key that signed it."""
        found = self.extension(x509.AuthorityKeyIdentifier)
        return found.key_identifier if found is not None else None

    def signed_by(self, issuer: ParsedCertificate) -> bool | None:
        """Whether the key of `issuer` made its signature; None where that cannot be verified here."""
        key = issuer.key
        if self.certificate is None or not issuer.key_is_usual:
            return None
        if isinstance(key, rsa.RSAPublicKey):
            exponent = key.public_numbers().e.bit_length()
            if key.key_size > _LARGEST_RSA or exponent > _LARGEST_EXPONENT:
                return None
        assert issuer.certificate is not None
        try:
            self.certificate.verify_directly_issued_by(issuer.certificate)
        except InvalidSignature:
            return False
        except Exception:
            return None
        return True

    @cached_property
    def label(self) -> str:
        """Its subject, briefly: "CN=R11"."""
        return self._brief(0, lambda certificate: certificate.subject) or _NO_SUBJECT

    @cached_property
    def issuer_label(self) -> str:
        """Its issuer, briefly."""
        return self._brief(1, lambda certificate: certificate.issuer) or "an issuer without a name"

    def _brief(self, which: int, name: Callable[[x509.Certificate], x509.Name]) -> str:
        return self._unread(which) or self._of(lambda certificate: brief(name(certificate)), "")

    @cached_property
    def holder(self) -> str:
        """The names that a peer's certificate is for, briefly: "a.example and b.example"."""
        return listing(self.names, more=self.names_left_out) or self.label

    @property
    def nameless(self) -> bool:
        """Whether it has neither a subject nor other names."""
        return self.label == _NO_SUBJECT and not self.names


def oid_name(oid: x509.ObjectIdentifier) -> str:
    """The usual name of an object identifier; its digits, with dots, where it has none."""
    return OID_NAMES.get(oid.dotted_string, oid.dotted_string)


def oid_words(oid: x509.ObjectIdentifier) -> str:
    """An object identifier with its usual name, where it has one."""
    name = oid_name(oid)
    return name if name == oid.dotted_string else f"{name} ({oid.dotted_string})"


def brief(name: x509.Name) -> str:
    """The common name of a distinguished name; the whole name where it has none."""
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if common:
        value = common[-1].value
        return plain(f"CN={value if isinstance(value, str) else value.decode('utf-8', 'backslashreplace')}")
    return plain(name.rfc4514_string())
