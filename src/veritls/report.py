"""Why a peer's certificate was or was not trusted, as a frozen structure. The result is always the engine's.

Everything in a report but the result is made on first use, so that a report that is not read costs nothing.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

from veritls._report.checks import CheckResult
from veritls._report.parsed_certificate import LARGEST, Source
from veritls._report.request import Purpose as Purpose, Refusal as Refusal, Request as Request
from veritls._report.tree import drawn

__all__ = [
    "Certificate",
    "Check",
    "Purpose",
    "Refusal",
    "Request",
    "Role",
    "VerificationReport",
    "VerifyCallback",
]

Role = Literal["leaf", "intermediate", "anchor", "unused"]
"""The place of a certificate in the path; "unused": it was sent, but is not part of the path."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Check:
    """One check of a verification: `name` (docs/verification.md lists all), `verdict` and `evidence` (text).

    `verdict`: "passed", "failed", or "not checked": it is not enabled, or another check had failed before.
    """

    name: str
    verdict: CheckResult
    evidence: str = ""


@dataclass(frozen=True)
class Certificate:
    """One certificate, as far as it can be parsed. Text has every character escaped that is not printable.

    `role`: "leaf", "intermediate", "anchor" or "unused". `source`: "peer" or "trust set". `subject`,
    `issuer`: as in RFC 4514. `serial`, `sha256`: hexadecimal digits. `der`: its bytes. `names`: the first 100
    of subjectAltName; `names_left_out` counts the others. `not_before`, `not_after`: aware datetimes in UTC.
    `problem`: why it cannot be parsed, empty where it can; the other text is then empty and the times are
    None.
    """

    role: Role
    source: Source
    subject: str
    issuer: str
    serial: str
    names: tuple[str, ...] = field(repr=False)
    not_before: datetime | None
    not_after: datetime | None
    sha256: str
    der: bytes = field(repr=False)
    problem: str = ""
    names_left_out: int = 0

    def days_left(self, at: datetime) -> int | None:
        """Whole days from `at` (aware) to notAfter, negative once that is past.

        None where the certificate cannot be parsed. Raises TypeError where `at` is naive.
        """
        return None if self.not_after is None else int((self.not_after - at) / _DAY)

    def as_dict(self, at: datetime) -> dict[str, Any]:
        """The certificate for JSON, with its `days_left` at `at` (aware). `pem` is None above 16 KiB.

        Raises TypeError where `at` is naive.
        """
        return {
            "role": self.role,
            "source": self.source,
            "subject": self.subject,
            "issuer": self.issuer,
            "serial": self.serial,
            "names": list(self.names),
            "names_left_out": self.names_left_out,
            "not_before": self.not_before.isoformat() if self.not_before is not None else None,
            "not_after": self.not_after.isoformat() if self.not_after is not None else None,
            "days_left": self.days_left(at),
            "sha256": self.sha256,
            "problem": self.problem,
            "pem": ssl.DER_cert_to_PEM_cert(self.der) if len(self.der) <= LARGEST else None,
        }


class Explanation(Protocol):
    """What is said of one result: the kind, a sentence, what to do, and the evidence."""

    @property
    def sentence(self) -> str: ...
    @property
    def remedies(self) -> tuple[str, ...]: ...
    @property
    def certificates(self) -> tuple[Certificate, ...]: ...
    @property
    def checks(self) -> tuple[Check, ...]: ...


@dataclass(frozen=True)
class VerificationReport:
    """The result of one verification. ``print(report)`` shows it as a tree.

    `request`: what was asked. `trusted`: whether the peer's certificate is. `path`: the verified path (DER),
    the peer's certificate first; empty where there is none. `refusal`: why the engine refused, None where it
    did not. Where nothing was verified (CERT_NONE), `trusted` is False, `refusal` is None and every check is
    "not checked".
    """

    request: Request
    trusted: bool
    path: tuple[bytes, ...] = field(default=(), repr=False)
    refusal: Refusal | None = None
    explain: Callable[[VerificationReport], Explanation] = field(kw_only=True, repr=False, compare=False)
    """Makes everything besides the result; called once, on first use."""

    @cached_property
    def _explanation(self) -> Explanation:
        return self.explain(self)

    @property
    def question(self) -> Request:
        """The older name of `request`."""
        return self.request

    @property
    def kind(self) -> str | None:
        """The kind of the refusal, for example "expired" (docs/verification.md); None where there is none."""
        return self.refusal.kind if self.refusal is not None else None

    @property
    def sentence(self) -> str:
        """Which certificate failed which check, and why; or through which CAs the peer is trusted."""
        return self._explanation.sentence

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to do about the refusal, the likeliest first; empty where the peer is trusted."""
        return self._explanation.remedies

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The path, the peer's certificate first, as far as it is known; then the other certificates sent."""
        return self._explanation.certificates

    @cached_property
    def certificates_left_out(self) -> int:
        """How many certificates the peer sent that `certificates` leaves out: it holds the first ten sent."""
        return len(set(self.request.chain) - {each.der for each in self.certificates})

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check of docs/verification.md, in order; exactly one failed where the peer was refused."""
        return self._explanation.checks

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON, with the fields of docs/verification.md. Times are ISO 8601 text."""
        request = self.request
        return {
            "trusted": self.trusted,
            "kind": self.kind,
            "sentence": self.sentence,
            "question": {
                "purpose": request.purpose,
                "at": request.at.isoformat(),
                "server_hostname": request.server_hostname,
                "revocation": request.revocation,
                "strict": request.strict,
                "ocsp": request.ocsp,
                "by_trust_domain": request.by_trust_domain,
                "allowed_peers": list(request.allowed_peers) if request.allowed_peers is not None else None,
                "pinned_keys": list(request.pinned_keys) if request.pinned_keys is not None else None,
                "chain_length": len(request.chain),
            },
            "certificates": [each.as_dict(request.at) for each in self.certificates],
            "certificates_left_out": self.certificates_left_out,
            "checks": [
                {"name": each.name, "verdict": each.verdict, "evidence": each.evidence}
                for each in self.checks
            ],
            "remedies": list(self.remedies),
        }

    def as_json(self, indent: int | None = 2) -> str:
        """`as_dict` as JSON text, in ASCII. `indent`: spaces for each level; None puts it on one line."""
        return json.dumps(self.as_dict(), indent=indent)

    def __str__(self) -> str:
        return drawn(self.as_dict())

    def __getstate__(self) -> dict[str, Any]:
        _ = self.sentence  # it says how long ago; a copy must say the same
        return vars(self)


VerifyCallback: TypeAlias = Callable[[VerificationReport], object]
"""For `SSLContext.set_verify_callback`. It refuses the peer by raising; its result is ignored."""
