"""Whom to trust: certificates from files, hashed folders, memory and the system."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from veritls import _engine
from veritls._explaining.parsed_certificate import readable
from veritls._explaining.reasons import ssl_error
from veritls._explaining.rendering import moment_of, plain
from veritls._loading.certificates import described, name_text
from veritls._loading.crls import Found, RevocationLists, read
from veritls._loading.pem import StrPath, has_certificates, pem_certificates, pem_crls, read_file

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TrustObject: TypeAlias = x509.Certificate | x509.CertificateRevocationList
TrustData: TypeAlias = TrustObject | Iterable[TrustObject]

_LONGEST_PATH = 10
_MOST_UNREAD = 4
_LONGEST_UNREAD = 300
"""Of what could not be read, how much is told, and in how many characters."""
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


class Batch(NamedTuple):
    """Trust as it was read from one place; every certificate was found usable."""

    certificates: Sequence[bytes]
    lists: Sequence[Found]
    source: str
    on_request: bool = False
    """Not listed before a path has ended in it, as `ssl` documents for a folder."""
    place: StrPath | None = None
    """The path of a file or folder that held CRLs, to be read again."""
    unread: tuple[str, ...] = ()
    """What could not be read there, in words."""


def _usable(certificates: Sequence[bytes]) -> Sequence[bytes]:
    """Raises ssl.SSLError where one cannot be used."""
    _engine.TrustSet(certificates, [], False)
    return certificates


class TrustStore:
    """The certificates that a context trusts, and its CRLs. Never changed: `plus` gives the next one.

    A self-issued certificate ends a path and is trusted by itself (`CA:TRUE` or not). Any other helps to
    build paths; with ``VERIFY_X509_PARTIAL_CHAIN`` it ends one too. What the engine needs is made once.
    """

    def __init__(
        self,
        certificates: Mapping[bytes, str] = MappingProxyType({}),
        lists: RevocationLists | None = None,
        on_request: frozenset[bytes] = frozenset(),
        unread: tuple[str, ...] = (),
    ) -> None:
        """`certificates`: DER, and where each is from. `on_request`: those that are not listed until used.

        `unread`: what could not be read of the system's trust, which an error that follows from it tells.
        """
        self._certificates = certificates
        self.lists = lists if lists is not None else RevocationLists()
        self._on_request = on_request
        self._unread = unread
        self._frozen: dict[bool, _engine.TrustSet] = {}
        self._subjects: dict[bytes, list[bytes]] | None = None

    def plus(self, batches: Sequence[Batch]) -> TrustStore:
        """With all that the batches hold."""
        certificates, hidden = dict(self._certificates), self._hidden()
        for batch in batches:
            fresh = set(batch.certificates) - certificates.keys()
            hidden = hidden | fresh if batch.on_request else hidden - set(batch.certificates)
            certificates |= {der: batch.source for der in batch.certificates if der in fresh}
        unread = dict.fromkeys((*self._unread, *(words for batch in batches for words in batch.unread)))
        store = TrustStore(certificates, self.lists, hidden, tuple(unread)[:_MOST_UNREAD])
        for batch in batches:
            if batch.lists:
                store, _ = store.plus_lists(batch.lists, foreign=True)
            if batch.place is not None:
                store = store.remembering(batch.place)
        return store

    def plus_lists(
        self, found: Iterable[Found], *, foreign: bool = False, older: bool = False
    ) -> tuple[TrustStore, int]:
        """With the CRLs, as `RevocationLists.add` takes them, and how many of them were new."""
        lists, taken = self.lists.add(
            found, lambda name: self._by_subject().get(name, ()), foreign=foreign, older=older
        )
        return self._with_lists(lists) if taken else self, taken

    def remembering(self, place: StrPath) -> TrustStore:
        """With a file or folder that CRLs are read from again."""
        return self._with_lists(self.lists.remembering(place))

    def _with_lists(self, lists: RevocationLists) -> TrustStore:
        return TrustStore(self._certificates, lists, self._hidden(), self._unread)

    def _hidden(self) -> frozenset[bytes]:
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
        subjects = self._subjects
        if subjects is None:
            subjects = {}
            for der in self._certificates:
                subjects.setdefault(_engine.names(der)[0], []).append(der)
            self._subjects = subjects
        return subjects

    def frozen(self, *, partial_chain: bool) -> _engine.TrustSet:
        """The engine's form of it."""
        kept = self._frozen.get(partial_chain)
        if kept is None:
            certificates, crls = list(self._certificates), self.lists.engines()
            made = _engine.TrustSet(certificates, crls, partial_chain, self._unread)
            kept = self._frozen.setdefault(partial_chain, made)
        return kept

    def entries(self, *, partial_chain: bool) -> list[TrustEntry]:
        """Everything here, certificates first, in the order in which it came."""
        found = []
        for der, source in self._certificates.items():
            subject, issuer = _engine.names(der)
            kind: Literal["anchor", "helper"] = "anchor" if partial_chain or subject == issuer else "helper"
            found.append(TrustEntry(kind, *described(der), source, der))
        for each, source in self.lists:
            until = moment_of(each.period[1])
            found.append(TrustEntry("crl", name_text(each.issuer), until, source, each.der))
        return found


def _in_pem(data: bytes, where: str, *, on_request: bool = False) -> Batch:
    lists = [read(der, where) for der in pem_crls(data, where)]
    certificates = pem_certificates(data, where) if not lists or has_certificates(data) else []
    return Batch(_usable(certificates), lists, where, on_request)


def in_file(path: StrPath) -> list[Batch]:
    """What a PEM file holds. Raises OSError and ssl.SSLError, naming the file."""
    batch = _in_pem(read_file(path, "CA"), repr(os.fsdecode(path)))
    return [batch._replace(place=path) if batch.lists else batch]


def in_folder(path: StrPath) -> list[Batch]:
    """The PEM files of a folder in OpenSSL's hashed layout (``9d66eef0.0``, ``9d66eef0.r0``)."""
    folder = os.fsdecode(path)
    found = [Batch((), (), repr(folder), place=folder)]
    for name in sorted(filter(_HASHED_NAME.fullmatch, os.listdir(folder))):
        where = os.path.join(folder, name)
        found.append(_in_pem(read_file(where, "CA"), repr(where), on_request=True))
    return found


def in_data(data: str | ReadableBuffer | TrustData) -> list[Batch]:
    """PEM text (str), DER (bytes-like), or `cryptography` certificates and revocation lists."""
    if isinstance(data, str):
        try:
            text = data.encode("ascii")
        except UnicodeEncodeError:
            raise TypeError("cadata should be an ASCII string or a bytes-like object") from None
        if not text:
            raise ValueError("Empty certificate data")
        return [_in_pem(text, "cadata")]
    if isinstance(data, bytes | bytearray | memoryview):
        if not data:
            raise ValueError("Empty certificate data")
        return [Batch(_usable(from_der(bytes(data), "cadata")), (), "cadata")]
    if isinstance(data, x509.Certificate | x509.CertificateRevocationList):
        return [_in_objects([data])]
    if isinstance(data, Iterable):
        return [_in_objects(list(data))]
    raise TypeError("cadata should be an ASCII string or a bytes-like object")


def _in_objects(objects: list[TrustObject]) -> Batch:
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
    return Batch(_usable(certificates), lists, "cadata")


def in_system() -> list[Batch]:
    """What the operating system trusts, or what SSL_CERT_FILE and SSL_CERT_DIR name instead.

    A file, folder or certificate that cannot be read is left out: it then vouches for nobody. What it was is
    kept for the errors that follow.
    """
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file is not None or folders:
        found = _tried("SSL_CERT_FILE", file, in_file) if file is not None else []
        for folder in filter(None, (folders or "").split(os.pathsep)):
            found += _tried("SSL_CERT_DIR", folder, in_folder)
        return found or [Batch((), (), "SSL_CERT_DIR", unread=("SSL_CERT_DIR names no folder",))]
    readable: list[bytes] = []
    ders, errors = _engine.system_certificates()
    for der in ders:
        with contextlib.suppress(ssl.SSLError):
            readable += _usable([der])
    if not (readable or errors):
        errors = ["the system has no trusted certificates where they usually are"]
    unread = tuple(plain(words, _LONGEST_UNREAD) for words in errors)
    return [Batch(readable, (), "the system", unread=unread)]


def _tried(variable: str, path: str, read: Callable[[str], list[Batch]]) -> list[Batch]:
    """What a path that the environment names holds, or why nothing."""
    try:
        found = read(path)
    except (OSError, ssl.SSLError) as why:
        words = (isinstance(why, OSError) and why.strerror) or str(why.args[-1])
        unread = plain(f"{variable} names {path!r}, which cannot be read: {words}", _LONGEST_UNREAD)
    else:
        if any(batch.certificates for batch in found):
            return found
        unread = plain(f"{variable} names {path!r}, which holds no certificate", _LONGEST_UNREAD)
    return [Batch((), (), repr(path), unread=(unread,))]
