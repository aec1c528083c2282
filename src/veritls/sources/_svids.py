"""What a SPIFFE Workload API sent, parsed, and refused as a whole where a part of it is not as it must be."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from veritls import _engine
from veritls._report.rendering import plain
from veritls._value import shown_in

MAX_SVIDS = 100
MAX_BUNDLES = 500
"""Federated trust domains."""
MAX_CHAIN = 10
"""Certificates of one SVID: its own and its intermediates."""
MAX_ANCHORS = 100
"""Certificates in one bundle."""
MAX_CRLS = 100

_SCHEME = "spiffe://"
_TRUST_DOMAIN = r"[a-z0-9._-]{1,255}"
_TRUST_DOMAINS = re.compile(_TRUST_DOMAIN)
_IDS = re.compile(rf"{_SCHEME}({_TRUST_DOMAIN})((?:/(?!\.{{1,2}}(?:/|\Z))[A-Za-z0-9._-]+)+)")
MAX_ID = 2_048
"""Bytes of a SPIFFE ID, section 2.3."""


@shown_in("veritls.sources.spiffe")
@dataclass(frozen=True)
class SVID:
    """One of the identities that a Workload API offers.

    `spiffe_id`: its SPIFFE ID. `hint`: the operator's word for what it is for; often empty.
    """

    spiffe_id: str
    hint: str
    _chain: bytes = field(repr=False)
    _key: bytes = field(repr=False)


@dataclass(frozen=True)
class Update:
    """All that one message has. `bundles`: of each trust domain its anchors, DER after DER."""

    svids: tuple[SVID, ...]
    bundles: dict[str, bytes]
    crls: tuple[bytes, ...]


def trust_domain_of(spiffe_id: str) -> str | None:
    """Whose a SPIFFE ID with a path is; None where it is none (SPIFFE ID, section 2)."""
    found = _IDS.fullmatch(spiffe_id) if len(spiffe_id) <= MAX_ID else None
    return found[1] if found else None


def _certificates(der: bytes, what: str, most: int) -> list[bytes]:
    try:
        found = _engine.split_certificates(der) if der else []
    except ssl.SSLError:
        raise ValueError(f"{what}: a certificate is malformed") from None
    if not found:
        raise ValueError(f"{what}: there is no certificate")
    if len(found) > most:
        raise ValueError(f"{what}: {len(found):,} certificates are more than {most}")
    return found


def _loaded(der: bytes, what: str) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except Exception:
        raise ValueError(f"{what}: a certificate is malformed") from None


def _extension(certificate: x509.Certificate, oid: x509.ObjectIdentifier, what: str) -> Any:
    try:
        return certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None
    except Exception:
        raise ValueError(f"{what}: a certificate's extensions are malformed") from None


def _uris(certificate: x509.Certificate, what: str) -> list[str]:
    names = _extension(certificate, ExtensionOID.SUBJECT_ALTERNATIVE_NAME, what)
    return [] if names is None else names.get_values_for_type(x509.UniformResourceIdentifier)


def _is_ca(certificate: x509.Certificate, what: str) -> bool:
    constraints = _extension(certificate, ExtensionOID.BASIC_CONSTRAINTS, what)
    return constraints is not None and constraints.ca


def _issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    """Whether `above` signed `below`; by the names alone where the algorithm is not known here."""
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    except UnsupportedAlgorithm:
        return below.issuer == above.subject
    return True


def _leads_to(chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> bool:
    """Whether each certificate of the chain is signed by the next, up to one that an anchor signed."""
    for below, above in zip(chain, (*chain[1:], None), strict=True):
        if below in anchors or any(_issued(below, anchor) for anchor in anchors):
            return True
        if above is None or not _issued(below, above):
            return False
    return False


class _Bundles:
    """The anchors of each trust domain, each of them in one domain only."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self._anchors: dict[str, dict[bytes, x509.Certificate]] = {}
        self._domains: dict[bytes, str] = {}

    def add(self, domain: str, der: bytes) -> Sequence[x509.Certificate]:
        """The anchors of `domain`, which are those of `der`."""
        what = f"the bundle of {plain(domain)}"
        ders = _certificates(der, what, MAX_ANCHORS)
        known = self._anchors.get(domain)
        if known is None:
            known = self._anchors[domain] = {each: self._anchor(each, domain, what) for each in ders}
            self.contents[domain] = der
        elif known.keys() != set(ders):
            raise ValueError(f"{what} is there twice, with different contents")
        return tuple(known.values())

    def _anchor(self, der: bytes, domain: str, what: str) -> x509.Certificate:
        certificate = _loaded(der, what)
        if not _is_ca(certificate, what):
            raise ValueError(f"{what} has a certificate that is not a CA's")
        for uri in _uris(certificate, what):
            if uri.startswith(_SCHEME) and uri.removeprefix(_SCHEME).partition("/")[0] != domain:
                raise ValueError(f"{what} has a certificate of {plain(uri)}")
        other = self._domains.setdefault(der, domain)
        if other != domain:
            raise ValueError(
                f"{what} has a certificate that is in the bundle of {plain(other)}, too: "
                "an anchor vouches for one trust domain"
            )
        return certificate


def _svid(sent: Any, number: int, bundles: _Bundles) -> SVID:
    what = f"SVID {number} ({plain(sent.spiffe_id)})"
    domain = trust_domain_of(sent.spiffe_id)
    if domain is None:
        raise ValueError(f"{what}: this is not the SPIFFE ID of a workload")
    if not sent.x509_svid_key:
        raise ValueError(f"{what}: there is no key")
    chain = [_loaded(each, what) for each in _certificates(sent.x509_svid, what, MAX_CHAIN)]
    uris = _uris(chain[0], what)
    if uris != [sent.spiffe_id]:
        named = plain(uris[0]) if len(uris) == 1 else f"{len(uris)} URIs"
        raise ValueError(f"{what}: its certificate has {named}")
    if _is_ca(chain[0], what):
        raise ValueError(f"{what}: its certificate is a CA's")
    if not _leads_to(chain, bundles.add(domain, sent.bundle)):
        raise ValueError(f"{what}: no certificate of its trust domain's bundle signed it")
    return SVID(sent.spiffe_id, sent.hint, sent.x509_svid, sent.x509_svid_key)


def parse(message: bytes, response: Callable[[bytes], Any]) -> Update:
    """The message as a whole. `response` makes of it what protobuf has of an X509SVIDResponse.

    Raises ValueError, which names the part that is malformed, missing, too much or another trust domain's.
    """
    try:
        sent = response(message)
    except Exception as error:
        raise ValueError(f"it is not an X509SVIDResponse: {plain(str(error))}") from None
    if not sent.svids:
        raise ValueError("there is no identity")
    for many, most, noun in (
        (sent.svids, MAX_SVIDS, "SVIDs"),
        (sent.federated_bundles, MAX_BUNDLES, "federated bundles"),
        (sent.crl, MAX_CRLS, "CRLs"),
    ):
        if len(many) > most:
            raise ValueError(f"{len(many):,} {noun} are more than {most:,}")
    bundles = _Bundles()
    svids = tuple(_svid(each, number, bundles) for number, each in enumerate(sent.svids, 1))
    for key, der in sorted(sent.federated_bundles.items()):
        domain = key.removeprefix(_SCHEME)
        if not _TRUST_DOMAINS.fullmatch(domain):
            raise ValueError(f"a federated bundle is of {plain(key)}, which is no trust domain")
        if der:  # an empty one has no anchors: nobody of that trust domain is trusted
            bundles.add(domain, der)
    return Update(svids, bundles.contents, tuple(sent.crl))
