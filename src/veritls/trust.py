"""Whom to trust: certificates from files, hashed folders, memory and the system."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from veritls import _engine
from veritls.certificate import described, readable
from veritls.errors import ssl_error
from veritls.lists import Found, RevocationLists, read
from veritls.pem import StrPath, has_certificates, pem_certificates, pem_crls, read_file

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TrustObject: TypeAlias = x509.Certificate | x509.CertificateRevocationList
TrustData: TypeAlias = TrustObject | Iterable[TrustObject]

_LONGEST_PATH = 10
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.r?\d+")


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


@dataclass(frozen=True)
class TrustEntry:
    """Something that a context's trust is made of.

    `kind`: "anchor" ends a path and is trusted by itself, "helper" may stand within one, "crl" is a
    revocation list. `name`: the subject, or a list's issuer (RFC 4514), empty where there is none.
    `expires`: notAfter or nextUpdate, None where it cannot be told. `source`: the file, "cadata", "memory"
    or "the system".
    """

    kind: Literal["anchor", "helper", "crl"]
    name: str
    expires: datetime | None
    source: str
    der: bytes = field(repr=False)


class TrustStore:
    """The certificates that one context trusts; what the engine needs is made of it once a change.

    A self-issued certificate ends a path and is trusted by itself (`CA:TRUE` or not). Any other helps to
    build paths; with ``VERIFY_X509_PARTIAL_CHAIN`` it ends one too. Revocation lists are kept beside them.
    """

    def __init__(self) -> None:
        self._certificates: dict[bytes, str] = {}
        self.lists = RevocationLists()
        self._on_request: set[bytes] = set()
        self._frozen: dict[bool, _engine.TrustSet] = {}
        self._subjects: dict[bytes, list[bytes]] | None = None

    def add(self, certificates: Iterable[bytes], source: str, *, on_request: bool = False) -> None:
        """Adds all of them or, if one cannot be used, raises ssl.SSLError and adds none.

        `source`: where they are from. `on_request`: they are not listed before a path has ended in them, as
        `ssl` documents for a folder.
        """
        added = dict.fromkeys(certificates, source)
        _engine.TrustSet(list(added), [], False)  # raises where one cannot be used
        fresh = added.keys() - self._certificates.keys()
        hidden = self._hidden()
        self._on_request = hidden | fresh if on_request else hidden - added.keys()
        self._certificates |= {der: source for der in added if der in fresh}
        self._frozen, self._subjects = {}, None

    def add_lists(self, found: Iterable[Found], *, foreign: bool = False, older: bool = False) -> int:
        """Adds revocation lists, as `RevocationLists.add`; returns how many were new."""
        taken = self.lists.add(
            found, lambda name: self._by_subject().get(name, ()), foreign=foreign, older=older
        )
        if taken:
            self._on_request, self._frozen = self._hidden(), {}
        return taken

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
        return {"x509": len(self._listed()), "crl": len(self.lists), "x509_ca": len(self.authorities())}

    def path_above(self, der: bytes) -> list[bytes]:
        """The certificates here that lead from one up to its authority, as far as they are known, DER."""
        path: list[bytes] = []
        subject, issuer = _engine.names(der)
        while len(path) < _LONGEST_PATH and issuer != subject:
            above = (each for each in self._by_subject().get(issuer, ()) if _signed(each, der))
            der = next(above, b"")
            if not der:
                break
            path.append(der)
            subject, issuer = _engine.names(der)
        return path

    def _by_subject(self) -> dict[bytes, list[bytes]]:
        if self._subjects is None:
            self._subjects = {}
            for der in self._certificates:
                self._subjects.setdefault(_engine.names(der)[0], []).append(der)
        return self._subjects

    def frozen(self, *, partial_chain: bool) -> _engine.TrustSet:
        """The engine's form of it."""
        if partial_chain not in self._frozen:
            certificates, lists = list(self._certificates), self.lists.engines()
            self._frozen[partial_chain] = _engine.TrustSet(certificates, lists, partial_chain)
        return self._frozen[partial_chain]

    def entries(self, *, partial_chain: bool) -> list[TrustEntry]:
        """Everything here, certificates first, in the order in which it came."""
        found = []
        for der, source in self._certificates.items():
            subject, issuer = _engine.names(der)
            kind: Literal["anchor", "helper"] = "anchor" if partial_chain or subject == issuer else "helper"
            found.append(TrustEntry(kind, *described(der), source, der))
        for each, source in self.lists:
            issuer_name = x509.load_der_x509_crl(each.der).issuer.rfc4514_string()
            until = datetime.fromtimestamp(each.period[1], UTC)
            found.append(TrustEntry("crl", issuer_name, until, source, each.der))
        return found

    def load_pem(self, data: bytes, where: str, *, on_request: bool = False) -> int:
        """Adds the certificates and revocation lists of a PEM text; returns how many lists it holds."""
        lists = [read(der, where) for der in pem_crls(data, where)]
        certificates = pem_certificates(data, where) if not lists or has_certificates(data) else []
        self.add(certificates, where, on_request=on_request)
        self.add_lists(lists, foreign=True)
        return len(lists)

    def load_file(self, path: StrPath, *, on_request: bool = False) -> None:
        """Adds what a PEM file holds. Raises OSError and ssl.SSLError, naming the file."""
        if self.load_pem(read_file(path, "CA"), repr(os.fsdecode(path)), on_request=on_request):
            self.lists.remember(path)

    def load_folder(self, path: StrPath) -> None:
        """Adds the PEM files of a folder in OpenSSL's hashed layout (``9d66eef0.0``, ``9d66eef0.r0``)."""
        folder = os.fsdecode(path)
        for name in sorted(filter(_HASHED_NAME.fullmatch, os.listdir(folder))):
            where = os.path.join(folder, name)
            self.load_pem(read_file(where, "CA"), repr(where), on_request=True)
        self.lists.remember(folder)

    def load_data(self, data: str | ReadableBuffer | TrustData) -> None:
        """Adds PEM text (str), DER (bytes-like), or `cryptography` certificates and revocation lists."""
        if isinstance(data, str):
            try:
                text = data.encode("ascii")
            except UnicodeEncodeError:
                raise TypeError("cadata should be an ASCII string or a bytes-like object") from None
            if not text:
                raise ValueError("Empty certificate data")
            self.load_pem(text, "cadata")
        elif isinstance(data, bytes | bytearray | memoryview):
            if not data:
                raise ValueError("Empty certificate data")
            self.add(from_der(bytes(data), "cadata"), "cadata")
        elif isinstance(data, x509.Certificate | x509.CertificateRevocationList):
            self._load_objects([data])
        elif isinstance(data, Iterable):
            self._load_objects(list(data))
        else:
            raise TypeError("cadata should be an ASCII string or a bytes-like object")

    def _load_objects(self, objects: list[TrustObject]) -> None:
        certificates, lists = [], []
        for each in objects:
            if isinstance(each, x509.Certificate):
                certificates.append(each.public_bytes(Encoding.DER))
            elif isinstance(each, x509.CertificateRevocationList):
                lists.append(read(each.public_bytes(Encoding.DER), "cadata"))
            else:
                words = "cadata should be an ASCII string, a bytes-like object, or certificates and lists"
                raise TypeError(words)
        if not objects:
            raise ValueError("Empty certificate data")
        self.add(certificates, "cadata")
        self.add_lists(lists, foreign=True)

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
        readable: list[bytes] = []
        for der in _engine.system_certificates()[0]:
            with contextlib.suppress(ssl.SSLError):
                _engine.TrustSet([der], [], False)
                readable.append(der)
        self.add(readable, "the system")
