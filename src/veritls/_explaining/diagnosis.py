"""Which certificate failed which check: the engine's refusal, explained.

The verification result and its kind are the engine's. What is found here explains them; where nothing fits,
the explanation is more general, never a different one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from itertools import islice
from typing import Protocol

from veritls import _engine
from veritls._report.parsed_certificate import (
    MOST_ELEMENTS,
    ParsedCertificate,
    attempt,
    is_large,
    raw_names,
)
from veritls._report.rendering import moment, span
from veritls._report.request import Purpose, Refusal, Request

_MOST = 10
"""Certificates that are read, of those sent, and in a path: a peer may send thousands."""
_MOST_ELEMENTS = 2 * MOST_ELEMENTS
"""DER elements of all of them together, up to which they are parsed as a whole."""
_NAMESAKES = 4
"""Certificates of the trust set that are read where several have the same subject."""
_NOW = timedelta(minutes=10)


class TrustSet(Protocol):
    """What this module needs of the engine's trust set."""

    @property
    def anchors(self) -> int: ...
    @property
    def unread(self) -> list[str]: ...
    @property
    def by_trust_domain(self) -> bool: ...
    @property
    def trust_domain(self) -> str | None: ...
    def helps(self, der: bytes) -> bool: ...
    def by_subject(self, subject: bytes) -> list[tuple[bytes, bool]]: ...
    def listed(self, der: bytes) -> tuple[bool, int | None]: ...


@dataclass(frozen=True)
class Finding:
    """The explanation: one sentence, and what to do about it."""

    sentence: str
    remedies: tuple[str, ...] = ()


def ordinal(number: int) -> str:
    """ "first", "second", ...: of the certificates that were sent."""
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    return words[number] if number < len(words) else f"{number + 1}th"


def _key_fits(upper: ParsedCertificate, lower: ParsedCertificate) -> bool:
    wanted, has = lower.signing_key_identifier, upper.own_key_identifier
    return wanted is not None and wanted == has


@dataclass
class Case:
    """A refusal and what explains it, parsed on demand."""

    request: Request
    refusal: Refusal
    found: tuple[bytes, ...] = ()
    """The engine's path (DER), the peer's certificate first, where it found one."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def trusted(self) -> list[ParsedCertificate]:
        """The certificates of the trust set that may be issuers of those sent."""
        return [ParsedCertificate(der, "trust set", anchor=anchor) for der, anchor in self.refusal.above]

    @cached_property
    def sent(self) -> list[ParsedCertificate]:
        """The first certificates that the peer sent."""
        anchors = {parsed.der for parsed in self.trusted if parsed.anchor}
        chain = self.request.chain[:_MOST] or (b"",)
        found, elements = [], 0
        for der in chain:
            elements += _engine.elements(der)
            large = is_large(der) or elements > _MOST_ELEMENTS
            found.append(ParsedCertificate(der, "peer", anchor=der in anchors, large=large))
        return found

    @cached_property
    def leaf(self) -> ParsedCertificate:
        """The peer's own certificate."""
        return self.sent[0]

    @cached_property
    def path(self) -> list[ParsedCertificate]:
        """The engine's path; where it found none, the chain of issuers as far as it is known."""
        if self.found:
            sent = {parsed.der: parsed for parsed in self.sent}
            *between, anchor = self.found[1:] or (b"",)
            path = [
                self.leaf,
                *(sent.get(der) or ParsedCertificate(der, "trust set") for der in between[:_MOST]),
            ]
            return [*path, ParsedCertificate(anchor, "trust set", anchor=True)] if anchor else path
        path = [self.leaf]
        while len(path) < _MOST and not path[-1].anchor and not path[-1].self_issued:
            above = self._above(path)
            if above is None:
                break
            path.append(above)
        return path

    def _above(self, path: list[ParsedCertificate]) -> ParsedCertificate | None:
        """The likeliest issuer: one whose key identifier matches before others, an anchor before others."""
        top, used = path[-1], {parsed.der for parsed in path}
        issuer = top.raw_names[1]
        named = [
            each
            for each in (*self.trusted, *self.sent)
            if each.raw_names[0] == issuer and each.der not in used
        ]
        if not issuer or not named:
            return None
        return max(named, key=lambda each: (_key_fits(each, top), each.anchor))

    @cached_property
    def all(self) -> list[ParsedCertificate]:
        """The path, then the other certificates that were sent or are in the trust set."""
        on_path = {parsed.der for parsed in self.path}
        return self.path + [each for each in (*self.sent, *self.trusted) if each.der not in on_path]

    @property
    def pairs(self) -> list[tuple[ParsedCertificate, ParsedCertificate]]:
        """Each certificate of the path with its issuer."""
        return list(zip(self.path, self.path[1:], strict=False))

    @property
    def possible_pairs(self) -> list[tuple[ParsedCertificate, ParsedCertificate]]:
        """The pairs, then each certificate of the path with every other one that has its issuer's name."""
        others = [
            (lower, upper)
            for lower in self.path
            for upper in (*self.trusted, *self.sent)
            if upper.raw_names[0] == lower.raw_names[1] != b"" and upper.der != lower.der
        ]
        return self.pairs + others

    @property
    def peer(self) -> Purpose:
        """Whether the peer is a server or a client."""
        return self.request.purpose

    @property
    def about_now(self) -> bool:
        """Whether the request is about the present."""
        return abs(self.now - self.request.at) < _NOW

    def name(self, parsed: ParsedCertificate) -> str:
        """One of the certificates, as the subject of a sentence."""
        if parsed is self.leaf:
            if self.leaf.certificate is None:
                return f"the {self.peer}'s certificate, which cannot be read,"
            if self.leaf.nameless:
                return f"the {self.peer}'s certificate, which contains no name,"
            return f"the {self.peer}'s certificate for {self.leaf.holder}"
        if parsed.source == "trust set" or parsed.anchor:
            return f"{parsed.label} in the trust set"
        return f"the intermediate certificate {parsed.label}"

    def short(self, parsed: ParsedCertificate) -> str:
        """One of the certificates, briefly."""
        return parsed.holder if parsed is self.leaf else parsed.label

    def replace(self, parsed: ParsedCertificate, by: str) -> str:
        """What to do about one certificate, by its source."""
        if parsed is self.leaf:
            return f"Give the {self.peer} a different certificate: {by}."
        if parsed.source == "trust set":
            return f"Replace {parsed.label} in the trust set: use {by}."
        return f"Have the {self.peer} send another intermediate certificate instead of {parsed.label}: {by}."

    def ago(self, length: timedelta) -> str:
        """ "3 days ago"; "3 days before 2030-01-01 00:00 UTC" where the request is not about the present."""
        return f"{span(length)} ago" if self.about_now else f"{span(length)} before {moment(self.request.at)}"

    def ahead(self, length: timedelta) -> str:
        """ "in 3 days"; "3 days after 2030-01-01 00:00 UTC"."""
        return f"in {span(length)}" if self.about_now else f"{span(length)} after {moment(self.request.at)}"


Explain = Callable[[Case], Finding | None]
"""Explains a refusal of one kind; None where nothing is found that fits."""


_BY_DETAIL = {
    "certificate_version": "encoding",
    "extension_value": "encoding",
    "dns_name": "encoding",
    "name_constraint": "encoding",
    "network_mask": "encoding",
}
"""The engine's code for the detail -> a kind, where its kind is "other"."""


def _self_issued(der: bytes) -> bool:
    subject, issuer = raw_names(der)
    return subject == issuer != b""


def refined(kind: str, detail: str, chain: tuple[bytes, ...]) -> str:
    """The kind of a refusal. OpenSSL, whose numbers programs compare, has three kinds of unknown issuers."""
    if kind == "other":
        return _BY_DETAIL.get(detail, kind)
    if kind not in ("unknown_issuer", "ca_as_leaf") or not chain:
        return kind
    first, *others = (_self_issued(der) for der in chain[:_MOST])
    if first:
        return "self_signed"
    return "self_signed_in_chain" if kind == "unknown_issuer" and any(others) else kind


def trusted_above(chain: tuple[bytes, ...], trust: TrustSet) -> tuple[tuple[bytes, bool], ...]:
    """The certificates of the trust set that may be issuers of those sent; True: it is an anchor."""
    found: dict[bytes, bool] = {}
    wanted = list(dict.fromkeys(name for der in chain[:_MOST] for name in reversed(raw_names(der)) if name))
    for subject in islice(wanted, 2 * _MOST):  # it grows meanwhile
        for der, anchor in trust.by_subject(subject)[:_NAMESAKES]:
            found[der] = anchor
            issuer = raw_names(der)[1]
            if not anchor and issuer not in wanted:
                wanted.append(issuer)
    return tuple(found.items())


def crl_status(path: list[ParsedCertificate], trust: TrustSet) -> tuple[tuple[bool, int | None], ...]:
    """What the CRLs say of the certificates of a path below the anchor; see `Refusal.crls`."""

    def look(parsed: ParsedCertificate) -> tuple[bool, int | None]:
        return trust.listed(parsed.der)

    unknown: tuple[bool, int | None] = (False, None)
    return tuple(attempt(partial(look, each), unknown) for each in path[:-1] or path)
