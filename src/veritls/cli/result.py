"""What was found out about one server, and what that comes to: a word, an exit status, JSON."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from veritls._loading.certificates import name_text
from veritls._report.rendering import counted, listing, plain
from veritls.cli.target import Target
from veritls.cli.words import as_dict, in_options
from veritls.report import VerificationReport

MOST_AUTHORITIES = 20
"""CAs that are shown of those that a server names; it may name thousands."""

STATUSES = {
    1: "not trusted",
    2: "no connection",
    4: "client refused",
    3: "expires soon",
    0: "trusted",
}
"""Exit status -> what it says of a server, the gravest first."""


@dataclass(frozen=True)
class Negotiated:
    """What was negotiated; None where the connection has no such thing."""

    version: str | None
    suite: str | None
    group: str | None
    alpn: str | None


@dataclass(frozen=True)
class Wanted:
    """A server's request for a client certificate.

    `authorities`: the first CAs that it names, escaped; `count`: how many it names; 0: any will do. `sent`:
    whether one was sent. `refusal`: the alert with which it refused what it got, in words; empty
    where it went on; None where that is not known. `unsent`: why one that there is was not sent; else empty.
    """

    authorities: tuple[str, ...]
    count: int
    sent: bool
    refusal: str | None
    unsent: str = ""

    @property
    def by(self) -> str:
        """By which CAs it wants the certificate, for a sentence; empty where it names none."""
        shown = listing(self.authorities, more=self.count - len(self.authorities))
        return f"issued by {shown}" if shown else ""

    @property
    def sentence(self) -> str:
        """What the server wants, and what to do."""
        of = f" {self.by}" if self.by else ""
        asks = f"the server asks for a client certificate{of}"
        if self.unsent:
            if self.refusal == "":
                asks += ", and TLS goes on without"
            refused = f" ({self.refusal})" if self.refusal else ""
            return f"{asks}; that of --cert was not sent: {self.unsent}{refused}"
        if self.refusal is None:
            return (
                f"{asks}; whether it goes on {'with that of --cert' if self.sent else 'without'} is not known"
            )
        if not self.refusal:
            # nginx answers HTTP 400 afterwards.
            if self.sent:
                return f"{asks}, and TLS goes on with that of --cert; what it serves may still refuse it"
            return f"{asks}, and TLS goes on without; what it serves may still want one"
        if self.sent:
            return f"the server refused the client certificate of --cert ({self.refusal}); it wants one{of}"
        return f"the server requires a client certificate{of}: give yours with --cert ({self.refusal})"

    def as_dict(self) -> dict[str, Any]:
        """The request with JSON's types."""
        return {
            "required": None if self.sent or self.refusal is None else bool(self.refusal),
            "sent": self.sent,
            "refusal": self.refusal or None,
            "authorities": list(self.authorities),
            "authorities_left_out": self.count - len(self.authorities),
            "sentence": self.sentence,
        }


def _name(der: bytes) -> str:
    try:
        return plain(name_text(der)) or "a CA without a name"
    except ssl.SSLError:
        return "a name that cannot be read"


def authorities(names: Iterable[bytes]) -> tuple[str, ...]:
    """The first of the distinguished names (DER) that a server sent, for people. Never raises."""
    return tuple(_name(der) for _, der in zip(range(MOST_AUTHORITIES), names, strict=False))


def first_to_end(report: VerificationReport) -> tuple[int, str] | None:
    """The days that are left, and the subject, of the certificate of the path that ends first.

    Of the peer's own where there is no path; None where it is not known.
    """
    at, shown = report.request.at, report.certificates
    path = [each for each in shown if each.role != "unused"] if report.trusted else shown[:1]
    left = [
        (days, plain(each.subject or ", ".join(each.names[:1])))
        for each in path
        if (days := each.days_left(at)) is not None
    ]
    return min(left, default=None)


def too_few_days(left: int, subject: str, wanted: int) -> str:
    """The sentence about a certificate that ends too soon for `--warn-days`."""
    return f"{subject} has {counted(max(left, 0), 'day')} left, fewer than {wanted}"


@dataclass(frozen=True)
class Result:
    """The result for one target: a report, or why there was no connection.

    `wanted`: the server's request for a client certificate; None where it made none. `warn_days`: days that
    every certificate of the path should have left; None asks for nothing.
    """

    target: Target
    report: VerificationReport | None = None
    negotiated: Negotiated | None = None
    problem: str = ""
    wanted: Wanted | None = None
    warn_days: int | None = None

    @cached_property
    def _first_to_end(self) -> tuple[int, str] | None:
        return first_to_end(self.report) if self.report is not None else None

    @property
    def days_left(self) -> int | None:
        """Of the certificate of the path that ends first; of the server's own where there is no path.

        None where that is not known.
        """
        return self._first_to_end[0] if self._first_to_end is not None else None

    @property
    def status(self) -> int:
        """A key of `STATUSES`."""
        if self.report is None:
            return 2
        if not self.report.trusted:
            return 1
        if self.wanted is not None and self.wanted.refusal:
            return 4
        left = self.days_left
        return 3 if self.warn_days is not None and left is not None and left < self.warn_days else 0

    @property
    def sentence(self) -> str:
        """Why, in one sentence."""
        if self.report is None:
            return self.problem
        if self.status == 4 and self.wanted is not None:
            return self.wanted.sentence
        if self.status == 3 and self._first_to_end is not None:
            return too_few_days(*self._first_to_end, self.warn_days or 0)
        return in_options(self.report.sentence)

    def as_dict(self) -> dict[str, Any]:
        """The result with JSON's types."""
        return {
            "host": self.target.host,
            "port": self.target.port,
            "status": STATUSES[self.status],
            "problem": self.problem or None,
            "negotiated": vars(self.negotiated) if self.negotiated is not None else None,
            "client_certificate": self.wanted.as_dict() if self.wanted is not None else None,
            "days_left": self.days_left,
            "report": as_dict(self.report) if self.report is not None else None,
        }


def status_of(results: Iterable[Result]) -> int:
    """The exit status: the gravest of all."""
    found = {result.status for result in results}
    return next((status for status in STATUSES if status in found), 0)
