"""What a broken chain is made of, and what it must give."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Literal

from cryptography import x509

import veritls
from tests.support.certificates import Party, pem

STRICT, PARTIAL = ssl.VERIFY_X509_STRICT, ssl.VERIFY_X509_PARTIAL_CHAIN
CRL_LEAF, CRL_CHAIN = ssl.VERIFY_CRL_CHECK_LEAF, ssl.VERIFY_CRL_CHECK_CHAIN


@dataclass(frozen=True)
class Broken:
    """A chain, its trust anchors and request; the explanation and the check (or None) that it must give."""

    chain: Sequence[bytes]
    trusted: Sequence[bytes]
    explanation: str
    check: str
    name: str | None = "db.internal"
    purpose: Literal["server", "client"] = "server"
    flags: int = 0
    crls: Sequence[x509.CertificateRevocationList] = field(default=())
    at: datetime | None = None

    def verify(self) -> Any:
        """The report, or the error."""
        context = veritls.SSLContext(
            veritls.PROTOCOL_TLS_CLIENT if self.purpose == "server" else veritls.PROTOCOL_TLS_SERVER
        )
        if self.trusted:
            context.load_verify_locations(cadata=b"".join(self.trusted))
        for crl in self.crls:
            context.load_verify_locations(cadata=pem(crl).decode())
        context.verify_flags |= self.flags
        return context.verify_chain(self.chain, server_hostname=self.name, at=self.at, purpose=self.purpose)


def at(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


@cache
def root() -> Party:
    return Party("Example Root", ca=True)


@cache
def middle() -> Party:
    return Party("R11", root(), ca=True)


@cache
def leaf() -> Party:
    return peer("leaf", middle())


def chain(*parties: Party | bytes) -> list[bytes]:
    return [each if isinstance(each, bytes) else each.der for each in parties]


def peer(subject: str | x509.Name, issuer: Party | None = None, **options: Any) -> Party:
    """A certificate for the name that is asked for."""
    return Party(subject, issuer, **({"names": ["db.internal"]} | options))


def below(*names: str, **changes: Any) -> Party:
    """A leaf of R11, for these names."""
    return peer("leaf", middle(), **({"names": names} if names else {}), **changes)


def usage(*oids: x509.ObjectIdentifier) -> tuple[x509.ExtensionType, bool]:
    return x509.ExtendedKeyUsage(oids), False


CASES: dict[str, Callable[[], Broken]] = {}


def case(make: Callable[[], Broken]) -> Callable[[], Broken]:
    CASES[make.__name__] = make
    return make
