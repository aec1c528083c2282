"""Why a peer's certificate was or was not trusted, as a frozen structure. The result is always the engine's.

Everything in a report but the result is found out when it is first asked for, so that one that nobody reads
costs nothing.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

from veritls._report.checks import Verdict
from veritls._report.parsed_certificate import LARGEST, Source
from veritls._report.request import Purpose as Purpose, Refusal as Refusal, Request as Request
from veritls._report.tree import drawn

Role = Literal["leaf", "intermediate", "anchor", "unused"]
"""What a certificate is in the path; "unused": it was sent, but is not part of it."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: its name, what came of it, and on what evidence, in words.

    `name` is one of `checks.STEPS`. "not checked": not asked for, or the decision fell before it.
    """

    name: str
    verdict: Verdict
    evidence: str = ""


@dataclass(frozen=True)
class Certificate:
    """One certificate, as far as it can be read; what stands in it is escaped where a terminal would obey it.

    `subject` and `issuer` are in the form of RFC 4514, `serial` and `sha256` in hexadecimal digits, `names`
    what subjectAltName holds, up to 100; `names_left_out` counts the others. `problem` says why it cannot be
    read; the rest is then empty.
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
        """Whole days from `at` to its end, negative where that is past; None where it cannot be read."""
        return None if self.not_after is None else int((self.not_after - at) / _DAY)

    def as_dict(self, at: datetime) -> dict[str, Any]:
        """The same for JSON; `at` is when its days are counted from. `pem` is None above 16 KiB."""
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
    """What `veritls._explaining.explanation` finds out about one result."""

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
    """The result of one verification. `path` (DER): the verified path, the peer's certificate first.

    `refusal` is None where the engine did not refuse. Where it did not verify (CERT_NONE), `trusted` is False
    all the same, and every check is "not checked". ``print(report)`` shows a tree.
    """

    request: Request
    trusted: bool
    path: tuple[bytes, ...] = field(default=(), repr=False)
    refusal: Refusal | None = None
    explain: Callable[[VerificationReport], Explanation] = field(kw_only=True, repr=False, compare=False)
    """Called once, when something besides the result is first asked for."""

    @cached_property
    def _explanation(self) -> Explanation:
        return self.explain(self)

    @property
    def question(self) -> Request:
        """The older name of `request`."""
        return self.request

    @property
    def kind(self) -> str | None:
        """The engine's name of the refusal, for example "expired"; None where there is none."""
        return self.refusal.kind if self.refusal is not None else None

    @property
    def sentence(self) -> str:
        """Which certificate failed which check, on what evidence; or through which CAs it is trusted."""
        return self._explanation.sentence

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to do about it, the likeliest first; empty where the peer is trusted."""
        return self._explanation.remedies

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The path from the peer's certificate up, as far as it is known; then what else was sent."""
        return self._explanation.certificates

    @cached_property
    def certificates_left_out(self) -> int:
        """How many the peer sent that `certificates` does not hold: of those, it holds the first ten."""
        return len(set(self.request.chain) - {each.der for each in self.certificates})

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check of docs/verification.md, in order; one failed where the peer was refused."""
        return self._explanation.checks

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it; docs/verification.md describes its fields. Times are ISO 8601."""
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
        """`as_dict` as text, in ASCII."""
        return json.dumps(self.as_dict(), indent=indent)

    def __str__(self) -> str:
        return drawn(self.as_dict())

    def __getstate__(self) -> dict[str, Any]:
        _ = self.sentence  # it says how long ago; a copy is to say the same
        return vars(self)


VerifyCallback: TypeAlias = Callable[[VerificationReport], object]
"""For `SSLContext.set_verify_callback`. It refuses the peer by raising; what it returns means nothing."""
