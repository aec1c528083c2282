"""Whom to trust: certificates from files, hashed folders, memory and the system."""

import contextlib
import os
import re
import ssl
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from veritls import _engine
from veritls.certificate import readable
from veritls.credentials import StrPath, has_certificates, pem_certificates, pem_crls, read_file
from veritls.errors import ssl_error

_LONGEST_PATH = 10
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")


def from_der(data: bytes, where: str) -> list[bytes]:
    """The certificates of a string of DER, one after the other.

    Raises ssl.SSLError naming `where` if one is damaged or nothing is there.
    """
    try:
        return _engine.split_certificates(data)
    except ssl.SSLError as why:
        words = f"not enough data: {where} does not contain a certificate in DER: {why.args[1]}"
        raise ssl_error("NOT_ENOUGH_DATA", words) from None


def _signed(issuer: bytes, subject: bytes) -> bool:
    try:
        below = readable(subject)
        below.verify_directly_issued_by(readable(issuer))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


class TrustStore:
    """The certificates that one context trusts; what the engine needs is made of it once a change.

    A self-issued certificate ends a path and is trusted by itself (`CA:TRUE` or not). Any other helps to
    build paths; with ``VERIFY_X509_PARTIAL_CHAIN`` it ends one too. Revocation lists are kept beside them.
    """

    def __init__(self) -> None:
        self._certificates: dict[bytes, None] = {}
        self._crls: dict[bytes, None] = {}
        self._on_request: set[bytes] = set()
        self._frozen: dict[bool, _engine.TrustSet] = {}

    def add(
        self,
        certificates: Iterable[bytes],
        crls: Iterable[bytes] = (),
        *,
        on_request: bool = False,
    ) -> None:
        """Adds all of them or, if one cannot be used, raises ssl.SSLError and adds none.

        `on_request`: they are not listed before a path has ended in them, as `ssl` documents for a folder.
        """
        added, lists = dict.fromkeys(certificates), dict.fromkeys(crls)
        _engine.TrustSet(list(added), list(lists), False)  # raises where one cannot be used
        fresh = added.keys() - self._certificates.keys()
        hidden = self._hidden()
        self._on_request = hidden | fresh if on_request else hidden - added.keys()
        self._certificates |= added
        self._crls |= lists
        self._frozen = {}

    def _hidden(self) -> set[bytes]:
        used = {der for frozen in self._frozen.values() for der in frozen.used()}
        return self._on_request - used

    def _listed(self) -> list[bytes]:
        hidden = self._hidden()
        return [der for der in self._certificates if der not in hidden]

    def authorities(self) -> list[bytes]:
        """Those that may sign others, DER, in the order in which they came."""
        return [der for der in self._listed() if _engine.is_authority(der)]

    def statistics(self) -> dict[str, int]:
        """The numbers of ``SSLContext.cert_store_stats()``."""
        return {"x509": len(self._listed()), "crl": len(self._crls), "x509_ca": len(self.authorities())}

    def path_above(self, der: bytes) -> list[bytes]:
        """The certificates here that lead from one up to its authority, as far as they are known, DER."""
        path: list[bytes] = []
        names = {each: _engine.names(each) for each in self._certificates}
        subject, issuer = _engine.names(der)
        while len(path) < _LONGEST_PATH and issuer != subject:
            above = (each for each, (name, _) in names.items() if name == issuer and _signed(each, der))
            der = next(above, b"")
            if not der:
                break
            path.append(der)
            subject, issuer = names[der]
        return path

    def frozen(self, *, partial_chain: bool) -> _engine.TrustSet:
        """The engine's form of it."""
        if partial_chain not in self._frozen:
            certificates, crls = list(self._certificates), list(self._crls)
            self._frozen[partial_chain] = _engine.TrustSet(certificates, crls, partial_chain)
        return self._frozen[partial_chain]

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
        readable = []
        for der in _engine.system_certificates()[0]:
            with contextlib.suppress(ssl.SSLError):
                _engine.TrustSet([der], [], False)
                readable.append(der)
        self.add(readable)
