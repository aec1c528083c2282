"""What a server speaks with which no connection of veritls comes about: asked by Python's own `ssl`."""

from __future__ import annotations

import socket
import ssl
import warnings
from dataclasses import dataclass

from veritls.cli.alerts import alert_in, problem

_OLD = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1"}
_REASONS = {
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "UNSUPPORTED_PROTOCOL",
    "HANDSHAKE_FAILURE_ON_CLIENT_HELLO",
}
_LEGACY = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT, which `ssl` names from Python 3.12 on."""


@dataclass(frozen=True)
class Spoken:
    """What Python's own `ssl` agreed on with a server, in its names."""

    version: str
    suite: str


def may_be_older(why: BaseException) -> bool:
    """Whether a server that failed so may speak older versions or other cipher suites."""
    if isinstance(why, ssl.SSLEOFError | ConnectionResetError):
        return True
    return isinstance(why, ssl.SSLError) and why.reason in _REASONS


def context() -> ssl.SSLContext | None:
    """A context of Python's own `ssl` with everything that its OpenSSL has, from TLS 1.0 on.

    It verifies nothing. None where OpenSSL was built without the older versions.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            made.minimum_version = ssl.TLSVersion.TLSv1
        made.set_ciphers("ALL:@SECLEVEL=0")
    except (ValueError, ssl.SSLError):
        return None
    made.options |= _LEGACY
    return made


def spoken(by: ssl.SSLContext, raw: socket.socket, name: str) -> Spoken | None:
    """The handshake, and nothing after it; None where this fails, too."""
    try:
        with by.wrap_socket(raw, server_hostname=name) as tls:
            suite = tls.cipher()
            return Spoken(tls.version() or "?", suite[0] if suite else "?")
    except (OSError, ValueError):
        return None


def explained(why: BaseException, found: Spoken | None) -> str:
    """Why there is no connection. `found`: what Python's own `ssl` agreed on; None where it did not."""
    if found is not None and found.version in _OLD:
        return (
            f"the server speaks {_OLD[found.version]} at best, which RFC 8996 forbids: "
            "have it offer TLS 1.2 or 1.3"
        )
    if found is not None:
        return f"{problem(why)}; with OpenSSL it agrees on {found.version} and {found.suite}"
    if alert_in(why) == "alert protocol version":
        return "the server speaks neither TLS 1.2 nor TLS 1.3 (alert protocol version)"
    return problem(why)
