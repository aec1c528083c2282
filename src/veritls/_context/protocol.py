"""The settings that are not about trust: versions, suites, groups, ALPN, tickets, key log."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import index, or_
from typing import Self, TypeVar

from veritls import _engine
from veritls._context import cipher_suites as ciphers, groups
from veritls._context.combining import choice, demand
from veritls._explaining.reasons import ssl_error

_V = ssl.TLSVersion

Item = TypeVar("Item")

MOST_TICKETS = 255
"""Tickets for one TLS 1.3 handshake: each is sealed and sent, with the client's chain in it."""


def _older(first: ssl.TLSVersion, second: ssl.TLSVersion) -> ssl.TLSVersion:
    """The older of two newest versions."""
    if _V.MAXIMUM_SUPPORTED in (first, second):
        return second if first == _V.MAXIMUM_SUPPORTED else first
    return min(first, second)


def _in_both(first: tuple[Item, ...], second: tuple[Item, ...]) -> tuple[Item, ...]:
    """What both have, in the order of the second."""
    return tuple(each for each in second if each in first)


def as_version(value: int) -> ssl.TLSVersion:
    """A version as it is kept. Raises ValueError for what is none."""
    try:
        return _V(index(value) if isinstance(value, int) else value)
    except ValueError:
        raise ValueError(f"{value!r} is not a valid TLS version") from None


def as_alpn(protocols: Iterable[str]) -> tuple[bytes, ...]:
    """Application protocols as they are kept. Raises ssl.SSLError for one of a wrong length."""
    names = tuple(bytes(protocol, "ascii") for protocol in protocols)
    if not all(0 < len(name) < 256 for name in names):
        raise ssl.SSLError("ALPN protocols must be 1 to 255 bytes long")
    return names


def as_suites(text: str) -> tuple[ciphers.Suite, ...]:
    """The TLS 1.2 suites of a cipher string. Raises TypeError or ssl.SSLError for what is none."""
    return _selected(ciphers.select, "ciphers", text)


def as_tls13_suites(text: str) -> tuple[ciphers.Suite, ...]:
    """The TLS 1.3 suites of a list. Raises TypeError or ssl.SSLError for what is none."""
    return _selected(ciphers.select_tls13, "ciphers", text)


def as_groups(text: str) -> tuple[int, ...]:
    """The groups of a list. Raises TypeError or ssl.SSLError for what is none."""
    return _selected(groups.select, "groups", text)


def as_group(name: str | bytes) -> tuple[int, ...]:
    """One group. Raises TypeError or ValueError for what is none."""
    text = name.decode("ascii", "backslashreplace") if isinstance(name, bytes) else name
    if not isinstance(text, str):
        raise TypeError(f"name must be str or bytes, not {type(name).__name__}")
    return (groups.number_of(text),)


def _selected(select: Callable[[str], tuple[Item, ...]], what: str, text: str) -> tuple[Item, ...]:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    try:
        return select(text)
    except ValueError as why:
        raise ssl.SSLError(str(why)) from None


@dataclass(frozen=True)
class ProtocolSettings:
    """What a context speaks. The methods give the next value, or raise and leave this one as it is.
    They take what the functions above (`as_version` ...) made of a program's arguments: its code runs before.
    """

    method: ssl._SSLMethod = choice()
    options: ssl.Options = demand(or_)
    minimum: ssl.TLSVersion = demand(max, _V.MINIMUM_SUPPORTED)
    maximum: ssl.TLSVersion = demand(_older, _V.MAXIMUM_SUPPORTED)
    tls12_suites: tuple[ciphers.Suite, ...] = demand(_in_both, ciphers.DEFAULT_TLS12)
    tls13_suites: tuple[ciphers.Suite, ...] = demand(_in_both, ciphers.DEFAULT_TLS13)
    groups: tuple[int, ...] = demand(_in_both, groups.DEFAULT)
    alpn: tuple[bytes, ...] = choice(())
    tickets: int = choice(2)
    keylog: str | None = choice(None)

    def with_minimum(self, version: ssl.TLSVersion) -> Self:
        return replace(self, minimum=_V.TLSv1_3 if version == _V.MAXIMUM_SUPPORTED else version)

    def with_maximum(self, version: ssl.TLSVersion) -> Self:
        if version in (_V.SSLv3, _V.TLSv1, _V.TLSv1_1):
            raise ValueError(f"maximum_version {version.name}: versions before TLS 1.2 are not offered")
        return replace(self, maximum=_V.TLSv1_2 if version == _V.MINIMUM_SUPPORTED else version)

    def with_alpn(self, names: tuple[bytes, ...]) -> Self:
        return replace(self, alpn=names)

    def with_ciphers(self, suites: tuple[ciphers.Suite, ...]) -> Self:
        return replace(self, tls12_suites=suites)

    def with_ciphersuites(self, suites: tuple[ciphers.Suite, ...]) -> Self:
        return replace(self, tls13_suites=suites)

    def with_groups(self, numbers: tuple[int, ...]) -> Self:
        return replace(self, groups=numbers)

    def with_tickets(self, count: int) -> Self:
        if count < 0:
            raise ValueError("value must be non-negative")
        if count > MOST_TICKETS:
            raise ValueError(f"value must be {MOST_TICKETS} at most: each handshake makes so many tickets")
        if self.method != ssl.PROTOCOL_TLS_SERVER:
            raise ValueError("SSLContext is not a server context.")
        return replace(self, tickets=count)

    def versions(self) -> tuple[bool, bool]:
        """Whether TLS 1.2 and TLS 1.3 may be spoken. Raises ssl.SSLError where neither may."""
        minimum = max(self.minimum, _V.TLSv1_2) if self.minimum > 0 else _V.TLSv1_2
        maximum = self.maximum if self.maximum > 0 else _V.TLSv1_3
        tls12 = minimum <= _V.TLSv1_2 <= maximum and not self.options & ssl.OP_NO_TLSv1_2
        tls13 = minimum <= _V.TLSv1_3 <= maximum and not self.options & ssl.OP_NO_TLSv1_3
        if not (tls12 or tls13):
            raise ssl_error(
                "NO_PROTOCOLS_AVAILABLE",
                f"no protocols available between minimum_version {self.minimum.name} "
                f"and maximum_version {self.maximum.name} with these options",
            )
        return tls12, tls13

    def recipe(self, server_side: bool) -> _engine.Recipe:
        """The engine's form of it. Raises ssl.SSLError where no version, suite or group is left."""
        tls12, tls13 = self.versions()
        tls12, tls13 = tls12 and bool(self.tls12_suites), tls13 and bool(self.tls13_suites)
        if not (tls12 or tls13):
            raise ssl_error("NO_CIPHERS_AVAILABLE", "no ciphers available for the versions that are enabled")
        if not self.groups:
            raise ssl_error("NO_SUITABLE_GROUPS", "no key exchange group is enabled in both contexts")
        suites = (self.tls13_suites if tls13 else ()) + (self.tls12_suites if tls12 else ())
        return {
            "server_side": server_side,
            "tls12": tls12,
            "tls13": tls13,
            "alpn": self.alpn,
            "suites": [suite.number for suite in suites],
            "groups": list(self.groups),
            "own_order": bool(self.options & ssl.OP_CIPHER_SERVER_PREFERENCE),
            "tickets": None if self.options & ssl.OP_NO_TICKET else self.tickets,
            "keylog": self.keylog,
        }
