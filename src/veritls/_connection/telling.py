"""From the end of a handshake to its event: what it was, and who hears of it.

Theory of operation
===================

**Once.** The engine knows when a handshake ends, and answers the first who asks (`Stream.end`). Who asks is
the call that raises: `do_handshake`, or a read or write that did the handshake first; `close`, within one; a
transport that is lost. Where a handshake is completed nothing is raised, so somebody has to be waited for: a
connection that is made while anybody listens has the engine call `ConnectionState._completed`. Others cost
nothing.

**Where.** Nothing is locked. Listeners and the log are called as any function that the program calls.

**SSLObject.** It cannot be closed: what asyncio does where a client is gone is to let go of it. Its finalizer
may run amid anything, so it only notes the object, and `ConnectionState._made` tells of it when the next
connection is made.

**Who hears.** The listeners of the settings that the connection was made with, and those of the process at
that time; after `sni_callback` those of both contexts.
"""

from __future__ import annotations

import errno
import ssl
import time
from typing import Any, Protocol

from veritls import _engine
from veritls._connection import log
from veritls._context import groups
from veritls._context.cipher_suites import VERSIONS, describe
from veritls._context.settings import Settings
from veritls._explaining.reasons import ALERTS, words_of
from veritls._loading.certificates import alternative_names, described
from veritls._report.rendering import plain
from veritls.errors import SSLCertVerificationError
from veritls.events import HandshakeEvent, Outcome, PeerIdentity, Subscription

LONGEST = 500
"""Characters of a sentence."""
MOST_NAMES = 100


class Teller(Protocol):
    """What is asked of a connection."""

    _settings: Settings
    _heard_by: tuple[Subscription, ...]
    _timed_out: bool

    def _is_server(self) -> bool: ...
    def _address(self) -> Any: ...
    def _asked_name(self) -> str | None: ...


Why = tuple[Outcome, str | None, str | None]

ALERT_NAMES = {
    number: words.split(" ", 1)[1].removeprefix("alert ").replace(" ", "_") if " " in words else words
    for number, (_, words) in ALERTS.items()
} | {0: "close_notify", 90: "user_canceled", 113: "bad_certificate_status_response"}
"""As in RFC 8446, section 6."""
_ALERTS = {reason: (number, ALERT_NAMES[number]) for number, (reason, _) in ALERTS.items()}
_UNKNOWN_ALERT = "UNKNOWN_ALERT_TYPE"

_MEANINGS = {
    "unknown_ca": "it does not trust the CA of {whose} certificate, or got no intermediate",
    "certificate_required": "it requires a certificate, and none was sent",
    "certificate_expired": "{whose} certificate has expired, or is not valid yet",
    "certificate_revoked": "{whose} certificate was revoked",
    "bad_certificate": "it does not accept {whose} certificate",
    "certificate_unknown": "it does not accept {whose} certificate",
    "unsupported_certificate": "{whose} certificate is of a kind that it does not take",
    "access_denied": "it accepted {whose} certificate, but allows no access with it",
    "protocol_version": "it speaks no TLS version that is enabled here",
    "handshake_failure": "it found no parameters in common, or misses a certificate",
    "unrecognized_name": "it does not serve the name that was asked for",
    "no_application_protocol": "it has no application protocol (ALPN) in common",
}
"""What the alerts that are seen most mean. {whose}: this side's."""

_OWN_FAULTS = ("INTERNAL_ERROR", "FORKED", "UNUSABLE")
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")


def _by_alert(reason: str, error: ssl.SSLError, whose: str) -> tuple[str, str] | None:
    if reason == _UNKNOWN_ALERT:
        return "unknown_alert", words_of(error)
    if reason not in _ALERTS:
        return None
    number, name = _ALERTS[reason]
    meaning = _MEANINGS.get(name)
    return name, f"alert {name} ({number}){f': {meaning.format(whose=whose)}' if meaning else ''}"


def _of_ssl_error(error: ssl.SSLError, late: bool, server: bool, spoke_tls: bool) -> Why:
    reason = error.reason or ""
    alert = _by_alert(reason, error, "this server's" if server else "this client's")
    if alert is not None:
        return "refused_late" if late else "refused_by_peer", *alert
    kind, sentence = reason.lower() or "ssl_error", words_of(error)
    if server and reason in _NOT_TLS and not spoke_tls:
        return "probe", kind, sentence
    return "failed" if reason in _OWN_FAULTS else "refused", kind, sentence


def _of_os_error(error: OSError) -> Why:
    kind = errno.errorcode.get(error.errno or 0, "os_error").lower()
    if error.errno == errno.EBADF:
        return "closed", None, "this side closed the connection"
    if error.errno in (errno.ENOMEM, errno.EMFILE, errno.ENFILE):
        return "failed", kind, str(error)
    return "gone", kind, f"the connection broke: {error.strerror or error}"


def _why(end: str, error: BaseException | None, server: bool, timed_out: bool, facts: _engine.Facts) -> Why:
    """Outcome, kind and sentence."""
    _, heard, version, *_ = facts
    ended = error.__cause__ if isinstance(error, ConnectionResetError) and error.__cause__ else error
    why: Why
    match ended:
        case None | TimeoutError(errno=None) | ConnectionAbortedError(errno=None) if timed_out:
            why = "timeout", "timeout", "the time for the handshake was over"
        case None | ConnectionAbortedError(errno=None) | ConnectionResetError(errno=None):
            why = "closed", "closed", "this side closed the connection"
        case SSLCertVerificationError():
            why = "refused", ended.report.kind, ended.report.sentence
        case ssl.SSLEOFError():
            why = "gone", "eof", "the peer ended the connection"
        case ssl.SSLError():
            why = _of_ssl_error(ended, end == "refused_late", server, version is not None)
        case OSError():
            why = _of_os_error(ended)
        case MemoryError():
            why = "failed", "no_memory", "there is not enough memory"
        case Exception():
            why = "failed", "error", f"{type(ended).__name__}: {ended}"
        case _:
            why = "refused", "callback", f"a callback raised {type(ended).__name__}"
    if server and not heard and (why[0] in ("gone", "timeout") or end == "dropped"):
        return "probe", "no_byte", "the peer sent nothing"
    return why


def named(certificate: bytes) -> tuple[str, tuple[tuple[str, str], ...], int, str | None]:
    """What `PeerIdentity` has of a certificate (DER)."""
    subject, _ = described(certificate)
    names = alternative_names(certificate)
    left_out = max(0, len(names) - MOST_NAMES)
    return subject, names[:MOST_NAMES], left_out, _engine.spiffe_id(certificate)


def _identity(stream: _engine.Stream) -> PeerIdentity | None:
    chain = stream.peer_chain if stream.validated else None
    return PeerIdentity(*named(chain[0])) if chain else None


def _event(
    connection: Teller, stream: _engine.Stream, end: str, why: Why, facts: _engine.Facts
) -> HandshakeEvent:
    seconds, _, version, suite, group, asked = facts
    server, (outcome, kind, sentence) = connection._is_server(), why
    completed = outcome in ("completed", "refused_late")
    return HandshakeEvent(
        side="server" if server else "client",
        outcome=outcome,
        kind=kind,
        sentence=None if sentence is None else plain(sentence, LONGEST),
        peer_address=connection._address(),
        server_name=asked if server else connection._asked_name(),
        version=VERSIONS.get(version) if version is not None else None,
        suite=describe(suite)[0] if suite is not None else None,
        group=groups.name_of(group) if group is not None else None,
        resumed=stream.resumed if completed else None,
        duration=seconds,
        peer_identity=_identity(stream) if outcome == "completed" else None,
        generation=connection._settings.generation,
        time=time.time(),
    )


def tell(connection: Teller, stream: _engine.Stream, end: str, error: BaseException | None) -> None:
    """Tells that the handshake has ended: `end`, a word of `Stream.end` or "dropped", with `error`."""
    listeners = connection._settings.listeners + connection._heard_by
    try:
        facts = stream.facts()
        why: Why = ("completed", None, None)
        if error is not None or end != "completed":
            why = _why(end, error, connection._is_server(), connection._timed_out, facts)
        held = log.admit("server" if connection._is_server() else "client", why[0], why[1])
        if held is None and not listeners:
            return
        event = _event(connection, stream, end, why, facts)
    except Exception as fault:
        _engine.report_unraisable(fault, connection)
        return
    if held is not None:
        try:
            log.record(event, held)
        except Exception as fault:
            _engine.report_unraisable(fault, log.logger)
    for subscription in dict.fromkeys(listeners):
        subscription._tell(event)
