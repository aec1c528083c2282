"""What a context demands of the peer: the mode, names, allowed peers, pinned keys, callbacks, flags."""

from __future__ import annotations

import inspect
import secrets
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from operator import add, index, or_
from typing import Literal, NamedTuple, Self

from veritls import _engine, policy
from veritls._context.combining import demand
from veritls._context.conditions import Conditions
from veritls.peers import Matcher, as_matchers, as_pins
from veritls.report import VerifyCallback

UnknownStatus = Literal["refuse", "accept"]

_OFFERED_FLAGS = (
    ssl.VERIFY_CRL_CHECK_CHAIN
    | ssl.VERIFY_X509_STRICT
    | ssl.VERIFY_X509_TRUSTED_FIRST
    | ssl.VERIFY_X509_PARTIAL_CHAIN
)


class Registered(NamedTuple):
    """A verify callback. `token` tells it from every other: functions cannot be compared by content."""

    callback: VerifyCallback
    token: bytes


def _all_flags(first: ssl.VerifyFlags, second: ssl.VerifyFlags) -> ssl.VerifyFlags:
    """Flags that demand are united; VERIFY_X509_PARTIAL_CHAIN, which allows, holds where both allow it."""
    allowing = ssl.VERIFY_X509_PARTIAL_CHAIN
    return (first | second) & ~allowing | first & second & allowing


def _each_once(first: tuple[Registered, ...], second: tuple[Registered, ...]) -> tuple[Registered, ...]:
    """All callbacks. One that both have, as values of one context do, is asked once."""
    known = {each.token for each in first}
    return first + tuple(each for each in second if each.token not in known)


def _both_accept(first: UnknownStatus, second: UnknownStatus) -> UnknownStatus:
    return "accept" if first == second == "accept" else "refuse"


@dataclass(frozen=True)
class PeerPolicy:
    """What is demanded of the peer. The methods give the next value, or raise and leave this one as it is.
    They take what the functions below (`as_mode` ...) made of a program's arguments: its code runs before.

    `allowed_peers`, `pinned_keys` and `callbacks` hold one entry for each context that has the demand: each
    must be satisfied.
    """

    verify_mode: ssl.VerifyMode = demand(max, ssl.CERT_NONE)
    check_hostname: bool = demand(or_, False)
    verify_flags: ssl.VerifyFlags = demand(_all_flags, ssl.VERIFY_X509_TRUSTED_FIRST)
    unknown_status: UnknownStatus = demand(_both_accept, "refuse")
    require_ocsp: bool = demand(or_, False)
    allowed_peers: tuple[tuple[Matcher, ...], ...] = demand(add, ())
    pinned_keys: tuple[frozenset[bytes], ...] = demand(add, ())
    callbacks: tuple[Registered, ...] = demand(_each_once, ())
    reverify: bool = demand(or_, True)
    max_resumption_age: int = demand(min, 24 * 60 * 60)

    def with_verify_mode(self, mode: ssl.VerifyMode) -> Self:
        if mode == ssl.CERT_NONE and self.check_hostname:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        if mode == ssl.CERT_NONE and self.allowed_peers:
            raise ValueError("Cannot set verify_mode to CERT_NONE when allowed_peers is set.")
        return replace(self, verify_mode=mode)

    def _raised(self) -> ssl.VerifyMode:
        return ssl.CERT_REQUIRED if self.verify_mode == ssl.CERT_NONE else self.verify_mode

    def with_check_hostname(self, value: bool) -> Self:
        return replace(self, check_hostname=value, verify_mode=self._raised() if value else self.verify_mode)

    def with_verify_flags(self, flags: ssl.VerifyFlags) -> Self:
        return replace(self, verify_flags=flags)

    def with_unknown_status(self, value: UnknownStatus) -> Self:
        return replace(self, unknown_status=value)

    def with_require_ocsp(self, value: bool) -> Self:
        return replace(self, require_ocsp=value)

    def with_allowed_peers(self, matchers: tuple[Matcher, ...] | None) -> Self:
        if matchers is None:
            return replace(self, allowed_peers=())
        return replace(self, allowed_peers=(matchers,), verify_mode=self._raised())

    def with_pinned_keys(self, pins: frozenset[bytes] | None) -> Self:
        return replace(self, pinned_keys=() if pins is None else (pins,))

    def with_callbacks(self, callbacks: tuple[Registered, ...]) -> Self:
        return replace(self, callbacks=callbacks)

    def with_reverify(self, value: bool) -> Self:
        return replace(self, reverify=value)

    def with_max_resumption_age(self, seconds: int) -> Self:
        return replace(self, max_resumption_age=seconds)

    @property
    def token(self) -> bytes:
        """Tells the verify callbacks from any others; empty where there are none."""
        return b"".join(each.token for each in self.callbacks)

    @property
    def partial_chain(self) -> bool:
        """Whether every certificate in the trust store ends a path."""
        return bool(self.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN)

    @property
    def conditions(self) -> Conditions:
        """What is demanded beyond a good path."""
        callbacks = tuple(each.callback for each in self.callbacks)
        return Conditions(self.allowed_peers, self.pinned_keys, callbacks)

    def _revocation(self) -> Literal["none", "leaf", "chain"]:
        if self.verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN == ssl.VERIFY_CRL_CHECK_CHAIN:
            return "chain"
        return "leaf" if self.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF else "none"

    def demands(self, server_side: bool) -> _engine.Demands:
        """The engine's form of it. Raises ValueError where a condition would never be looked at."""
        rule = policy.rule(server_side=server_side, mode=self.verify_mode)
        if not rule.request and (self.pinned_keys or self.callbacks):
            raise ValueError(
                "pinned_keys and a verify callback need CERT_OPTIONAL or CERT_REQUIRED on a server: "
                "under CERT_NONE it asks for no certificate"
            )
        return {
            "request": rule.request,
            "require": rule.require,
            "validate": rule.validate,
            "check_name": rule.name_matters and self.check_hostname,
            "revocation": self._revocation(),
            "accept_unknown": self.unknown_status == "accept",
            "require_ocsp": self.require_ocsp,
            "strict": bool(self.verify_flags & ssl.VERIFY_X509_STRICT),
            "allowed": [[each._for_engine() for each in several] for several in self.allowed_peers],
            "pinned": [list(several) for several in self.pinned_keys],
            "decides": bool(self.callbacks),
            "reverify": self.reverify,
            "max_resumption_age": self.max_resumption_age,
        }


def as_mode(value: int) -> ssl.VerifyMode:
    """`verify_mode` as it is kept. Raises TypeError or ValueError for what is none."""
    if not isinstance(value, int):
        raise TypeError(f"verify_mode must be a VerifyMode, not {type(value).__name__}")
    try:
        return ssl.VerifyMode(index(value))
    except ValueError:
        raise ValueError(f"invalid value for verify_mode: {value!r}") from None


def as_flags(value: int) -> ssl.VerifyFlags:
    """`verify_flags` as they are kept. Raises ValueError for what is not offered."""
    flags = ssl.VerifyFlags(index(value) if isinstance(value, int) else value)
    unknown = flags & ~_OFFERED_FLAGS
    if unknown:
        raise ValueError(f"verify_flags: {unknown!r} is not offered")
    return flags


def as_status(value: str) -> UnknownStatus:
    """`unknown_revocation_status` as it is kept. Raises ValueError for what is none."""
    known: UnknownStatus
    for known in ("refuse", "accept"):
        if isinstance(value, str) and str.__eq__(known, value) is True:
            return known
    raise ValueError(f'unknown_revocation_status is "refuse" or "accept", not {value!r}')


def as_registered(callback: VerifyCallback | None) -> tuple[Registered, ...]:
    """A verify callback as it is kept. Raises TypeError for what cannot be called, or only awaited."""
    if callback is None:
        return ()
    if not callable(callback):
        raise TypeError("not a callable object")
    if inspect.iscoroutinefunction(callback):
        raise TypeError("a verify callback cannot be asynchronous: nobody would await it")
    return (Registered(callback, secrets.token_bytes(16)),)


def as_age(value: int | timedelta) -> int:
    """`max_resumption_age` as it is kept, in seconds. Raises TypeError or ValueError for what is none."""
    if isinstance(value, timedelta):
        value = value // timedelta(seconds=1)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"max_resumption_age must be an int or a timedelta, not {type(value).__name__}")
    seconds = index(value)
    if not 0 <= seconds < 1 << 32:
        raise ValueError(f"max_resumption_age must be 0 to 2**32 - 1 seconds, not {seconds}")
    return seconds


def as_allowed(values: Iterable[Matcher] | None) -> tuple[Matcher, ...] | None:
    """`allowed_peers` as it is kept. Raises TypeError for what is no matcher."""
    return as_matchers(values) if values is not None else None


def as_pinned(values: Iterable[str | bytes] | None) -> frozenset[bytes] | None:
    """`pinned_keys` as they are kept. Raises TypeError or ValueError for what is no digest."""
    return as_pins(values) if values is not None else None
