"""What a context trusts, as `SSLContext.list_trust` shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from veritls import _engine
from veritls._loading.certificates import described, name_text
from veritls._report.rendering import moment_of


@dataclass(frozen=True)
class TrustEntry:
    """A certificate or CRL that a context trusts; see `SSLContext.list_trust`.

    `kind`: "anchor" ends a path and is trusted by itself, "intermediate" may stand within one, "crl" is a
    CRL. `name`: the subject, or a CRL's issuer (RFC 4514), empty where there is none. `expires`: notAfter or
    nextUpdate, aware, in UTC; None where `datetime` cannot express it. `source`: the repr of the file's path,
    "cadata", "memory" or "the system". `der`: the certificate or CRL.
    """

    kind: Literal["anchor", "intermediate", "crl"]
    name: str
    expires: datetime | None
    source: str
    der: bytes = field(repr=False)


def entries_of(
    certificates: Mapping[bytes, str], crls: Iterable[tuple[_engine.Crl, str]], *, partial_chain: bool
) -> list[TrustEntry]:
    """Every certificate (DER, with its source), then every CRL."""
    found = []
    for der, source in certificates.items():
        subject, issuer = _engine.names(der)
        kind: Literal["anchor", "intermediate"] = (
            "anchor" if partial_chain or subject == issuer else "intermediate"
        )
        found.append(TrustEntry(kind, *described(der), source, der))
    for each, source in crls:
        until = moment_of(each.period[1])
        found.append(TrustEntry("crl", name_text(each.issuer), until, source, each.der))
    return found
