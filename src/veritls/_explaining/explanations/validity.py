"""The certificate has expired, or is not valid yet."""

from __future__ import annotations

from datetime import timedelta

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.rendering import moment, moment_of

_CLOCK = timedelta(days=1)
"""Below this, a wrong clock is as likely as a wrong certificate."""


def expired(case: Case) -> Finding | None:
    """Which certificate expired, and when; or which one ends before it begins."""
    end = moment_of(case.refusal.bound) if case.refusal.bound is not None else None
    if end is None:
        return None
    for parsed in case.all:
        start, stop = parsed.not_before, parsed.not_after
        if start is not None and stop is not None and start > stop:
            words = (
                f"{case.name(parsed)} is never valid: "
                f"its notAfter ({moment(stop)}) is before its notBefore ({moment(start)})"
            )
            return Finding(words, (case.replace(parsed, "one whose notBefore is before its notAfter"),))
        if stop == end:
            length = case.request.at - end
            remedies = [case.replace(parsed, "one that is valid now")]
            if length < _CLOCK:
                remedies.append("If it should still be valid, check the clock of this machine.")
            words = f"{case.name(parsed)} expired {case.ago(length)} ({moment(end)})"
            return Finding(words, tuple(remedies))
    return None


def not_yet_valid(case: Case) -> Finding | None:
    """Which certificate is not valid yet, and from when on it is."""
    start = moment_of(case.refusal.bound) if case.refusal.bound is not None else None
    for parsed in case.all:
        if start is not None and parsed.not_before == start:
            length = start - case.request.at
            remedies = [case.replace(parsed, "one that is valid now, or wait until it is")]
            if length < _CLOCK:
                remedies.insert(0, "Check the clock of this machine: it may be slow.")
            when = f"{case.ahead(length)} ({moment(start)})"
            words = f"{case.name(parsed)} is not valid yet: it becomes valid {when}"
            return Finding(words, tuple(remedies))
    return None
