"""Whom to trust: certificates from files, hashed folders, memory and the system."""

import os
import re
import ssl
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from veritls import _engine
from veritls.credentials import StrPath, pem_certificates, read_file
from veritls.errors import ssl_error

_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")


def _purposes(certificate: x509.Certificate) -> tuple[bool, bool]:
    """Whether it may stand for a server and for a client (RFC 5280, section 4.2.1.12)."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True, True
    except ValueError:  # extensions that cannot be read vouch for nothing
        return False, False
    everything = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages
    return (
        everything or ExtendedKeyUsageOID.SERVER_AUTH in usages,
        everything or ExtendedKeyUsageOID.CLIENT_AUTH in usages,
    )


def from_der(data: bytes, where: str) -> list[x509.Certificate]:
    """The certificates of a string of DER, one after the other.

    Raises ssl.SSLError naming `where` if one is damaged or nothing is there.
    """
    try:
        return [x509.load_der_x509_certificate(data)]
    except ValueError as why:
        raise ssl_error("NOT_ENOUGH_DATA", f"not enough data: cannot read {where} as DER: {why}") from None


class TrustStore:
    """The certificates that one context trusts; what the engine needs is made of it once a change.

    A self-issued certificate ends a path and is trusted by itself (`CA:TRUE` or not). Any other helps to
    build paths, as in `ssl` without ``VERIFY_X509_PARTIAL_CHAIN``.
    """

    def __init__(self) -> None:
        self._certificates: dict[bytes, x509.Certificate] = {}
        self._frozen: _engine.TrustSet | None = None

    def add(self, certificates: Iterable[x509.Certificate]) -> None:
        """Adds all of them or, if one cannot be used, raises ssl.SSLError and adds none."""
        added = {each.public_bytes(Encoding.DER): each for each in certificates}
        together = self._certificates | added
        self._frozen = self._freeze(together)
        self._certificates = together

    def certificates(self) -> list[bytes]:
        """The certificates, DER, in the order in which they came."""
        return list(self._certificates)

    def frozen(self) -> _engine.TrustSet:
        """The engine's form of it."""
        if self._frozen is None:
            self._frozen = self._freeze(self._certificates)
        return self._frozen

    @staticmethod
    def _freeze(certificates: dict[bytes, x509.Certificate]) -> _engine.TrustSet:
        anchors, helpers, by_itself = [], [], []
        for der, certificate in certificates.items():
            if certificate.subject != certificate.issuer:
                helpers.append(der)
                continue
            anchors.append(der)
            not_before = int(certificate.not_valid_before_utc.timestamp())
            not_after = int(certificate.not_valid_after_utc.timestamp())
            by_itself.append((der, not_before, not_after, *_purposes(certificate)))
        return _engine.TrustSet(anchors, helpers, by_itself)

    def load_file(self, path: StrPath) -> None:
        """Adds the certificates of a PEM file. Raises OSError and ssl.SSLError, naming the file."""
        self.add(pem_certificates(read_file(path, "CA"), repr(os.fsdecode(path))))

    def load_folder(self, path: StrPath) -> None:
        """Adds the PEM files of a folder in OpenSSL's layout (``openssl rehash``: ``9d66eef0.0``)."""
        folder = os.fsdecode(path)
        for name in sorted(filter(_HASHED_NAME.fullmatch, os.listdir(folder))):
            self.load_file(os.path.join(folder, name))

    def load_data(self, data: str | bytes) -> None:
        """Adds PEM text (str) or DER (bytes-like)."""
        if isinstance(data, str):
            try:
                text = data.encode("ascii")
            except UnicodeEncodeError:
                raise TypeError("cadata should be an ASCII string or a bytes-like object") from None
            certificates = pem_certificates(text, "cadata") if text else []
        else:
            certificates = from_der(bytes(data), "cadata") if data else []
        if not certificates:
            raise ValueError("Empty certificate data")
        self.add(certificates)

    def load_system(self) -> None:
        """Adds what the operating system trusts; SSL_CERT_FILE and SSL_CERT_DIR are honoured.

        A certificate of the system's that cannot be read is left out: it then vouches for nobody.
        """
        found = []
        for der in _engine.system_certificates()[0]:
            try:
                certificate = x509.load_der_x509_certificate(der)
                _engine.TrustSet([der], [], [])
            except (ValueError, ssl.SSLError):
                continue
            found.append(certificate)
        self.add(found)
