"""What one peer got, and on what evidence."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Any, Literal

import veritls
from veritls._explaining.reasons import words_of
from veritls._report.rendering import plain
from veritls.cli.auditing.openssl import OpenSSLContext
from veritls.errors import SSLCertVerificationError

What = Literal["accepted", "refused", "closed", "no version", "unknown"]
"""closed: the other side closed without an alert, which tells something only where it let others in.
no version: it does not speak this version of TLS. unknown: the peer could not be tried."""

_NO_VERSION = ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE")
_LONGEST, _LONGEST_DETAIL = 200, 500


@dataclass(frozen=True)
class Outcome:
    """What became of one handshake. `evidence`: in few words. `requested`: whether the peer, a client, was
    asked for its certificate; None where that is not known. `detail`: more of it, if there is. `http`: the
    status that a server answered.
    """

    what: What
    evidence: str
    requested: bool | None = None
    detail: str = ""
    http: int | None = None

    def in_words(self) -> str:
        """The evidence, and whether there was anything to verify."""
        if self.requested is not False or self.what != "accepted":
            return self.evidence
        return "was not asked for its certificate" if self.http is None else f"{self.evidence}, not asked"


def speaks_not_the_version(error: BaseException) -> bool:
    """Whether the two sides have no version in common."""
    return (getattr(error, "reason", None) or "") in _NO_VERSION


def words(error: BaseException) -> str:
    """An error in text that a terminal can show."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = error.verify_message
    elif isinstance(error, ssl.SSLError) and error.library and len(error.args) > 1:
        text = re.sub(r" \(_ssl\.c:\d+\)$", "", words_of(error))  # the place in `ssl` of an error of its own
    else:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return plain(text or type(error).__name__, _LONGEST)


def detail(error: BaseException) -> str:
    """The whole sentence of a refusal that has a report; else empty."""
    return (
        plain(error.report.sentence, _LONGEST_DETAIL) if isinstance(error, SSLCertVerificationError) else ""
    )


def watch_for_request(tls: Any) -> None:
    """Has a client of veritls that has not begun keep the server's request for a certificate."""
    if isinstance(tls, veritls.SSLSocket | veritls.SSLObject) and not tls.server_side:
        tls._require_stream().keep_certificate_request()


def unsent(tls: Any, shows: bool) -> Outcome | None:
    """The outcome of a client that was asked for a certificate, and had none with a key of the kind: that it
    was let in, or refused, tells nothing of it. None for any other. `shows`: it has one.
    """
    if shows and was_requested(tls) and not _was_answered(tls):
        return Outcome("unknown", "asked for a certificate with a key of another kind", True)
    return None


def was_requested(tls: Any) -> bool:
    """Whether a client that was watched was asked for a certificate."""
    if isinstance(tls.context, OpenSSLContext):
        return tls.context.requested
    return tls._require_stream().certificate_request is not None


def _was_answered(tls: Any) -> bool:
    """Whether a client that was asked for a certificate sent one."""
    if isinstance(tls.context, OpenSSLContext):
        return tls.context.proved
    request = tls._require_stream().certificate_request
    return request is not None and request[2]
