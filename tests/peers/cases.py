"""The cases that every peer is put through, and how each must end."""

from __future__ import annotations

import itertools
import ssl
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Certificate = Literal["none", "valid", "stranger", "expired"]


@dataclass(frozen=True)
class Case:
    """One connection between veritls and a peer."""

    version: ssl.TLSVersion
    """TLS 1.2 or 1.3, pinned on both sides."""
    mode: ssl.VerifyMode
    """What the server, veritls or the peer, demands of the client."""
    client: Certificate
    """What the client has to show; a stranger's certificate is valid, but of another CA."""
    server: Literal["valid", "stranger"] = "valid"

    def __str__(self) -> str:
        return f"{self.version.name}-{self.mode.name}-client {self.client}-server {self.server}"


@dataclass(frozen=True)
class Outcome:
    """What the peer's program saw."""

    established: bool
    """It received application data."""
    detail: str = ""
    """What it said, in its own words."""


class Ending(Enum):
    """How a connection ends, as the server tells it."""

    WITHOUT = "goes on without the client's certificate"
    WITH = "goes on with the client's certificate"
    MISSING = "is refused for want of a certificate"
    INVALID = "is refused for an invalid certificate"


NONE, OPTIONAL, REQUIRED = ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

ENDINGS: dict[tuple[ssl.VerifyMode, Certificate], Ending] = {
    # (the server's mode, the client's certificate)
    (NONE, "none"): Ending.WITHOUT,
    (NONE, "valid"): Ending.WITHOUT,
    (NONE, "stranger"): Ending.WITHOUT,
    (OPTIONAL, "none"): Ending.WITHOUT,
    (OPTIONAL, "valid"): Ending.WITH,
    (OPTIONAL, "stranger"): Ending.INVALID,
    (OPTIONAL, "expired"): Ending.INVALID,
    (REQUIRED, "none"): Ending.MISSING,
    (REQUIRED, "valid"): Ending.WITH,
    (REQUIRED, "stranger"): Ending.INVALID,
    (REQUIRED, "expired"): Ending.INVALID,
}

VERIFY_CODES: dict[Certificate, int] = {"stranger": 20, "expired": 10}

SAID = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": (
        r"certificate[ _]((is|has) )?expired|expired certificate"
        r"|\(60\) SSL certificate verification failed"  # curl, of this alert in TLS 1.2
    ),
    "TLSV1_ALERT_UNKNOWN_CA": r"unknown[ _]ca|CA is unknown|unknown certificate authority",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": r"handshake[ _]fail",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": r"certificate[ _](is )?required",
}
"""How programs name an alert that they received; regular expressions, letter case aside."""

REFUSALS = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    }
)
"""The alerts, as `SSLError.reason` names them, by which one peer or another refuses a certificate."""


def cases(*endings: Ending) -> list[Case]:
    """Every case with one of these endings, in both versions; the server's own certificate is valid."""
    return [
        Case(version, *demand)
        for version, (demand, ending) in itertools.product(VERSIONS, ENDINGS.items())
        if ending in endings
    ]


def alert_for(case: Case) -> str:
    """The alert, as `SSLError.reason` names it, by which veritls refuses the other side's certificate."""
    if case.client == "expired":
        return "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    if ENDINGS[case.mode, case.client] is not Ending.MISSING:
        return "TLSV1_ALERT_UNKNOWN_CA"
    if case.version is ssl.TLSVersion.TLSv1_3:
        return "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return "SSLV3_ALERT_HANDSHAKE_FAILURE"
