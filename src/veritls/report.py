"""Why a chain was or was not trusted, as a frozen structure. The verdict is always the engine's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Purpose = Literal["server", "client"]
"""Whose certificate it is: a server's, verified by a client, or a client's, verified by a server."""

Verdict = Literal["passed", "failed", "not checked"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: its name, what came of it, and on what evidence, in words."""

    name: str
    verdict: Verdict
    evidence: str = ""


@dataclass(frozen=True)
class Question:
    """What was asked: is `chain` (DER, as the peer sent it, its own certificate first) to be trusted?

    `server_hostname`: whom a client meant; the certificate's names are compared with it where
    `check_hostname` is True. `allowed_peers`, `pinned_keys`: what else was demanded, in words.
    """

    chain: tuple[bytes, ...]
    purpose: Purpose
    at: datetime
    server_hostname: str | None = None
    check_hostname: bool = True
    allowed_peers: tuple[str, ...] | None = None
    pinned_keys: tuple[str, ...] | None = None


@dataclass(frozen=True)
class VerificationReport:
    """The answer. `path` (DER): the certificates that convinced the engine, up to the anchor's."""

    question: Question
    trusted: bool
    path: tuple[bytes, ...] = ()


def unverified(question: Question) -> VerificationReport:
    """The report on a chain that nobody was asked to validate (CERT_NONE): it is not trusted."""
    return VerificationReport(question, False)


def accepted(question: Question, path: tuple[bytes, ...]) -> VerificationReport:
    """The report on a chain that the engine trusts."""
    return VerificationReport(question, True, path)
