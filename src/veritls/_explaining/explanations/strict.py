"""Departures from RFC 5280 that VERIFY_X509_STRICT does not let pass."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.parsed_certificate import ParsedCertificate
from veritls._report.rendering import plain

Departs = Callable[[ParsedCertificate, bool], bool]
"""Whether a certificate, which is the anchor or not, departs in that way."""


def _critical(reading: ParsedCertificate, kind: type[x509.ExtensionType]) -> bool | None:
    """Whether an extension is critical; None where it is not there."""
    return next((each.critical for each in reading.extensions if isinstance(each.value, kind)), None)


def _usage(reading: ParsedCertificate) -> x509.KeyUsage | None:
    return reading.extension(x509.KeyUsage)


def _signs(reading: ParsedCertificate) -> bool:
    usage = _usage(reading)
    return usage is not None and usage.key_cert_sign


def _no_usage(reading: ParsedCertificate) -> bool:
    usage = _usage(reading)
    if usage is None:
        return False
    return not (
        usage.digital_signature
        or usage.content_commitment
        or usage.key_encipherment
        or usage.data_encipherment
        or usage.key_agreement
        or usage.key_cert_sign
        or usage.crl_sign
    )


def _names_no_signing_key(reading: ParsedCertificate, is_anchor: bool) -> bool:
    return not is_anchor and reading.signing_key_identifier is None


def _version_too_old(reading: ParsedCertificate, _: bool) -> bool:
    certificate = reading.certificate
    return certificate is not None and certificate.version is not x509.Version.v3


DEPARTURES: dict[str, tuple[str, Departs]] = {
    "strict_path_length_for_non_ca": (
        "limits the path below it without being an authority's",
        lambda each, _: each.path_length is not None and not each.is_authority,
    ),
    "strict_path_length_without_signing": (
        "limits the path below it, but its key usage lacks keyCertSign",
        lambda each, _: each.path_length is not None and _usage(each) is not None and not _signs(each),
    ),
    "strict_signing_for_non_ca": (
        "has the key usage keyCertSign without being an authority's",
        lambda each, _: _signs(each) and not each.is_authority,
    ),
    "strict_issuer_empty": ("does not name its issuer", lambda each, _: not each.issuer),
    "strict_subject_empty": (
        "has no subject, which an authority must have, and anybody without a subjectAltName",
        lambda each, _: not each.subject,
    ),
    "strict_authority_key_missing": ("lacks the extension authorityKeyIdentifier", _names_no_signing_key),
    "strict_subject_key_missing": (
        "lacks the extension subjectKeyIdentifier, which an authority must have",
        lambda each, _: each.is_authority and each.own_key_identifier is None,
    ),
    "strict_names_empty": (
        "has an empty subjectAltName",
        lambda each, _: not each.alternative and each.extension(x509.SubjectAlternativeName) is not None,
    ),
    "strict_names_not_critical": (
        "has no subject, so that its subjectAltName must be critical, and is not",
        lambda each, _: not each.subject and _critical(each, x509.SubjectAlternativeName) is False,
    ),
    "strict_constraints_not_critical": (
        "is an authority's, so that its basicConstraints must be critical, and are not",
        lambda each, _: each.is_authority and _critical(each, x509.BasicConstraints) is False,
    ),
    "strict_authority_key_critical": (
        "has a critical authorityKeyIdentifier, which must not be critical",
        lambda each, _: _critical(each, x509.AuthorityKeyIdentifier) is True,
    ),
    "strict_subject_key_critical": (
        "has a critical subjectKeyIdentifier, which must not be critical",
        lambda each, _: _critical(each, x509.SubjectKeyIdentifier) is True,
    ),
    "strict_ca_without_key_usage": (
        "is an authority's and lacks the extension keyUsage",
        lambda each, _: each.is_authority and _usage(each) is None,
    ),
    "strict_extensions_need_v3": ("has extensions without being of version 3", _version_too_old),
    "strict_key_usage_empty": ("has a keyUsage without any use", lambda each, _: _no_usage(each)),
    "strict_name_constraints_for_non_ca": (
        "has nameConstraints without being an authority's",
        lambda each, _: not each.is_authority and each.extension(x509.NameConstraints) is not None,
    ),
    "strict_serial_number": (
        "has a serial number that is not positive or longer than 20 octets",
        lambda each, _: not 0 < int(each.serial or "1", 16) < 1 << 159,
    ),
}
"""Kind -> what is wrong, and how to find the certificate with which it is wrong."""

SOMEWHERE = {
    "strict_algorithms_differ": "names two different signature algorithms",
    "strict_authority_key_mismatch": "says that another key signed it than that of its issuer",
    "strict_authority_serial_mismatch": "says that another certificate of its issuer signed it",
    "strict_authority_key_incomplete": (
        "has an authorityKeyIdentifier with an issuer or a serial number alone"
    ),
    "strict_extension_invalid": "has an extension twice, or one that cannot be read",
    "strict_criticality": "has an extension that is critical and may not be, or is not and has to be",
    "strict_name_constraints_empty": "has nameConstraints without any name",
    "strict_name_constraint_form": "has nameConstraints with a name that is not of the form of its kind",
    "strict_name_form": "has a name that is not of the form of its kind",
    "strict_key": "has a key of a kind or size with which no TLS peer can sign",
    "strict_authority_key": "has a key of a kind or size that is too weak to sign others",
    "strict_list_number": "has a revocation list without a number, or with one that is critical",
}
"""Kind -> what is wrong, where the certificate is not looked for."""

_STRICT = "(RFC 5280; VERIFY_X509_STRICT)"


def departure(case: Case) -> Finding | None:
    """Which certificate departs from the profile, and in what."""
    kind, detail = case.refusal.kind, plain(case.refusal.detail)
    softer = "Or do without VERIFY_X509_STRICT (verify_flags), if you cannot change it."
    if kind in SOMEWHERE:
        return Finding(f"{case.who(case.leaf)} or one above it {SOMEWHERE[kind]} {_STRICT}", None, (softer,))
    if kind not in DEPARTURES:
        about = kind.removeprefix("strict_").replace("_", " ")
        words = f"{case.who(case.leaf)} or one above it was refused: {about}; {detail}"
        return Finding(words, None, (softer,))
    what, departs = DEPARTURES[kind]
    for index, reading in enumerate(case.path):
        if departs(reading, index + 1 == len(case.path)):
            remedy = case.replace(reading, "one that keeps to the profile")
            return Finding(f"{case.who(reading)} {what} {_STRICT}", reading.der, (remedy, softer))
    return Finding(f"{case.who(case.leaf)} or one above it {what} {_STRICT}", None, (softer,))
