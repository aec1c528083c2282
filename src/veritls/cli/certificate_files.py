"""Certificates in files as people have them: PEM, DER, PKCS#12, stdin, folders.

The files may come from anybody. What is no regular file is not read; size, number and depth are bounded.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from veritls._engine import is_private_key
from veritls._explaining.reasons import words_of
from veritls._loading.pem import from_der, has_certificates, is_cut, is_pem, pem_blocks, pem_certificates
from veritls.cli.reading import STDIN, content

MOST_CERTIFICATES = 64
"""Certificates of one chain; a file with more is a list of CAs."""
MOST_FILES = 10_000
DEEPEST = 8
"""Folders below the one that is named."""
PKCS12_SECONDS = 30
"""For the key derivation of a PKCS#12 file, whose length the file chooses."""

_READER = ("-P", "-m", "veritls.cli.pkcs12")
_deriving: set[subprocess.Popen[bytes]] = set()

_DER = b"\x30"
_DER_SUFFIXES = (".der", ".cer", ".crt")
_PKCS12_SUFFIXES = (".p12", ".pfx")


class NoCertificateError(Exception):
    """There is no chain in the file, and nothing says that there should be one."""


@dataclass(frozen=True)
class Input:
    """A file to verify. `named`: by the user; else it was found in a folder."""

    path: Path
    named: bool = True

    def __str__(self) -> str:
        return "stdin" if self.path == STDIN else str(self.path)


def inputs(paths: Sequence[Path]) -> list[Input]:
    """The files, each once, in the order given; a folder stands for the files in it, sorted by name.

    In a folder, names that begin with a dot are left out, and links to folders. Raises OSError for a folder
    that cannot be read, ValueError for more files than the bound.
    """
    found: dict[Path, Input] = {}
    for path in paths:
        within = _within(path) if path != STDIN and path.is_dir() else [Input(path)]
        for each in within:
            found.setdefault(each.path, each)
            if len(found) > MOST_FILES:
                raise ValueError(f"{path}: more than {MOST_FILES:,} files: give folders with fewer")
    return list(found.values())


def _within(folder: Path, depth: int = 0) -> Iterator[Input]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        if not depth:
            raise
        yield Input(folder, named=False)  # told of as a file that cannot be read
        return
    for each in entries:
        if each.name.startswith("."):
            continue
        if each.is_dir(follow_symlinks=False):
            if depth >= DEEPEST:
                raise ValueError(f"{each.path}: more than {DEEPEST} folders deep")
            yield from _within(Path(each.path), depth + 1)
        elif not _is_folder(each):
            yield Input(Path(each.path), named=False)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself, or to where nobody may look: told of as a file that cannot be read


def chain_in(path: Path, password: bytes | None = None) -> list[bytes]:
    """The chain in a file, DER, the peer's own certificate first. `password`: for PKCS#12.

    Raises NoCertificateError for a file of something else; OSError for one that cannot be read; ValueError
    for one whose certificates are malformed, or that needs the password.
    """
    data = content(path)
    if not data.strip():
        raise NoCertificateError("it is empty")
    suffix = path.suffix.lower()
    if is_pem(data):
        if not has_certificates(data):
            if is_cut(data):
                raise ValueError("a certificate that is cut off: its PEM block has no end")
            labels = sorted({label.decode("ascii") for label, _ in pem_blocks(data)})
            raise NoCertificateError(f"no certificate in it: {', '.join(labels) or 'no whole PEM block'}")
        chain = _parsed(data, pem=True)
    elif data.startswith(_DER):
        chain = [] if suffix in _PKCS12_SUFFIXES else _in_der(data, suffix)
        chain = chain or _in_pkcs12(data, password)
    else:
        raise NoCertificateError("no certificate in it: neither PEM nor DER")
    if len(chain) > MOST_CERTIFICATES:
        raise NoCertificateError(f"{len(chain):,} certificates: more than the {MOST_CERTIFICATES} of a chain")
    return chain


def _parsed(data: bytes, *, pem: bool) -> list[bytes]:
    try:
        return pem_certificates(data, "it") if pem else from_der(data, "it")
    except ssl.SSLError as why:
        raise ValueError(words_of(why).removeprefix("PEM lib: ")) from None


def _in_der(data: bytes, suffix: str) -> list[bytes]:
    """Empty where it may be something else. Raises NoCertificateError for a private key."""
    if is_private_key(data):
        raise NoCertificateError("no certificate in it: a private key")
    try:
        return _parsed(data, pem=False)
    except ValueError:
        if suffix in _DER_SUFFIXES:
            raise
        return []


def stop_deriving() -> None:
    """Ends the processes that read PKCS#12 files at this moment."""
    for process in list(_deriving):
        process.kill()


def _in_pkcs12(data: bytes, password: bytes | None) -> list[bytes]:
    """Read by a process of its own: the file says how long the derivation of its keys takes."""
    secret = password or b""
    command = [sys.executable, *_READER, str(len(secret)), str(int(password is None))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as done:
        _deriving.add(done)
        try:
            chain, _ = done.communicate(secret + data, PKCS12_SECONDS)
        except subprocess.TimeoutExpired:
            words = f"its keys take more than {PKCS12_SECONDS} seconds to derive"
            raise ValueError(words) from None
        finally:
            done.kill()
            _deriving.discard(done)
    if done.returncode == NOT_PKCS12:
        raise NoCertificateError("no certificate in it: neither a certificate in DER nor PKCS#12")
    if done.returncode == WRONG_PASSWORD:
        raise ValueError(
            "PKCS#12 that is encrypted, or malformed: give --password-file"
            if password is None
            else "PKCS#12: the password of --password-file is wrong, or the file is malformed"
        )
    if done.returncode != 0:
        raise ValueError("PKCS#12 that cannot be read")
    if not chain:
        raise NoCertificateError("PKCS#12 without a certificate")
    return _parsed(chain, pem=False)


NOT_PKCS12, WRONG_PASSWORD = 3, 4
"""How `veritls.cli.pkcs12` ends for what is something else, and for what the password does not open."""
