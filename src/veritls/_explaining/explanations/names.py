"""The certificate is for another name."""

from __future__ import annotations

from functools import partial

from cryptography import x509

from veritls._explaining.diagnosis import Case, Finding
from veritls._explaining.engine_words import name_words
from veritls._report.parsed_certificate import MOST_NAMES, ParsedCertificate, attempt, is_address
from veritls._report.rendering import listing, plain


def _common_names(leaf: ParsedCertificate) -> list[str]:
    if leaf.certificate is None:
        return []
    found = leaf.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return [plain(str(each.value)) for each in found]


def _names(case: Case) -> tuple[str, ...]:
    """The first names that the certificate is for; from the engine where it cannot be parsed here."""
    if case.leaf.names:
        return case.leaf.names
    return tuple(plain(name_words(each)) for each in case.refusal.presented[:MOST_NAMES])


def _listing(case: Case, names: tuple[str, ...]) -> str:
    """The first of them, and how many there are besides."""
    return listing(names, more=case.leaf.names_left_out)


def _dns_names(leaf: ParsedCertificate) -> list[str]:
    names = () if leaf.large else leaf.alternative
    return [each.value for each in names if isinstance(each, x509.DNSName)]


def _too_deep(name: str, names: tuple[str, ...]) -> bool:
    """Whether a wildcard would match if * matched several labels (RFC 9525, section 6.3)."""
    wildcards = (each[1:].lower() for each in names if each.startswith("*."))
    return any(name.lower().endswith(each) and name.count(".") > each.count(".") for each in wildcards)


def name(case: Case) -> Finding | None:
    """The requested name, and the names in the certificate."""
    asked, leaf = case.request.server_hostname, case.leaf
    if asked is None:
        return None
    names, address = _names(case), is_address(asked)
    begin = f"the requested {'address' if address else 'name'} is {plain(asked)}"
    connect = f"Connect to the {case.peer} with a name that is in its certificate (server_hostname)."
    issue = case.replace(leaf, f"one whose subjectAltName contains {plain(asked)}")
    if not names and leaf.is_ca:
        words = f"{begin}, but the {case.peer} sent a CA certificate, {leaf.label}, as its own"
        return Finding(words, (f"Have the {case.peer} send its own certificate first.",))
    if not names:
        common: list[str] = attempt(partial(_common_names, leaf), [])
        held = f"only the common name {common[-1]}, which is not used" if common else "no name at all"
        words = f"{begin}, but the certificate contains {held} (there is no subjectAltName)"
        return Finding(words, (issue,))
    words = f"{begin}, but the certificate is for {_listing(case, names)}"
    if address and asked in _dns_names(leaf):
        words = f"{begin}, but the certificate contains it as a DNS name, not as an IP address"
        return Finding(words, (issue,))
    if _too_deep(asked, names) or f"*.{asked.lower()}" in [each.lower() for each in names]:
        words = f"{words}, and * matches exactly one label"
    return Finding(words, (connect, issue))
