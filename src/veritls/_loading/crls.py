"""CRLs (RFC 5280, section 5): how they are read, and which of them replaces which."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable
from types import MappingProxyType

from veritls import _engine
from veritls._explaining.reasons import ssl_error, words_of
from veritls._loading.pem import crls_in, is_content, is_pem, read_content, read_file
from veritls._value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import TypeAlias

    from cryptography import x509

    from veritls._loading.pem import Content, StrPath

    CRLSource: TypeAlias = Content | x509.CertificateRevocationList | Iterable[x509.CertificateRevocationList]
    _Line: TypeAlias = tuple["_Kept", ...]

HASHED_NAME = r"[0-9a-f]{8}\.r\d+"
"""The file name of a CRL in a folder in OpenSSL's layout (``openssl rehash``)."""

MAX_UNVERIFIED = 8
"""CRLs of one line that are kept although no known certificate signed them."""


class Found(Value):
    """A CRL and its source."""

    parsed: _engine.Crl
    where: str


def read(der: bytes, where: str) -> Found:
    """One CRL from DER. Raises ssl.SSLError naming `where` where it cannot be used."""
    try:
        return Found(_engine.Crl(der), where)
    except ssl.SSLError as why:
        raise ssl_error(str(why.reason), f"{words_of(why)} ({where})") from None


def _in_data(data: bytes, where: str) -> Iterator[Found]:
    crls = crls_in(data, where) if is_pem(data) or b"\0" not in data else [data]
    if not crls:
        raise ssl_error("NO_START_LINE", f"PEM lib: no start line: {where} does not contain a CRL")
    yield from (read(der, where) for der in crls)


def in_path(path: StrPath) -> Iterator[Found]:
    """The CRLs of a file (PEM, or one in DER) or of a folder in OpenSSL's hashed layout (``9d66eef0.r0``).

    Raises OSError for what cannot be read, ssl.SSLError for a file that contains none.
    """
    place = os.fsdecode(path)
    if not os.path.isdir(place):
        yield from _in_data(read_file(place, "CRL"), repr(place))
        return
    import re

    for name in sorted(os.listdir(place)):
        if re.fullmatch(HASHED_NAME, name):
            yield from in_path(os.path.join(place, name))


def in_source(source: CRLSource, where: str = "memory") -> Iterator[Found]:
    """The CRLs of a path, of PEM or DER in memory, or of `cryptography` objects. `where`: what has those that
    are not in a file.

    Raises OSError and ssl.SSLError as `in_path`, TypeError for anything else.
    """
    if is_content(source):
        data, _ = read_content(source, "CRL")  # type: ignore[arg-type]
        yield from _in_data(data, where)
    elif isinstance(source, str | bytes | os.PathLike):
        yield from in_path(source)
    else:
        yield from _of_objects(source, where)


def _of_objects(source: object, where: str) -> Iterator[Found]:
    from veritls._loading.objects import crl_der

    alone = crl_der(source)
    if alone is not None:
        yield read(alone, where)
    elif isinstance(source, Iterable):
        for each in source:
            der = crl_der(each)
            if der is None:
                raise TypeError(f"source must contain CRLs, not {type(each).__name__}")
            yield read(der, where)
    else:
        raise TypeError(f"source must be a path, bytes or CRLs, not {type(source).__name__}")


def _newer(one: _engine.Crl, other: _engine.Crl) -> bool:
    """Whether `one` is newer than `other` of the same line: by CRL number, else by thisUpdate."""
    if one.number is not None and other.number is not None and one.number != other.number:
        return int.from_bytes(one.number) > int.from_bytes(other.number)
    return one.period[0] > other.period[0]


class _Kept(Value):
    parsed: _engine.Crl
    where: str
    arrival: int

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def signers(self, known: Iterable[bytes]) -> set[bytes]:
        """The `known` certificates (DER) that signed it."""
        return {each for each in known if self.parsed.signed_by(each)}


def _bounded(line: _Line, known: Collection[bytes]) -> _Line:
    """The line without one of the CRLs that none of the `known` signed, where there are too many of them.

    The oldest arrival stays, however many forged CRLs follow it. The newest stay, too: otherwise a CA whose
    certificate no peer has sent yet could not replace its CRLs.
    """
    unverified = [each for each in line if not each.signers(known)]
    if len(unverified) <= MAX_UNVERIFIED:
        return line
    ranked = sorted(unverified, key=lambda each: each.arrival)
    expired = [each for each in ranked if each.parsed.period[1] <= time.time()]
    dropped = expired[0] if expired else ranked[1]
    return tuple(each for each in line if each is not dropped)


def _with(line: _Line, new: _Kept, known: Collection[bytes], *, older: bool) -> _Line:
    """The line with a CRL added, or unchanged; the one that is tried first comes first."""
    if line and line[0].parsed.der == new.parsed.der:
        return line
    signers = new.signers(known)
    rivals = [each for each in line if each.signers(signers)]
    if not older and rivals and not _newer(new.parsed, rivals[0].parsed):
        return line
    rest = [each for each in line if each not in rivals and each.parsed.der != new.parsed.der]
    behind = (place for place, each in enumerate(rest) if older or _newer(new.parsed, each.parsed))
    rest.insert(next(behind, len(rest)), new)
    taken = _bounded(tuple(rest), known)
    changed = [each.parsed.der for each in taken] != [each.parsed.der for each in line]
    return taken if changed and new in taken else line


class CRLStore(Value):
    """The CRLs that one context knows, as an immutable value: `add` returns the next one.

    A line is the CRLs of one issuer with the same authority key identifier and issuing distribution point.
    A CRL that a known certificate of its issuer signed replaces older ones of the same signer. The others
    stay, at most `MAX_UNVERIFIED` of a line: when a path supplies the issuer's certificate, the first CRL
    that it signed is used.
    """

    _lines: Mapping[object, _Line] = MappingProxyType({})
    _places: tuple[str, ...] = ()

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[tuple[_engine.Crl, str]]:
        """Each CRL with its source, line by line, in the order in which they are tried."""
        return ((each.parsed, each.where) for line in self._lines.values() for each in line)

    def engines(self) -> list[_engine.Crl]:
        """The CRLs in the engine's form."""
        return [each for each, _ in self]

    def remembering(self, path: StrPath) -> CRLStore:
        """The same, with a file or folder that `reread` reads."""
        place = os.path.abspath(os.fsdecode(path))
        return self if place in self._places else replace(self, _places=(*self._places, place))

    def reread(self) -> Iterator[Found]:
        """The current content of the files and folders that CRLs were read from. Raises as `in_path`."""
        for place in self._places:
            yield from in_path(place)

    def with_newer(self, former: CRLStore, signers: Callable[[bytes], Iterable[bytes]]) -> CRLStore:
        """The same with those CRLs of `former` that are newer than one here of the same line and signer.

        Of a line that is not here, nothing is taken.
        """
        lines = dict(self._lines)
        for name, line in self._lines.items():
            for old in former._lines.get(name, ()):
                known = set(signers(old.parsed.issuer)) | {
                    each.parsed.signer for each in (*line, old) if each.parsed.signer is not None
                }
                theirs = old.signers(known)
                rivals = [each for each in line if each.signers(theirs)]
                if rivals and _newer(old.parsed, rivals[0].parsed):
                    line = _with(line, old, known, older=False)
            lines[name] = line
        return self if lines == self._lines else replace(self, _lines=lines)

    def add(
        self,
        found: Iterable[Found],
        signers: Callable[[bytes], Iterable[bytes]],
        *,
        foreign: bool = False,
        older: bool = False,
    ) -> tuple[CRLStore, int]:
        """The same with the CRLs that are new or newer (`older`: with older ones, too), and their number.

        `signers`: the known certificates (DER) with a subject (DER). Raises ssl.SSLError for a CRL that none
        of them signed; with `foreign` it is kept unverified.
        """
        lines = dict(self._lines)
        taken, arrival = 0, max((each.arrival for line in lines.values() for each in line), default=0)
        for each in found:
            arrival += 1
            name = each.parsed.issuer, each.parsed.line
            line, new = lines.get(name, ()), _Kept(each.parsed, each.where, arrival)
            trusted = set(signers(each.parsed.issuer))
            known = trusted | {kept.parsed.signer for kept in line if kept.parsed.signer is not None}
            if trusted and not foreign and not new.signers(known):
                words = f"CRL signature failure: the CRL was not signed by its issuer ({each.where})"
                raise ssl_error("CRL_SIGNATURE_FAILURE", words, library="X509")
            lines[name] = _with(line, new, known, older=older)
            taken += lines[name] is not line
        return replace(self, _lines=lines), taken
