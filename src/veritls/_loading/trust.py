"""Trusted certificates and CRLs, read from files, hashed folders, memory and the system."""

from __future__ import annotations

import os
import ssl
import stat
import time
from collections.abc import Iterable
from functools import lru_cache

from veritls import _engine
from veritls._loading.pem import content_of, crls_in, from_der, has_certificates, pem_certificates, read_file
from veritls._value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias, TypeVar

    from _typeshed import ReadableBuffer
    from cryptography import x509

    from veritls._loading.pem import StrPath

    TrustObject: TypeAlias = x509.Certificate | x509.CertificateRevocationList
    TrustData: TypeAlias = TrustObject | Iterable[TrustObject]
    Kept = TypeVar("Kept")

MOST_KEPT, LARGEST_KEPT = 4, 1024 * 1024
"""How many files are kept, and how many sets of certificates; bytes up to which one is."""
_SETTLED = 2_000_000_000
"""Nanoseconds in which a file may change twice without a second change of its times."""
_LONGEST_UNREAD = 300
"""Characters of a message about something that could not be read."""
_HASHED_NAME = r"[0-9a-f]{8}\.r?\d+"


class Batch(Value):
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


def trust_set(
    certificates: tuple[bytes, ...], partial_chain: bool, unread: tuple[str, ...]
) -> _engine.TrustSet:
    """The engine's form of certificates (DER) without CRLs: one for all contexts with the same content.

    It never changes, but for the note which anchors a path has ended in: whoever reads that needs `fresh`.
    Raises ssl.SSLError where a certificate cannot be used.
    """
    if sum(map(len, certificates)) > LARGEST_KEPT:
        return _engine.TrustSet(certificates, [], partial_chain, unread)
    return _shared(certificates, partial_chain, unread)


@lru_cache(maxsize=MOST_KEPT)
def _shared(
    certificates: tuple[bytes, ...], partial_chain: bool, unread: tuple[str, ...]
) -> _engine.TrustSet:
    return _engine.TrustSet(certificates, [], partial_chain, unread)


def _usable(certificates: Sequence[bytes]) -> tuple[bytes, ...]:
    """The certificates. Raises ssl.SSLError where one cannot be used."""
    found = tuple(certificates)
    trust_set(found, False, ())
    return found


def _in_pem(data: bytes, where: str, *, on_request: bool = False) -> Batch:
    crls = crls_in(data, where)
    certificates = pem_certificates(data, where) if not crls or has_certificates(data) else []
    if on_request:  # one of many files, whose sets are used together
        _engine.TrustSet(certificates, [], False)
        return Batch(certificates, crls, where, on_request)
    return Batch(_usable(certificates), crls, where)


class _State(Value):
    """What tells whether a file is the one that was read, and unchanged."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, descriptor: int) -> _State | None:
        """None for anything but a regular file."""
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def settled(self) -> bool:
        """Whether its last change was long enough ago for a later one to show in the times."""
        return time.time_ns() - max(self.modified, self.changed) > _SETTLED


_files: Mapping[str, tuple[_State, Batch]] = {}
"""What files without CRLs contain, the last read last. Replaced, never changed: no thread waits."""

_folders: Mapping[str, tuple[_engine.FileStates, list[Batch]]] = {}
"""The same of hashed folders, with the states of the folder and of its files."""

_system: tuple[_engine.FileStates, Batch] | None = None
"""The system's trust, with the states of the files that it was read from."""


def _has_settled(states: _engine.FileStates) -> bool:
    """Whether the last change was long enough ago for a later one to show in the times."""
    return time.time_ns() - states.newest > _SETTLED


def _with(kept: Mapping[str, Kept], place: str, new: Kept) -> Mapping[str, Kept]:
    """With one more, and without the one that was read first where there are too many."""
    others = [(name, each) for name, each in kept.items() if name != place]
    return dict([*others[1 - MOST_KEPT :], (place, new)])


def in_file(path: StrPath) -> list[Batch]:
    """The content of a PEM file, read again where it may have changed since. Raises OSError and ssl.SSLError,
    naming the file.
    """
    global _files
    place = os.fsdecode(path)
    with open(path, "rb", buffering=0) as file:
        before = _State.of(file.fileno())
        kept = _files.get(place)
        if kept is not None and kept[0] == before:
            return [kept[1]]
        data = content_of(file, path, "CA")
        after = _State.of(file.fileno())
    batch = _in_pem(data, repr(place))
    if batch.crls:
        return [replace(batch, place=path)]
    if before is not None and before == after and before.settled() and before.size <= LARGEST_KEPT:
        _files = _with(_files, place, (before, batch))
    return [batch]


def in_folder(path: StrPath) -> list[Batch]:
    """The PEM files of a folder in OpenSSL's hashed layout (``9d66eef0.0``), read again where one of them or
    the folder may have changed since. Raises as `in_file`.
    """
    global _folders
    folder = os.fsdecode(path)
    kept = _folders.get(folder)
    if kept is not None and kept[0].unchanged():
        return kept[1]
    import re

    listed = _engine.FileStates([folder])
    names = [name for name in sorted(os.listdir(folder)) if re.fullmatch(_HASHED_NAME, name)]
    files = [os.path.join(folder, name) for name in names]
    states = _engine.FileStates([folder, *files])
    found = [Batch((), (), repr(folder), place=folder)]
    for where in files:
        found.append(_in_pem(read_file(where, "CA"), repr(where), on_request=True))
    size = sum(len(der) for batch in found for der in batch.certificates)
    keeps = size <= LARGEST_KEPT and not any(batch.crls for batch in found)
    if keeps and _has_settled(states) and listed.unchanged() and states.unchanged():
        _folders = _with(_folders, folder, (states, found))
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
    return [_in_objects(data)]


def _in_objects(data: object) -> Batch:
    from veritls._loading.objects import certificate_der, crl_der

    alone = certificate_der(data) is not None or crl_der(data) is not None
    if not (alone or isinstance(data, Iterable)):
        raise TypeError("cadata should be an ASCII string or a bytes-like object")
    objects = [data] if alone else list(data)  # type: ignore[call-overload]
    certificates, crls = [], []
    for each in objects:
        certificate, crl = certificate_der(each), crl_der(each)
        if certificate is not None:
            certificates.append(certificate)
        elif crl is not None:
            crls.append(crl)
        else:
            words = "cadata should be an ASCII string, a bytes-like object, or certificates and CRLs"
            raise TypeError(words)
    if not objects:
        raise ValueError("Empty certificate data")
    return Batch(_usable(certificates), crls, "cadata")


def _shown(words: str) -> str:
    from veritls._report.rendering import plain

    return plain(words, _LONGEST_UNREAD)


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
    return [_of_the_system()]


def _of_the_system() -> Batch:
    """The certificates of the system, read again where they may have changed since."""
    global _system
    kept = _system
    if kept is not None and kept[0].unchanged():
        return kept[1]
    ders, errors, states = _engine.system_certificates()
    readable = _usable_ones(ders)
    if not (readable or errors):
        errors = ["the system has no trusted certificates in the usual places"]
    batch = Batch(readable, (), "the system", unread=tuple(map(_shown, errors)))
    keeps = states is not None and not errors and _has_settled(states)
    _system = (states, batch) if states is not None and keeps else None
    return batch


def _usable_ones(ders: list[bytes]) -> tuple[bytes, ...]:
    try:
        return _usable(ders)
    except ssl.SSLError:
        return tuple(der for der in ders if _is_usable(der))


def _is_usable(der: bytes) -> bool:
    try:
        _engine.TrustSet([der], [], False)
    except ssl.SSLError:
        return False
    return True


def _tried(variable: str, path: str, read: Callable[[str], list[Batch]]) -> list[Batch]:
    """The content of a path from an environment variable, or a batch that says why there is none."""
    try:
        found = read(path)
    except (OSError, ssl.SSLError) as why:
        words = (isinstance(why, OSError) and why.strerror) or str(why.args[-1])
        unread = _shown(f"{variable} names {path!r}, which cannot be read: {words}")
    else:
        if any(batch.certificates for batch in found):
            return found
        unread = _shown(f"{variable} names {path!r}, which contains no certificate")
    return [Batch((), (), repr(path), unread=(unread,))]
