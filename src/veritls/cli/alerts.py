"""The errors of a connection in words: without the names that programs compare."""

from __future__ import annotations

import ssl

from veritls._explaining.reasons import ALERTS, words_of
from veritls._report.rendering import plain
from veritls.cli.words import in_options

_LONGEST = 300
_ALERTS = {
    reason: words.partition("alert ")[2] or words.removeprefix("tlsv1 ") for reason, words in ALERTS.values()
}


def alert_in(why: BaseException) -> str:
    """The alert that the peer sent, in words; empty where the error is another."""
    if not isinstance(why, ssl.SSLError):
        return ""
    if why.reason == "UNKNOWN_ALERT_TYPE":
        return words_of(why)
    words = _ALERTS.get(why.reason or "", "")
    return f"alert {words}" if words else ""


def problem(why: BaseException) -> str:
    """Why there is no connection, in text that a terminal can show."""
    alert = alert_in(why)
    if alert:
        return f"the server ended the handshake ({alert})"
    if isinstance(why, ssl.SSLError) and why.reason and why.library:
        words = words_of(why)
    else:
        words = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
    words = str(words).replace("server_hostname '", "'").replace("server_hostname", "the host name")
    words = in_options(words)
    return plain(words or type(why).__name__, _LONGEST)
