"""What a context trusts, as `SSLContext.list_trust` shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from veritls import _engine
from veritls._loading.certificates import described, name_text
from veritls._report.rendering import moment_of
from veritls._value import shown_in


@shown_in("veritls")
@dataclass(frozen=True)
class TrustEntry:
    """A certificate or CRL that a context trusts; see `SSLContext.list_trust`.

    `kind`: "anchor" ends a path and is trusted by itself, "intermediate" may stand within one, "crl" is a
    CRL; "excluded" is a certificate that has no effect while `spiffe_bundles` is set. `name`: the subject, or
    a CRL's issuer (RFC 4514), empty where there is none. `expires`: notAfter or nextUpdate, aware, in UTC;
    None where `datetime` cannot express it. `source`: the repr of the file's path, "cadata", "memory", "the
    system", "load_intermediates" or "spiffe_bundles". `der`: the certificate or CRL. `trust_domain`: of an
    anchor of `spiffe_bundles`, the only one that it vouches for; else None.
    """

    kind: Literal["anchor", "intermediate", "crl", "excluded"]
    name: str
    expires: datetime | None
    source: str
    der: bytes = field(repr=False)
    trust_domain: str | None = None


def entries_of(
    certificates: Mapping[bytes, str],
    bundles: Mapping[str, Mapping[bytes, str]] | None,
    intermediates: Mapping[bytes, str],
    crls: Iterable[tuple[_engine.Crl, str]],
    *,
    partial_chain: bool,
) -> list[TrustEntry]:
    """Every certificate (DER, with its source): those that are loaded as trusted, the bundles' and the
    intermediates. Then every CRL.
    """

    def kind_of(der: bytes) -> Literal["anchor", "intermediate", "excluded"]:
        if bundles is not None:
            return "excluded"
        subject, issuer = _engine.names(der)
        return "anchor" if partial_chain or subject == issuer else "intermediate"

    found = [TrustEntry(kind_of(der), *described(der), source, der) for der, source in certificates.items()]
    for domain, bundle in (bundles or {}).items():
        found += [
            TrustEntry("anchor", *described(der), source, der, domain) for der, source in bundle.items()
        ]
    for der, source in intermediates.items():
        found.append(TrustEntry("intermediate", *described(der), source, der))
    for each, source in crls:
        until = moment_of(each.period[1])
        found.append(TrustEntry("crl", name_text(each.issuer), until, source, each.der))
    return found
