"""What verify_mode means: the table of the documentation, as data. Knows neither rustls nor sockets.

Source: the `ssl` documentation of ``CERT_NONE``, ``CERT_OPTIONAL``, ``CERT_REQUIRED`` and ``check_hostname``.
"""

from __future__ import annotations

from ssl import VerifyMode

from veritls._value import Value

__all__ = [
    "RULES",
    "Rule",
    "rule",
]

CERT_NONE = VerifyMode.CERT_NONE
CERT_OPTIONAL = VerifyMode.CERT_OPTIONAL
CERT_REQUIRED = VerifyMode.CERT_REQUIRED


class Rule(Value):
    """What one side does about its peer's certificate (`ssl` documentation, ``CERT_NONE`` and following)."""

    request: bool
    """Ask the peer for a certificate. (A server sends one to every client.)"""
    require: bool
    """End the handshake where the peer sends no certificate."""
    validate: bool
    """End the handshake where the peer's certificate is not valid."""
    name_matters: bool
    """Where check_hostname is True, end the handshake if the certificate is for another name."""


_SERVER_NONE = Rule(request=False, require=False, validate=True, name_matters=False)
_SERVER_OPTIONAL = Rule(request=True, require=False, validate=True, name_matters=False)
_SERVER_REQUIRED = Rule(request=True, require=True, validate=True, name_matters=False)
_CLIENT_NONE = Rule(request=True, require=True, validate=False, name_matters=False)
_CLIENT_REQUIRED = Rule(request=True, require=True, validate=True, name_matters=True)

RULES: dict[tuple[bool, VerifyMode], Rule] = {
    # (server side, mode)
    (True, CERT_NONE): _SERVER_NONE,
    (True, CERT_OPTIONAL): _SERVER_OPTIONAL,
    (True, CERT_REQUIRED): _SERVER_REQUIRED,
    (False, CERT_NONE): _CLIENT_NONE,
    (False, CERT_OPTIONAL): _CLIENT_REQUIRED,
    (False, CERT_REQUIRED): _CLIENT_REQUIRED,
}
"""One rule for each side and mode; a client's CERT_OPTIONAL is its CERT_REQUIRED, to the letter."""


def rule(*, server_side: bool, mode: VerifyMode) -> Rule:
    """The rule for one side and mode. Raises KeyError where `mode` is not a VerifyMode."""
    return RULES[server_side, mode]
