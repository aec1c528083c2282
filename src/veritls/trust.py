"""Whom to trust: certificates from files, hashed folders, memory and the system."""

import contextlib
import os
import re
import ssl
import warnings
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from veritls import _engine
from veritls.credentials import StrPath, has_certificates, pem_certificates, pem_crls, read_file
from veritls.errors import ssl_error

# Some authority of the system's has such a number; whom it vouches for is not changed by it.
warnings.filterwarnings("ignore", r"Parsed a serial number which wasn't positive", module=r"veritls\.")

_LONGEST_PATH = 10
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
        return [x509.load_der_x509_certificate(each) for each in _engine.split_der(data)]
    except (ValueError, ssl.SSLError) as why:
        words = f"not enough data: {where} does not contain a certificate in DER: {why}"
        raise ssl_error("NOT_ENOUGH_DATA", words) from None


def _is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others: by basicConstraints; without them by keyUsage; or by its age."""
    extensions = certificate.extensions
    with contextlib.suppress(x509.ExtensionNotFound):
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with contextlib.suppress(x509.ExtensionNotFound):
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    return certificate.version == x509.Version.v1 and certificate.subject == certificate.issuer


def _readable_authority(certificate: x509.Certificate) -> bool:
    try:
        return _is_authority(certificate)
    except ValueError:  # extensions that cannot be read
        return False


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    if issuer.subject != subject.issuer:
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


class TrustStore:
    """The certificates that one context trusts; what the engine needs is made of it once a change.

    A self-issued certificate ends a path and is trusted by itself (`CA:TRUE` or not). Any other helps to
    build paths; with ``VERIFY_X509_PARTIAL_CHAIN`` it ends one too. Revocation lists are kept beside them.
    """

    def __init__(self) -> None:
        self._certificates: dict[bytes, x509.Certificate] = {}
        self._crls: dict[bytes, None] = {}
        self._on_request: set[bytes] = set()
        self._frozen: dict[bool, _engine.TrustSet] = {}

    def add(
        self,
        certificates: Iterable[x509.Certificate],
        crls: Iterable[bytes] = (),
        *,
        on_request: bool = False,
    ) -> None:
        """Adds all of them or, if one cannot be used, raises ssl.SSLError and adds none.

        `on_request`: they are not listed before a path has ended in them, as `ssl` documents for a folder.
        """
        added = {each.public_bytes(Encoding.DER): each for each in certificates}
        together, lists = self._certificates | added, self._crls | dict.fromkeys(crls)
        frozen = self._freeze(together, lists, False)
        hidden = self._hidden()
        self._on_request = (
            hidden | (added.keys() - self._certificates) if on_request else hidden - added.keys()
        )
        self._certificates, self._crls, self._frozen = together, lists, {False: frozen}

    def _hidden(self) -> set[bytes]:
        used = {der for frozen in self._frozen.values() for der in frozen.used()}
        return self._on_request - used

    def _listed(self) -> dict[bytes, x509.Certificate]:
        hidden = self._hidden()
        return {der: each for der, each in self._certificates.items() if der not in hidden}

    def authorities(self) -> list[bytes]:
        """Those that may sign others, DER, in the order in which they came."""
        return [der for der, each in self._listed().items() if _readable_authority(each)]

    def statistics(self) -> dict[str, int]:
        """The numbers of ``SSLContext.cert_store_stats()``."""
        return {"x509": len(self._listed()), "crl": len(self._crls), "x509_ca": len(self.authorities())}

    def path_above(self, der: bytes) -> list[bytes]:
        """The certificates here that lead from one up to its authority, as far as they are known, DER."""
        path: list[x509.Certificate] = []
        current = x509.load_der_x509_certificate(der)
        while len(path) < _LONGEST_PATH and current.issuer != current.subject:
            above = next((each for each in self._certificates.values() if _issued(each, current)), None)
            if above is None:
                break
            path.append(above)
            current = above
        return [each.public_bytes(Encoding.DER) for each in path]

    def frozen(self, *, partial_chain: bool) -> _engine.TrustSet:
        """The engine's form of it."""
        if partial_chain not in self._frozen:
            self._frozen[partial_chain] = self._freeze(self._certificates, self._crls, partial_chain)
        return self._frozen[partial_chain]

    @staticmethod
    def _freeze(
        certificates: dict[bytes, x509.Certificate], crls: dict[bytes, None], partial_chain: bool
    ) -> _engine.TrustSet:
        anchors, helpers, by_itself = [], [], []
        for der, certificate in certificates.items():
            if certificate.subject != certificate.issuer and not partial_chain:
                helpers.append(der)
                continue
            anchors.append(der)
            not_before = int(certificate.not_valid_before_utc.timestamp())
            not_after = int(certificate.not_valid_after_utc.timestamp())
            by_itself.append((der, not_before, not_after, *_purposes(certificate)))
        return _engine.TrustSet(anchors, helpers, by_itself, list(crls))

    def load_pem(self, data: bytes, where: str, *, on_request: bool = False) -> None:
        """Adds the certificates and revocation lists of a PEM text."""
        crls = pem_crls(data, where)
        certificates = pem_certificates(data, where) if not crls or has_certificates(data) else []
        self.add(certificates, crls, on_request=on_request)

    def load_file(self, path: StrPath, *, on_request: bool = False) -> None:
        """Adds what a PEM file holds. Raises OSError and ssl.SSLError, naming the file."""
        self.load_pem(read_file(path, "CA"), repr(os.fsdecode(path)), on_request=on_request)

    def load_folder(self, path: StrPath) -> None:
        """Adds the PEM files of a folder in OpenSSL's layout (``openssl rehash``: ``9d66eef0.0``)."""
        folder = os.fsdecode(path)
        for name in sorted(filter(_HASHED_NAME.fullmatch, os.listdir(folder))):
            self.load_file(os.path.join(folder, name), on_request=True)

    def load_data(self, data: str | bytes) -> None:
        """Adds PEM text (str) or DER (bytes-like)."""
        if isinstance(data, str):
            try:
                text = data.encode("ascii")
            except UnicodeEncodeError:
                raise TypeError("cadata should be an ASCII string or a bytes-like object") from None
        if not data:
            raise ValueError("Empty certificate data")
        if isinstance(data, str):
            self.load_pem(text, "cadata")
        else:
            self.add(from_der(data, "cadata"))

    def load_system(self) -> None:
        """Adds what the operating system trusts, or what SSL_CERT_FILE and SSL_CERT_DIR name instead.

        A certificate that cannot be read is left out: it then vouches for nobody.
        """
        file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
        if file or folders:
            with contextlib.suppress(OSError, ssl.SSLError):
                self.load_file(file) if file else None
            for folder in filter(None, (folders or "").split(os.pathsep)):
                with contextlib.suppress(OSError, ssl.SSLError):
                    self.load_folder(folder)
            return
        found = []
        for der in _engine.system_certificates()[0]:
            try:
                certificate = x509.load_der_x509_certificate(der)
                _engine.TrustSet([der], [], [])
            except (ValueError, ssl.SSLError):
                continue
            found.append(certificate)
        self.add(found)
