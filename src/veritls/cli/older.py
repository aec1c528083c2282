"""What a server speaks with which no connection of veritls comes about: asked by Python's own `ssl`."""

from __future__ import annotations

import contextlib
import socket
import ssl
import warnings
from dataclasses import dataclass

from veritls._context.cipher_suites import SUITES
from veritls.cli.alerts import alert_in, problem

_OLD = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1"}
_VERSIONS = {b"\x03\x01": "TLSv1", b"\x03\x02": "TLSv1.1", b"\x03\x03": "TLSv1.2"}
_COMMON = {suite.name for suite in SUITES.values()}
"""Suites of veritls. A handshake with one of them that fails does not fail for its suite."""
_HANDSHAKE, _SERVER_HELLO = b"\x16", b"\x02"
_START = 11
"""A record's header (5 bytes), type and length of the hello (4), and its version."""
_MOST_READ = 16 * 1024
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
    """The handshake, and nothing after it; None where nothing is agreed on, either.

    A server may agree and then refuse a client without a certificate: `ssl` tells the version only where the
    handshake succeeds, so it is read in the server's hello.
    """
    incoming, outgoing, start = ssl.MemoryBIO(), ssl.MemoryBIO(), b""
    try:
        tls = by.wrap_bio(incoming, outgoing, server_hostname=name)
    except ValueError:
        return None
    with contextlib.suppress(OSError):
        while not _is_done(tls):
            raw.sendall(outgoing.read())
            more = raw.recv(_MOST_READ)
            if not more:
                break
            start += more[: _START - len(start)]
            incoming.write(more)
        raw.sendall(outgoing.read())
    suite = tls.cipher()
    if suite is None:
        return None
    version = tls.version()
    if version is None and suite[0] not in _COMMON:
        version = _chosen(start)
    return Spoken(version, suite[0]) if version else None


def _is_done(tls: ssl.SSLObject) -> bool:
    """Whether the handshake is done; False where it needs more. Raises OSError where it fails."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _chosen(start: bytes) -> str | None:
    """The version in the server's hello, with which its answer starts; None where no hello comes."""
    return _VERSIONS.get(start[9:_START]) if start[:1] == _HANDSHAKE and start[5:6] == _SERVER_HELLO else None


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
