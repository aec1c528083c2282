"""The certificate is revoked, or its revocation status is unknown."""

from __future__ import annotations

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.parsed_certificate import ParsedCertificate
from veritls._report.rendering import moment, moment_of

_LOAD = "Load its current CRL (load_crls)."


def _asked_about(case: Case) -> list[tuple[ParsedCertificate, tuple[bool, int | None]]]:
    found = list(zip(case.path, case.refusal.crls, strict=False))
    return found[:1] if case.request.revocation == "leaf" else found


def revoked(case: Case) -> Finding | None:
    """Which certificate was revoked, and when."""
    for parsed, (_, since) in _asked_about(case):
        if since is not None:
            when = f" on {moment(start)}" if (start := moment_of(since)) else ""
            words = f"{case.name(parsed)} was revoked{when}, according to the CRL of {parsed.issuer_label}"
            return Finding(words, (case.replace(parsed, "one that is not revoked"),))
    return None


def unknown(case: Case) -> Finding | None:
    """Which CA has no CRL, or none that covers the certificate."""
    if case.leaf.anchor:
        words = f"{case.name(case.leaf)} is itself a trust anchor, so no CRL can cover it"
        return Finding(words, ("Trust the CA that issues the CRLs instead.",))
    for parsed, (there, _) in _asked_about(case):
        if not there:
            words = f"no CRL of {parsed.issuer_label}, which issued {case.short(parsed)}, is loaded"
            return Finding(words, (_LOAD, "Or turn revocation checks off (verify_flags)."))
    if not _asked_about(case):
        return None
    words = f"{_of(case)} is loaded, but does not cover it: it is not valid yet, or for other certificates"
    return Finding(words, (_LOAD,))


def list_expired(case: Case) -> Finding | None:
    """Which CRL expired, and when."""
    end = moment_of(case.refusal.bound) if case.refusal.bound is not None else None
    listed = [parsed for parsed, (there, _) in _asked_about(case) if there]
    if end is None or not listed:
        return None
    since = f"expired {case.ago(case.request.at - end)} ({moment(end)})"
    return Finding(f"{_of(case)} {since}", (_LOAD,))


def _of(case: Case) -> str:
    """The CRL that is loaded, by its issuer where only one can be meant."""
    listed = [parsed for parsed, (there, _) in _asked_about(case) if there]
    if len(listed) > 1:
        return f"the CRL of a CA above {case.leaf.holder}"
    return f"the CRL of {listed[0].issuer_label}, which issued {case.short(listed[0])},"
