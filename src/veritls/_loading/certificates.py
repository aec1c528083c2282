"""A certificate as `ssl` shows it: the dict of `getpeercert()`. Parsed by the engine."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

from veritls import _engine
from veritls._explaining.reasons import words_of
from veritls._loading.attribute_names import LONG_NAMES
from veritls._report.rendering import hexadecimal, moment_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any

_SHORT_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
"""The names of attributes of RFC 4514, section 3; any other is shown by its number."""

_ESCAPES = str.maketrans({char: f"\\{char}" for char in '\\"+,;<>'} | {"\0": "\\00"})

_Name = tuple[tuple[tuple[str, str | bytes], ...], ...]

_BIT_STRING = 3
_ENCODINGS = {12: "utf-8", 28: "utf-32-be", 30: "utf-16-be"}
"""The ASN.1 string types by their tags. Any other is read as OpenSSL reads it: one byte, one character."""

_TEXTS = {1: "email", 2: "DNS", 6: "URI"}
_UNREAD = {0: "othername", 3: "X400Name", 5: "EdiPartyName"}
UNSUPPORTED = "<unsupported>"
"""The value of names of these kinds, as with OpenSSL."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_1 = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_CYCLE_YEARS, _CYCLE = 400, timedelta(days=146_097)
"""The calendar repeats itself."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _text(data: bytes, encoding: str = "utf-8") -> str:
    return data.decode(encoding, "backslashreplace")


def _value(tag: int, data: bytes) -> str | bytes:
    if tag == _BIT_STRING:
        return data[1:]  # the first byte counts the unused bits of the last
    return _text(data, _ENCODINGS.get(tag, "latin-1"))


def _name(name: _engine.RawName) -> _Name:
    return tuple(
        tuple((LONG_NAMES.get(oid, oid), _value(tag, data)) for oid, tag, data in rdn) for rdn in name
    )


def _moment(seconds: int) -> str:
    """As OpenSSL writes it, whatever the locale. `datetime` has no year 0, which a certificate can name."""
    early = seconds < _YEAR_1
    moment = (_EPOCH + _CYCLE if early else _EPOCH) + timedelta(seconds=seconds)
    year = moment.year - (_CYCLE_YEARS if early else 0)
    return f"{_MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S} {year} GMT"


def _address(data: bytes) -> str:
    if len(data) == 4:
        return ".".join(map(str, data))
    if len(data) == 16:
        return ":".join(f"{high << 8 | low:X}" for high, low in zip(data[::2], data[1::2], strict=True))
    return "<invalid>"


def _general_name(tag: int, value: Any) -> tuple[str, Any]:
    match tag:
        case 1 | 2 | 6:
            return _TEXTS[tag], _text(value)
        case 4:
            return "DirName", _name(value)
        case 7:
            return "IP Address", _address(value)
        case 8:
            return "Registered ID", LONG_NAMES.get(value, value)
        case _:
            return _UNREAD[tag], UNSUPPORTED


def _extensions(contents: _engine.Contents) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    names = contents.get("names")
    if names is not None:
        shown["subjectAltName"] = tuple(_general_name(*each) for each in names)
    places = {
        "OCSP": contents.get("ocsp"),
        "caIssuers": contents.get("ca_issuers"),
        "crlDistributionPoints": contents.get("crls"),
    }
    return shown | {key: tuple(map(_text, uris)) for key, uris in places.items() if uris}


def decoded(der: bytes) -> dict[str, Any]:
    """The fields of a certificate (DER) under the names that the `ssl` documentation of getpeercert gives.

    subject and issuer: tuples of RDNs, each a tuple of (name, value); version: int; serialNumber: upper-case
    hex; notBefore, notAfter: text that `ssl.cert_time_to_seconds` reads; subjectAltName: (kind, value)
    pairs; OCSP, caIssuers, crlDistributionPoints: tuples of URIs; each of these four only where present.
    Text that breaks its own encoding has backslashes in it, and an extension that cannot be parsed is left
    out: a certificate that was verified always decodes. Raises ValueError for what is not a certificate.
    """
    try:
        contents = _engine.contents(der)
    except ssl.SSLError as why:
        raise ValueError(f"the certificate cannot be decoded: {words_of(why)}") from None
    return {
        "subject": _name(contents["subject"]),
        "issuer": _name(contents["issuer"]),
        "version": contents["version"] + 1,
        "serialNumber": hexadecimal(int.from_bytes(contents["serial"], signed=True)),
        "notBefore": _moment(contents["not_before"]),
        "notAfter": _moment(contents["not_after"]),
    } | _extensions(contents)


def described(der: bytes) -> tuple[str, datetime | None]:
    """The subject (RFC 4514) and notAfter of a certificate (DER); "" and None for anything else.

    None, too, for a year that `datetime` does not have. The engine parses it: `cryptography` warns about what
    RFC 5280 forbids and the trust stores of systems contain.
    """
    try:
        contents = _engine.contents(der)
    except ssl.SSLError:
        return "", None
    return _rfc4514(contents["subject"]), moment_of(contents["not_after"])


def alternative_names(der: bytes) -> tuple[tuple[str, str], ...]:
    """subjectAltName as `decoded` has it, names of directories as text; empty for anything unreadable."""
    try:
        found = _engine.contents(der).get("names") or ()
    except ssl.SSLError:
        return ()
    return tuple(
        ("DirName", _rfc4514(value)) if tag == 4 else _general_name(tag, value) for tag, value in found
    )


def name_text(der: bytes) -> str:
    """A distinguished name (DER) in the form of RFC 4514. Raises ssl.SSLError for anything else."""
    return _rfc4514(_engine.distinguished_name(der))


def subject_text(der: bytes) -> str:
    """The subject of a certificate (DER) in the form of RFC 4514, for messages. Never raises."""
    try:
        return described(der)[0] or _first_name(der)
    except ValueError:
        return "an unreadable certificate"


def _first_name(der: bytes) -> str:
    names = decoded(der).get("subjectAltName")
    return ":".join(map(str, names[0])) if names else "a certificate without a subject"


def _rfc4514(name: _engine.RawName) -> str:
    """A distinguished name as RFC 4514 writes it: the last RDN first."""
    return ",".join(
        "+".join(f"{_SHORT_NAMES.get(oid, oid)}={_escaped(_value(tag, data))}" for oid, tag, data in rdn)
        for rdn in reversed(name)
    )


def _escaped(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return f"#{value.hex()}"
    text = value.translate(_ESCAPES)
    if text.endswith(" "):
        text = f"{text[:-1]}\\ "
    return f"\\{text}" if text.startswith((" ", "#")) else text


def names(der: bytes) -> frozenset[Hashable]:
    """The names of a certificate: those of subjectAltName, DNS names in lower case; else its subject."""
    try:
        shown = decoded(der)
    except ValueError:
        return frozenset({_engine.names(der)[0]})
    found = ((kind, text) for kind, text in shown.get("subjectAltName", ()) if text != UNSUPPORTED)
    lower = frozenset((kind, text.lower() if kind == "DNS" else text) for kind, text in found)
    return lower or frozenset({shown["subject"]})
