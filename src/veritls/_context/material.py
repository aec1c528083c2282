"""What a source gave, read: certificates, keys and CRLs in the engine's form."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any

from veritls import _engine
from veritls._explaining.reasons import ssl_error, words_of
from veritls._loading.bundles import as_bundles, certificates_in
from veritls._loading.certificates import subject_text
from veritls._loading.crls import Found, in_source
from veritls._loading.identities import load_identity
from veritls._loading.pem import HERE, pem_blocks
from veritls._loading.trust import trust_set
from veritls._report.rendering import plain
from veritls._value import Field, Value
from veritls.events.material import Kind
from veritls.sources.source import Identity, Material

KINDS: tuple[Kind, ...] = ("identity", "trust", "intermediates", "crls")
MOST_IDENTITIES = 100
"""Identities of one source."""


def _hidden(default: Any = None) -> Any:
    return Field(default, secret=True)


class Prepared(Value):
    """Everything of the kinds that a source provides; None of the others."""

    identity: tuple[_engine.Identity, ...] | None = None
    trust: tuple[bytes, ...] | None = _hidden()
    bundles: dict[str, dict[bytes, str]] | None = _hidden()
    intermediates: dict[bytes, str] | None = _hidden()
    crls: tuple[Found, ...] | None = _hidden()
    contents: object = _hidden()
    """Equal where two sets are the same, whatever form they came in. A key belongs to its certificate."""


def _certificates(content: Any, what: Kind, where: str) -> tuple[bytes, ...]:
    """DER. Raises ValueError where there is none, ssl.SSLError where one is malformed, TypeError."""
    data = content.encode("ascii", "replace") if isinstance(content, str) else content
    if isinstance(data, bytes | bytearray | memoryview):
        data = bytes(data)
        if not data.strip():
            raise ValueError(f"{where} gave no {what}: it is empty")
        if any(label == b"X509 CRL" for label, _ in pem_blocks(data)):
            raise ValueError(f"{where} has CRLs among its {what}: a source gives them as crls")
    return tuple(certificates_in(data, f"the {what} of {where}"))


def _identities(given: Any, where: str) -> tuple[_engine.Identity, ...]:
    several = [given] if isinstance(given, Identity) else given
    if isinstance(several, str | bytes) or not isinstance(several, Iterable):
        raise TypeError(f"identity must be an Identity, or several, not {type(given).__name__}")
    found = []
    for each in several:
        if not isinstance(each, Identity):
            raise TypeError(f"identity must be an Identity, or several, not {type(each).__name__}")
        for part in (each.cert, each.key):
            if isinstance(part, str | os.PathLike):
                raise TypeError(f"an Identity has contents (bytes) or objects, not {type(part).__name__}")
        cert, key = each.cert, each.key
        # Bytes that are no PEM could be taken for a path.
        cert = bytearray(cert) if isinstance(cert, bytes) else cert
        key = bytearray(key) if isinstance(key, bytes) else key
        try:
            found.append(load_identity(cert, key, each.password))
        except ssl.SSLError as error:
            words = words_of(error).replace(HERE, where)
            raise ssl_error(str(error.reason), words) from None
        if len(found) > MOST_IDENTITIES:
            raise ValueError(f"{where} gave more than {MOST_IDENTITIES} identities")
    if not found:
        raise ValueError(f"{where} gave no identity")
    return tuple(found)


def _crls(content: Any, where: str) -> tuple[Found, ...]:
    if isinstance(content, os.PathLike):
        raise TypeError(f"the crls of {where}: CRLs are PEM, DER or objects, not {type(content).__name__}")
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        content = bytearray(content)
    found = tuple(in_source(content, where))
    if not found:
        raise ValueError(f"{where} gave no crls: it is empty")
    return found


def prepared(material: object, provides: frozenset[Kind], where: str) -> Prepared:
    """The kinds in `provides`, ready for a context; others are not looked at. `where`: the source's name.

    Raises TypeError for anything but a Material of the right contents; ValueError where a kind is missing;
    ssl.SSLError where one cannot be used.
    """
    if not isinstance(material, Material):
        raise TypeError(f"{where}: load() must return a Material, not {type(material).__name__}")
    for kind in KINDS:
        if kind in provides and getattr(material, kind) is None:
            raise ValueError(f"{where} provides {kind}, and gave none")
    identity = _identities(material.identity, where) if "identity" in provides else None
    crls = _crls(material.crls, where) if "crls" in provides else None
    trust: tuple[bytes, ...] | None = None
    bundles: dict[str, dict[bytes, str]] | None = None
    if "trust" in provides:
        if isinstance(material.trust, Mapping):
            bundles = as_bundles(material.trust, where)
        else:
            trust = _certificates(material.trust, "trust", where)
            trust_set(trust, False, ())
    intermediates: dict[bytes, str] | None = None
    if "intermediates" in provides:
        helping = _certificates(material.intermediates, "intermediates", where)
        intermediates = dict.fromkeys(helping, where)
    contents = (
        [each.chain for each in identity or ()],
        trust,
        bundles,
        intermediates,
        [each.parsed.der for each in crls or ()],
    )
    return Prepared(identity, trust, bundles, intermediates, crls, contents)


def period(der: bytes) -> tuple[int, int]:
    """notBefore and notAfter of a certificate (DER), in seconds since 1970."""
    contents = _engine.contents(der)
    return contents["not_before"], contents["not_after"]


def _fault(der: bytes, now: float) -> str | None:
    since, until = period(der)
    if now > until:
        return "expired"
    return "not_yet_valid" if now < since else None


def check_dates(new: Iterable[bytes], former: Iterable[bytes]) -> None:
    """Raises ssl.SSLError where a certificate (DER) of the `new` is out of date, and those in use are not.

    Where there is none in use, or one of these is out of date as well, the new are no worse.
    """
    former, now = tuple(former), time.time()
    if not former or any(_fault(der, now) for der in former):
        return
    for der in new:
        fault = _fault(der, now)
        if fault is not None and der not in former:
            words = {"expired": "has expired", "not_yet_valid": "is not valid yet"}[fault]
            text = f"the new certificate {plain(subject_text(der))} {words}; the one in use is valid"
            raise ssl_error(f"MATERIAL_{fault.upper()}", text)


def kind_of(error: BaseException) -> str:
    """One word of a bounded list for what a load raised."""
    match error:
        case ssl.SSLError(reason=str(reason)) if reason.replace("_", "").isalnum() and len(reason) < 60:
            return plain(reason.lower()).removeprefix("material_")
        case ssl.SSLError():
            return "ssl_error"
        case FileNotFoundError():
            return "missing"
        case PermissionError():
            return "permission"
        case TimeoutError():
            return "timeout"
        case OSError():
            return "os_error"
        case MemoryError():
            return "no_memory"
        case ValueError() | TypeError():
            return "unusable"
        case _:
            return "error"
