"""Text for people: strings from a peer escaped, times, spans, listings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_LONGEST = 120
_DAY = timedelta(days=1)
_UNITS = (("year", 365 * _DAY), ("day", _DAY), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def plain(text: str, longest: int = _LONGEST) -> str:
    r"""`text` shortened, with every character escaped that is not printable (``\x1b``)."""
    start = text[: longest + 1]
    safe = start if start.isprintable() else "".join(map(_escaped, start))
    return safe if len(text) <= longest else f"{safe[: longest - 1]}…"


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def moment(when: datetime | None) -> str:
    """A time in UTC, to the minute."""
    if when is None:
        return "an unknown time"
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def moment_of(seconds: int) -> datetime | None:
    """The time of a second of the epoch; None where `datetime` does not reach."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def counted(number: int, noun: str) -> str:
    """`number` with its noun: "1 day", "3 days"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def seconds(number: float) -> str:
    """ "1 second", "2.5 seconds"."""
    return f"{number:g} second{'' if number == 1 else 's'}"


def hexadecimal(number: int) -> str:
    """A serial number as OpenSSL shows it: upper-case, an even number of digits."""
    digits = f"{abs(number):X}"
    return ("-" if number < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)


def span(length: timedelta) -> str:
    """A length of time in its largest unit: "3 days", "2 hours"; years from two years on."""
    for noun, unit in _UNITS:
        number = length // unit
        if number >= (2 if noun == "year" else 1):
            return counted(number, noun)
    return counted(max(0, int(length.total_seconds())), "second")


def listing(items: Sequence[str], longest: int = 3, *, more: int = 0) -> str:
    """ "a", "a and b", "a, b and c", "a, b and 7 more". `more`: how many there are besides `items`."""
    if len(items) + more > longest:
        shown = [*items[: longest - 1], f"{len(items) + more - longest + 1:,} more"]
    else:
        shown = list(items)
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""
