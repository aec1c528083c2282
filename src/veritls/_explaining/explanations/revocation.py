"""Revoked, or not known not to be."""

from __future__ import annotations

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.parsed_certificate import ParsedCertificate
from veritls._report.rendering import moment, moment_of

_LOAD = "Load its current list (load_verify_locations)."


def _asked_about(case: Case) -> list[tuple[ParsedCertificate, tuple[bool, int | None]]]:
    found = list(zip(case.path, case.refusal.lists, strict=False))
    return found[:1] if case.request.revocation == "leaf" else found


def revoked(case: Case) -> Finding | None:
    """Which one, and when."""
    for reading, (_, since) in _asked_about(case):
        if since is not None:
            when = f" on {moment(start)}" if (start := moment_of(since)) else ""
            words = (
                f"{case.who(reading)} was revoked{when}, says the revocation list of {reading.issuer_label}"
            )
            return Finding(words, reading.der, (case.replace(reading, "one that was not revoked"),))
    return None


def unknown(case: Case) -> Finding | None:
    """Of which authority there is no list."""
    if case.leaf.anchor:
        words = f"{case.who(case.leaf)} is trusted by itself, so no revocation list can speak of it"
        return Finding(words, case.leaf.der, ("Trust the authority that issues the lists instead.",))
    for reading, (there, _) in _asked_about(case):
        if not there:
            words = (
                f"no revocation list of {reading.issuer_label}, which signed {case.short(reading)}, is loaded"
            )
            return Finding(words, reading.der, (_LOAD, "Or ask for no revocation (verify_flags)."))
    return None


def list_expired(case: Case) -> Finding | None:
    """Whose list, since when."""
    end = moment_of(case.refusal.bound) if case.refusal.bound is not None else None
    listed = [reading for reading, (there, _) in _asked_about(case) if there]
    if end is None or not listed:
        return None
    since = f"expired {case.ago(case.request.at - end)} ({moment(end)})"
    if len(listed) > 1:
        return Finding(f"the revocation list of an authority of {case.leaf.holder} {since}", None, (_LOAD,))
    reading = listed[0]
    words = f"the revocation list of {reading.issuer_label}, which signed {case.short(reading)}, {since}"
    return Finding(words, reading.der, (_LOAD,))
