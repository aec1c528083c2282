"""Trusted certificates and CRLs, read from files, hashed folders, memory and the system."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from veritls import _engine
from veritls._explaining.reasons import ssl_error, words_of
from veritls._loading.pem import StrPath, has_certificates, pem_certificates, pem_crls, read_file
from veritls._report.rendering import plain

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TrustObject: TypeAlias = x509.Certificate | x509.CertificateRevocationList
TrustData: TypeAlias = TrustObject | Iterable[TrustObject]

_LONGEST_UNREAD = 300
"""Characters of a message about something that could not be read."""
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.r?\d+")


def from_der(data: bytes, where: str) -> list[bytes]:
    """The certificates of a string of DER, one after the other.

    Raises ssl.SSLError naming `where` if one is malformed or there is none.
    """
    try:
        return _engine.split_certificates(data)
    except ssl.SSLError as why:
        words = f"not enough data: {where} does not contain a certificate in DER: {words_of(why)}"
        raise ssl_error("NOT_ENOUGH_DATA", words) from None


class Batch(NamedTuple):
    """Trust read from one source; every certificate is usable."""

    certificates: Sequence[bytes]
    crls: Sequence[bytes]
    """DER."""
    source: str
    on_request: bool = False
    """Not listed before a path has ended in it, as `ssl` documents for capath."""
    place: StrPath | None = None
    """The path of a file or folder with CRLs, which `reload_crls` reads again."""
    unread: tuple[str, ...] = ()
    """What could not be read, in words."""


def _usable(certificates: Sequence[bytes]) -> Sequence[bytes]:
    """The certificates. Raises ssl.SSLError where one cannot be used."""
    _engine.TrustSet(certificates, [], False)
    return certificates


def _in_pem(data: bytes, where: str, *, on_request: bool = False) -> Batch:
    crls = pem_crls(data, where)
    certificates = pem_certificates(data, where) if not crls or has_certificates(data) else []
    return Batch(_usable(certificates), crls, where, on_request)


def in_file(path: StrPath) -> list[Batch]:
    """The content of a PEM file. Raises OSError and ssl.SSLError, naming the file."""
    batch = _in_pem(read_file(path, "CA"), repr(os.fsdecode(path)))
    return [batch._replace(place=path) if batch.crls else batch]


def in_folder(path: StrPath) -> list[Batch]:
    """The PEM files of a folder in OpenSSL's hashed layout (``9d66eef0.0``). Raises as `in_file`."""
    folder = os.fsdecode(path)
    found = [Batch((), (), repr(folder), place=folder)]
    for name in sorted(filter(_HASHED_NAME.fullmatch, os.listdir(folder))):
        where = os.path.join(folder, name)
        found.append(_in_pem(read_file(where, "CA"), repr(where), on_request=True))
    return found


def in_data(data: str | ReadableBuffer | TrustData) -> list[Batch]:
    """PEM text (str), DER (bytes-like), or `cryptography` certificates and CRLs.

    Raises TypeError for other types, ValueError where there is nothing, ssl.SSLError for a malformed one.
    """
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
    certificates, crls = [], []
    for each in objects:
        if isinstance(each, x509.Certificate):
            certificates.append(each.public_bytes(Encoding.DER))
        elif isinstance(each, x509.CertificateRevocationList):
            crls.append(each.public_bytes(Encoding.DER))
        else:
            words = "cadata should be an ASCII string, a bytes-like object, or certificates and CRLs"
            raise TypeError(words)
    if not objects:
        raise ValueError("Empty certificate data")
    return Batch(_usable(certificates), crls, "cadata")


def in_system() -> list[Batch]:
    """What the operating system trusts, or what SSL_CERT_FILE and SSL_CERT_DIR name instead.

    A file, folder or certificate that cannot be read is left out, so that it is not trusted. The batch says
    which, for the errors that follow.
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
        errors = ["the system has no trusted certificates in the usual places"]
    unread = tuple(plain(words, _LONGEST_UNREAD) for words in errors)
    return [Batch(readable, (), "the system", unread=unread)]


def _tried(variable: str, path: str, read: Callable[[str], list[Batch]]) -> list[Batch]:
    """The content of a path from an environment variable, or a batch that says why there is none."""
    try:
        found = read(path)
    except (OSError, ssl.SSLError) as why:
        words = (isinstance(why, OSError) and why.strerror) or str(why.args[-1])
        unread = plain(f"{variable} names {path!r}, which cannot be read: {words}", _LONGEST_UNREAD)
    else:
        if any(batch.certificates for batch in found):
            return found
        unread = plain(f"{variable} names {path!r}, which contains no certificate", _LONGEST_UNREAD)
    return [Batch((), (), repr(path), unread=(unread,))]
