"""Revocation lists (RFC 5280, section 5): where they come from, and which of them follows which."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from veritls import _engine
from veritls.errors import ssl_error
from veritls.pem import Content, StrPath, is_content, is_pem, pem_crls, read_content, read_file

ListSource: TypeAlias = Content | x509.CertificateRevocationList | Iterable[x509.CertificateRevocationList]

HASHED_NAME = re.compile(r"[0-9a-f]{8}\.r\d+")
"""The name of a revocation list in a folder in OpenSSL's layout (``openssl rehash``)."""


@dataclass(frozen=True)
class Found:
    """A revocation list, and where it is from."""

    parsed: _engine.RevocationList
    where: str


def read(der: bytes, where: str) -> Found:
    """One list from DER. Raises ssl.SSLError naming `where` for what cannot be used."""
    try:
        return Found(_engine.RevocationList(der), where)
    except ssl.SSLError as why:
        words = f"{why.args[1].split('] ', 1)[-1]} ({where})"
        raise ssl_error(str(why.reason), words) from None


def _in_data(data: bytes, where: str) -> Iterator[Found]:
    lists = pem_crls(data, where) if is_pem(data) or b"\0" not in data else [data]
    if not lists:
        raise ssl_error("NO_START_LINE", f"PEM lib: no start line: no revocation list in {where}")
    yield from (read(der, where) for der in lists)


def in_path(path: StrPath) -> Iterator[Found]:
    """Those of a file (PEM, or one in DER) or of a folder in OpenSSL's hashed layout (``9d66eef0.r0``).

    Raises OSError for what cannot be read, ssl.SSLError for a file that holds none.
    """
    place = os.fsdecode(path)
    if not os.path.isdir(place):
        yield from _in_data(read_file(place, "CRL"), repr(place))
        return
    for name in sorted(filter(HASHED_NAME.fullmatch, os.listdir(place))):
        yield from in_path(os.path.join(place, name))


def in_source(source: ListSource) -> Iterator[Found]:
    """Those of a path, of PEM or DER in memory, or of `cryptography` objects.

    Raises OSError and ssl.SSLError as `in_path`, TypeError for anything else.
    """
    if isinstance(source, x509.CertificateRevocationList):
        yield read(source.public_bytes(Encoding.DER), "memory")
    elif is_content(source):
        data, _ = read_content(source, "CRL")  # type: ignore[arg-type]
        yield from _in_data(data, "memory")
    elif isinstance(source, str | bytes | os.PathLike):
        yield from in_path(source)
    elif isinstance(source, Iterable):
        for each in source:
            if not isinstance(each, x509.CertificateRevocationList):
                raise TypeError(f"revocation lists are needed, not {type(each).__name__}")
            yield from in_source(each)
    else:
        raise TypeError("a path, bytes or revocation lists are needed")


def _newer(one: _engine.RevocationList, other: _engine.RevocationList) -> bool:
    """Whether `one` came after `other`, of the same line: by CRL number, else by thisUpdate."""
    if one.number is not None and other.number is not None and one.number != other.number:
        return int.from_bytes(one.number) > int.from_bytes(other.number)
    return one.period[0] > other.period[0]


class RevocationLists:
    """The lists that one context knows: of each line the newest.

    A line are the lists of one issuer with the same authority key identifier and issuing distribution point.
    """

    def __init__(self) -> None:
        self._kept: dict[object, tuple[_engine.RevocationList, str]] = {}
        self._places: dict[str, None] = {}

    def copy(self) -> RevocationLists:
        """The same, to be changed."""
        made = RevocationLists()
        made._kept, made._places = self._kept, dict(self._places)
        return made

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[tuple[_engine.RevocationList, str]]:
        return iter(self._kept.values())

    def engines(self) -> list[_engine.RevocationList]:
        """As the engine takes them."""
        return [each for each, _ in self._kept.values()]

    def remember(self, path: StrPath) -> None:
        """A file or folder that `again` reads."""
        self._places[os.path.abspath(os.fsdecode(path))] = None

    def again(self) -> Iterator[Found]:
        """What the files and folders hold now that lists came from. Raises as `in_path`."""
        for place in self._places:
            yield from in_path(place)

    def add(
        self,
        found: Iterable[Found],
        signers: Callable[[bytes], Iterable[bytes]],
        *,
        foreign: bool = False,
        older: bool = False,
    ) -> int:
        """Takes those that are new, or newer than what is here (`older`: others too); returns how many.

        `signers`: the known certificates (DER) of an issuer's name (DER). A list that none of them signed is
        refused; with `foreign` it is kept, but takes nobody's place. Raises ssl.SSLError, and takes none.
        """
        kept = dict(self._kept)
        taken = 0
        for each in found:
            parsed = each.parsed
            line = (parsed.issuer, parsed.line)
            known = list(signers(parsed.issuer))
            if known and not any(map(parsed.signed_by, known)):
                if not foreign:
                    words = (
                        f"CRL signature failure: its issuer did not sign the revocation list ({each.where})"
                    )
                    raise ssl_error("CRL_SIGNATURE_FAILURE", words, library="X509")
                if line in kept:
                    continue
            here = kept.get(line)
            if here is not None and (here[0].der == parsed.der or not (older or _newer(parsed, here[0]))):
                continue
            kept[line] = parsed, each.where
            taken += 1
        self._kept = kept
        return taken
