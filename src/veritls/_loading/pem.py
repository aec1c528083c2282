"""What files and memory hold: PEM (RFC 7468) and DER, with certificates and CRLs as DER."""

from __future__ import annotations

import base64
import io
import os
import ssl

from veritls import _engine
from veritls._explaining.reasons import ssl_error, words_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    StrPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    Content: TypeAlias = StrPath | bytearray | memoryview
    """A path, or what a file would hold: see `is_content`."""

HERE = "the data given"
_DER_STARTS = (b"\x30\x81", b"\x30\x82", b"\x30\x83")

_BEGIN = b"-----BEGIN "
_DASHES = b"-----"
_LABEL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "
_LONGEST_LABEL = 100
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")


def is_pem(data: bytes) -> bool:
    """Whether a PEM block begins in `data`."""
    return b"-----BEGIN" in data


def _scanned(data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """The blocks of a PEM text as (label, whole block); None, once for a label, where a block has no end."""
    without_end: set[bytes] = set()
    at = 0
    while (begin := data.find(_BEGIN, at)) >= 0:
        at = begin + len(_BEGIN)
        dashes = data.find(_DASHES, at, at + _LONGEST_LABEL)
        label, body = data[at : max(dashes, at)], dashes + len(_DASHES)
        begins = data.startswith((b"\n", b"\r\n"), body) and not label.strip(_LABEL)
        if not (label and begins) or label in without_end:
            continue
        last = b"-----END " + label + _DASHES
        end = data.find(last, body)
        if end < 0:
            without_end.add(label)
            yield label, None
            continue
        at = end + len(last)
        yield label, data[begin:at]


def pem_blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The blocks of a PEM text as (label, whole block). Text between them is ignored (RFC 7468)."""
    return [(label, block) for label, block in _scanned(data) if block is not None]


def in_words(blocks: list[tuple[bytes, bytes]]) -> str:
    """What a PEM text has where what was looked for is missing."""
    labels = ", ".join(sorted({label.decode() for label, _ in blocks}))
    return f"it has only {labels}" if labels else "it has no PEM block"


def _whole_blocks(data: bytes, where: str) -> list[tuple[bytes, bytes]]:
    """The same. Raises ssl.SSLError naming `where` where a block has no end, as `ssl` does: what is before it
    would be taken for all, while the file is being written or where a copy of it broke off."""
    found = []
    for label, block in _scanned(data):
        if block is None:
            words = f"PEM lib: a PEM block of {where} is cut off, it has no end: {label.decode()}"
            raise ssl_error("PEM_LIB", words)
        found.append((label, block))
    return found


def read_file(path: StrPath, what: str) -> bytes:
    """The bytes of a file that must exist and hold something.

    Raises OSError with the path, and ssl.SSLError naming `what` and the path where the file is empty.
    """
    with open(path, "rb", buffering=0) as file:
        return content_of(file, path, what)


def content_of(file: io.FileIO, path: StrPath, what: str) -> bytes:
    """The rest of an open file. Raises as `read_file`."""
    data = file.read()
    if not data.strip():
        raise ssl_error("PEM_LIB", f"PEM lib: the {what} file {os.fsdecode(path)!r} is empty")
    return data


def is_content(source: object) -> bool:
    """Whether `source` is what a file would hold, and not the path of one.

    bytearray and memoryview are. str and PathLike are paths. bytes are a path, as in `ssl`, unless they hold
    ``-----BEGIN`` or a zero byte, or start as DER does (30 81, 30 82, 30 83): a path has no zero byte, and
    certificates, keys and PKCS#12 have one in DER.
    """
    if isinstance(source, bytes):
        return b"-----BEGIN" in source or b"\0" in source or source.startswith(_DER_STARTS)
    return isinstance(source, bytearray | memoryview)


def read_content(source: Content, what: str) -> tuple[bytes, str]:
    """The bytes of a file or of memory, and their source, for messages. Raises as `read_file`."""
    if is_content(source):
        assert isinstance(source, bytes | bytearray | memoryview)
        data = bytes(source)
        if not data.strip():
            raise ssl_error("PEM_LIB", f"PEM lib: the {what} is empty")
        return data, HERE
    assert not isinstance(source, bytearray | memoryview)
    return read_file(source, what), repr(os.fsdecode(source))


def from_pem(block: bytes) -> bytes:
    """The DER in one PEM block without headers. Raises ValueError where it is not base64."""
    body = b"".join(block.split(b"\n")[1:-1]).replace(b"\r", b"")
    return base64.b64decode(body, validate=True)


def _certificate_der(block: bytes) -> bytes:
    certificates = _engine.split_certificates(from_pem(block))
    if len(certificates) != 1:
        raise ValueError(f"a PEM block must contain one certificate, not {len(certificates)}")
    return certificates[0]


def pem_certificates(data: bytes, where: str) -> list[bytes]:
    """The certificates of a PEM text, DER, in order.

    Raises ssl.SSLError naming `where`, if there is none, one of them cannot be parsed or a block has no end.
    """
    blocks = _whole_blocks(data, where)
    certificates = [block for label, block in blocks if label in _CERTIFICATES]
    if not certificates:
        words = f"no start line: {where} does not contain a certificate: {in_words(blocks)}"
        raise ssl_error("NO_START_LINE", f"PEM lib: {words}")
    try:
        return [_certificate_der(block) for block in certificates]
    except (ValueError, ssl.SSLError) as error:
        why = words_of(error) if isinstance(error, ssl.SSLError) else error
        words = f"PEM lib: a certificate in {where} is malformed: {why}"
        raise ssl_error("PEM_LIB", words) from None


def from_der(data: bytes, where: str) -> list[bytes]:
    """The certificates of a string of DER, one after the other.

    Raises ssl.SSLError naming `where` if one is malformed or there is none.
    """
    try:
        return _engine.split_certificates(data)
    except ssl.SSLError as why:
        words = f"not enough data: {where} does not contain a certificate in DER: {words_of(why)}"
        raise ssl_error("NOT_ENOUGH_DATA", words) from None


def has_certificates(data: bytes) -> bool:
    """Whether a PEM text contains a certificate, well formed or not."""
    return any(label in _CERTIFICATES for label, _ in pem_blocks(data))


def is_cut(data: bytes) -> bool:
    """Whether a PEM text without a certificate has the beginning of one."""
    return any(_BEGIN + label + _DASHES in data for label in _CERTIFICATES)


def crls_in(data: bytes, where: str) -> list[bytes]:
    """The CRLs of a PEM text, DER. Raises ssl.SSLError naming `where` where one is malformed or cut off."""
    blocks = [block for label, block in _whole_blocks(data, where) if label == b"X509 CRL"]
    if not blocks:
        return []
    from veritls._loading.objects import pem_crls

    return pem_crls(blocks, where)
