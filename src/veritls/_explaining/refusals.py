"""From the engine's refusal of a certificate to the report and the exception that tell it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from veritls._explaining.diagnosis import Case, listed, refined, trusted_above
from veritls._explaining.explanation import refused
from veritls._explaining.parsed_certificate import is_address
from veritls._explaining.reasons import VERIFY_ERRORS, ssl_error
from veritls._explaining.rendering import moment_of
from veritls._explaining.request import Refusal, Request
from veritls.errors import SSLCertVerificationError
from veritls.report import VerificationReport


def _refusal(kind: str, detail: str, evidence: dict[str, Any], case_of: Request) -> Refusal:
    trust, path = evidence.get("trust"), evidence.get("path", ())
    plain = Refusal(kind, detail, evidence.get("bound"), tuple(evidence.get("presented", ())), path)
    if trust is None:
        return plain
    known = replace(
        plain, anchors=trust.anchors, unread=tuple(trust.unread), above=trusted_above(case_of.chain, trust)
    )
    if not kind.startswith("revo"):
        return known
    return replace(known, lists=listed(Case(case_of, known).path, trust))


def _texts(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _request(evidence: dict[str, Any]) -> Request:
    time = evidence.get("time")
    return Request(
        chain=tuple(evidence["chain"]),
        purpose=evidence.get("purpose", "server"),
        at=(moment_of(time) if time is not None else None) or datetime.now(UTC),
        server_hostname=evidence.get("name"),
        revocation=evidence.get("revocation", "none"),
        strict=evidence.get("strict", False),
        allowed_peers=_texts(evidence.get("allowed")),
        pinned_keys=_texts(evidence.get("pinned")),
        ocsp=evidence.get("ocsp", False),
    )


def certificate_refused(detail: str, evidence: dict[str, Any]) -> SSLCertVerificationError:
    """The error for a certificate that was refused: OpenSSL's code and words, then one sentence of ours.

    `evidence` has the fields that engine/src/failure.rs gives; all but "kind" and "chain" may be missing.
    In their place it may hold the "request" itself.
    """
    request = evidence.get("request") or _request(evidence)
    kind = refined(evidence["kind"], detail, request.chain)
    report = refused(request, _refusal(kind, detail, evidence, request))
    name = request.server_hostname
    if kind == "name" and name is not None:
        number, label = (64, "IP address") if is_address(name) else (62, "Hostname")
        message = f"{label} mismatch, certificate is not valid for '{name}'."
    else:
        number, message = VERIFY_ERRORS.get(kind, VERIFY_ERRORS["other"])
    words = f"certificate verify failed: {message}{' ' if message.endswith('.') else ': '}{report.sentence}"
    error = ssl_error("CERTIFICATE_VERIFY_FAILED", words, kind=SSLCertVerificationError)
    assert isinstance(error, SSLCertVerificationError)
    error.verify_code = number
    error.verify_message = message
    error.report = report
    if evidence.get("cause") is not None:
        error.__cause__ = evidence["cause"]
    return error


def callback_refused(report: VerificationReport, why: Exception) -> SSLCertVerificationError:
    """The error for a peer that a verify callback refused outside of a handshake, by raising `why`."""
    detail = f"the verify callback raised {type(why).__name__}: {why}"
    path = report.path[1:]
    return certificate_refused(
        detail, {"kind": "callback", "request": report.request, "cause": why, "path": path}
    )
