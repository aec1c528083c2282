"""Why a chain was or was not trusted, as a frozen structure. The verdict is always the engine's.

Everything in a report but the verdict is found out when it is first asked for, so that a report that nobody
reads costs nothing.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from veritls._explaining.checks import STEPS, Step, Verdict, step_of
from veritls._explaining.diagnosis import Case, Finding
from veritls._explaining.evidence import of_accepted
from veritls._explaining.explanations import explained
from veritls._explaining.parsed_certificate import LARGEST, Reading, Source, attempt
from veritls._explaining.rendering import listing
from veritls._explaining.request import Purpose as Purpose, Question as Question, Refusal as Refusal
from veritls._explaining.tree import drawn

Role = Literal["leaf", "intermediate", "anchor", "unused"]
"""What a certificate is in the path; "unused": it was sent, but is not part of it."""

_DAY = timedelta(days=1)
_NOT_DEMANDED = {"callback": "asked last, with this report (set_verify_callback)"}


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


def _described(reading: Reading, role: Role) -> Certificate:
    return Certificate(
        role=role,
        source=reading.source,
        subject=reading.subject,
        issuer=reading.issuer,
        serial=reading.serial,
        names=reading.names,
        not_before=reading.not_before,
        not_after=reading.not_after,
        sha256=reading.fingerprint,
        der=reading.der,
        problem=reading.problem,
        names_left_out=reading.names_left_out,
    )


@dataclass(frozen=True)
class VerificationReport:
    """The answer. `path` (DER): the certificates that convinced the engine, up to the anchor's.

    `refusal` is None where the engine did not refuse. Where it did not look either (CERT_NONE), `trusted` is
    False all the same, and every check is "not checked". ``print(report)`` shows a tree.
    """

    question: Question
    trusted: bool
    path: tuple[bytes, ...] = field(default=(), repr=False)
    refusal: Refusal | None = None

    @cached_property
    def _case(self) -> Case:
        refusal, found = self.refusal or Refusal(""), self.path
        if refusal.path:
            found = (*self.question.chain[:1], *refusal.path)
        return Case(self.question, refusal, found)

    @cached_property
    def _finding(self) -> Finding:
        if self.refusal is not None:
            return explained(self._case)
        who = self._case.who(self._case.leaf)
        if not self.trusted:
            return Finding(f"{who} was not verified: nothing was asked for (CERT_NONE)")
        above = [reading.label for reading in self._case.path[1:]]
        by = (
            f"{listing(above, 9)} vouch{'es' if len(above) == 1 else ''} for it"
            if above
            else "it is in the trust set"
        )
        return Finding(f"{who} is trusted: {by}")

    @property
    def kind(self) -> str | None:
        """What the engine calls its refusal, for example "expired"; None where there is none."""
        return self.refusal.kind if self.refusal is not None else None

    @property
    def sentence(self) -> str:
        """Which certificate failed which check, on what evidence; or that it is trusted, and by whom."""
        return self._finding.sentence

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to do about it, the likeliest first; empty where the peer is trusted."""
        return self._finding.remedies

    @cached_property
    def certificates(self) -> tuple[Certificate, ...]:
        """The path from the peer's certificate up, as far as it is known; then what else was sent."""
        case = self._case
        path = [
            _described(
                reading,
                "leaf" if index == 0 else "anchor" if reading.anchor else "intermediate",
            )
            for index, reading in enumerate(case.path)
        ]
        on_path = {reading.der for reading in case.path}
        return (*path, *(_described(each, "unused") for each in case.sent if each.der not in on_path))

    @property
    def certificates_left_out(self) -> int:
        """How many the peer sent that `certificates` does not hold: of those, it holds the first ten."""
        return len(set(self.question.chain) - {each.der for each in self.certificates})

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Every check of `checks.STEPS`, in that order; one failed where the peer was refused."""
        if self.refusal is None:
            return tuple(self._passed(step) for step in STEPS)
        failed = step_of(self.refusal.kind)
        steps = STEPS if failed in STEPS else (*STEPS, failed)
        return tuple(self._beside(step, failed) for step in steps)

    def _asked(self, step: Step) -> bool:
        if step.asked_by is None:
            return True
        return getattr(self.question, step.asked_by, None) not in (None, False, "none")

    def _passed(self, step: Step) -> Check:
        by_itself = len(self.path) == 1 and step.name not in ("encoding", "validity", "purpose", "chain")
        if not self._asked(step):
            return Check(
                step.name, "not checked", _NOT_DEMANDED.get(step.name, f"not demanded ({step.switch})")
            )
        if not self.trusted:
            return Check(step.name, "not checked", "CERT_NONE")
        if by_itself and step.stage == "path":
            return Check(step.name, "not checked", "the certificate is in the trust set itself")
        return Check(step.name, "passed", attempt(lambda: of_accepted(step.name, self._case), ""))

    def _beside(self, step: Step, failed: Step) -> Check:
        """A check where `failed` decided. Those of the search are known to be good once there is a path."""
        if step == failed:
            return Check(step.name, "failed", self.sentence)
        if not self._asked(step):
            return Check(
                step.name, "not checked", _NOT_DEMANDED.get(step.name, f"not demanded ({step.switch})")
            )
        if self.refusal is not None and self.refusal.path and step.stage == "path":
            return Check(step.name, "passed", attempt(lambda: of_accepted(step.name, self._case), ""))
        open_words = "not known: the search ended" if step.stage == "path" else "not reached"
        return Check(step.name, "not checked", open_words)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it; docs/verification.md describes its fields. Times are ISO 8601."""
        question = self.question
        return {
            "trusted": self.trusted,
            "kind": self.kind,
            "sentence": self.sentence,
            "question": {
                "purpose": question.purpose,
                "at": question.at.isoformat(),
                "server_hostname": question.server_hostname,
                "revocation": question.revocation,
                "strict": question.strict,
                "ocsp": question.ocsp,
                "allowed_peers": list(question.allowed_peers) if question.allowed_peers is not None else None,
                "pinned_keys": list(question.pinned_keys) if question.pinned_keys is not None else None,
                "chain_length": len(question.chain),
            },
            "certificates": [each.as_dict(question.at) for each in self.certificates],
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
        _ = self._finding  # it says how long ago; a copy is to say the same
        return {name: value for name, value in vars(self).items() if name != "_case"}


def accepted(question: Question, path: tuple[bytes, ...]) -> VerificationReport:
    """The report on a chain that the engine trusts; `path` (DER) from the peer's up to the anchor's."""
    return VerificationReport(question, True, path)


def refused(question: Question, refusal: Refusal) -> VerificationReport:
    """The report on a chain that the engine refused."""
    return VerificationReport(question, False, (), refusal)


def unverified(question: Question) -> VerificationReport:
    """The report on a chain that nobody looked at (CERT_NONE on a client)."""
    return VerificationReport(question, False)
