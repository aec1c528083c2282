"""Expired, not valid yet."""

from __future__ import annotations

from datetime import timedelta

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.rendering import moment, moment_of

_CLOCK = timedelta(days=1)
"""Up to here a wrong clock is as likely as a wrong certificate."""


def expired(case: Case) -> Finding | None:
    """Which one, since when; or which one ends before it begins."""
    end = moment_of(case.refusal.bound) if case.refusal.bound is not None else None
    if end is None:
        return None
    for reading in case.all:
        start, stop = reading.not_before, reading.not_after
        if start is not None and stop is not None and start > stop:
            words = (
                f"{case.who(reading)} is never valid: "
                f"it ends ({moment(stop)}) before it begins ({moment(start)})"
            )
            return Finding(words, reading.der, (case.replace(reading, "one whose dates are right"),))
        if stop == end:
            length = case.request.at - end
            remedies = [case.replace(reading, "one that is valid now")]
            if length < _CLOCK:
                remedies.append("If it should still be valid, set the clock of this machine right.")
            words = f"{case.who(reading)} expired {case.ago(length)} ({moment(end)})"
            return Finding(words, reading.der, tuple(remedies))
    return None


def not_yet_valid(case: Case) -> Finding | None:
    """Which one, from when on."""
    start = moment_of(case.refusal.bound) if case.refusal.bound is not None else None
    for reading in case.all:
        if start is not None and reading.not_before == start:
            length = start - case.request.at
            remedies = [case.replace(reading, "one that is valid now, or wait until it is")]
            if length < _CLOCK:
                remedies.insert(0, "Set the clock of this machine right: it may be slow.")
            words = f"{case.who(reading)} becomes valid only {case.ahead(length)} ({moment(start)})"
            return Finding(words, reading.der, tuple(remedies))
    return None
