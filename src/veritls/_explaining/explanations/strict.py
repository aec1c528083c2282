"""Departures from RFC 5280 that VERIFY_X509_STRICT refuses."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.parsed_certificate import ParsedCertificate
from veritls._report.rendering import plain

Departs = Callable[[ParsedCertificate, bool], bool]
"""Whether a certificate (True: it is the anchor) departs in that way."""


def _critical(parsed: ParsedCertificate, kind: type[x509.ExtensionType]) -> bool | None:
    """Whether an extension is critical; None where it is not there."""
    return next((each.critical for each in parsed.extensions if isinstance(each.value, kind)), None)


def _usage(parsed: ParsedCertificate) -> x509.KeyUsage | None:
    return parsed.extension(x509.KeyUsage)


def _signs(parsed: ParsedCertificate) -> bool:
    usage = _usage(parsed)
    return usage is not None and usage.key_cert_sign


def _no_usage(parsed: ParsedCertificate) -> bool:
    usage = _usage(parsed)
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


def _names_no_signing_key(parsed: ParsedCertificate, is_anchor: bool) -> bool:
    return not is_anchor and parsed.signing_key_identifier is None


def _version_too_old(parsed: ParsedCertificate, _: bool) -> bool:
    certificate = parsed.certificate
    return certificate is not None and certificate.version is not x509.Version.v3


DEPARTURES: dict[str, tuple[str, Departs]] = {
    "strict_path_length_for_non_ca": (
        "has a path length constraint, but is not a CA certificate",
        lambda each, _: each.path_length is not None and not each.is_ca,
    ),
    "strict_path_length_without_signing": (
        "has a path length constraint, but its key usage lacks keyCertSign",
        lambda each, _: each.path_length is not None and _usage(each) is not None and not _signs(each),
    ),
    "strict_signing_for_non_ca": (
        "has the key usage keyCertSign, but is not a CA certificate",
        lambda each, _: _signs(each) and not each.is_ca,
    ),
    "strict_issuer_empty": ("does not name its issuer", lambda each, _: not each.issuer),
    "strict_subject_empty": (
        "has no subject, which a CA certificate and one without a subjectAltName must have",
        lambda each, _: not each.subject,
    ),
    "strict_authority_key_missing": ("lacks the extension authorityKeyIdentifier", _names_no_signing_key),
    "strict_subject_key_missing": (
        "lacks the extension subjectKeyIdentifier, which a CA certificate must have",
        lambda each, _: each.is_ca and each.own_key_identifier is None,
    ),
    "strict_names_empty": (
        "has an empty subjectAltName",
        lambda each, _: not each.alternative and each.extension(x509.SubjectAlternativeName) is not None,
    ),
    "strict_names_not_critical": (
        "has no subject, so its subjectAltName must be critical, but is not",
        lambda each, _: not each.subject and _critical(each, x509.SubjectAlternativeName) is False,
    ),
    "strict_constraints_not_critical": (
        "is a CA certificate, so its basicConstraints must be critical, but are not",
        lambda each, _: each.is_ca and _critical(each, x509.BasicConstraints) is False,
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
        "is a CA certificate, but lacks the extension keyUsage",
        lambda each, _: each.is_ca and _usage(each) is None,
    ),
    "strict_extensions_need_v3": (
        "has extensions, but is not an X.509 version 3 certificate",
        _version_too_old,
    ),
    "strict_key_usage_empty": ("has an empty keyUsage", lambda each, _: _no_usage(each)),
    "strict_name_constraints_for_non_ca": (
        "has nameConstraints, but is not a CA certificate",
        lambda each, _: not each.is_ca and each.extension(x509.NameConstraints) is not None,
    ),
    "strict_serial_number": (
        "has a serial number that is not positive, or is longer than 20 octets",
        lambda each, _: not 0 < int(each.serial or "1", 16) < 1 << 159,
    ),
}
"""Kind -> what is wrong, and how to find the certificate."""

SOMEWHERE = {
    "strict_algorithms_differ": "names two different signature algorithms",
    "strict_authority_key_mismatch": "has an authorityKeyIdentifier with a key not its issuer's",
    "strict_authority_serial_mismatch": "has an authorityKeyIdentifier with a serial number not its issuer's",
    "strict_authority_key_incomplete": (
        "has an authorityKeyIdentifier with an issuer but no serial number, or the reverse"
    ),
    "strict_extension_invalid": "has an extension twice, or one that cannot be parsed",
    "strict_criticality": "has an extension that must not be critical but is, or must be but is not",
    "strict_name_constraints_empty": "has empty nameConstraints",
    "strict_name_constraint_form": "has nameConstraints with a malformed name",
    "strict_name_form": "has a malformed name",
    "strict_key": "has a key of a type or size that cannot sign TLS handshakes",
    "strict_authority_key": "has a key of a type or size that is too weak for a CA",
    "strict_list_number": "has a CRL without a CRL number, or with a critical one",
}
"""Kind -> what is wrong, where the certificate is not determined."""

_STRICT = "(RFC 5280; VERIFY_X509_STRICT)"


def departure(case: Case) -> Finding | None:
    """Which certificate departs from the profile, and how."""
    kind, detail = case.refusal.kind, plain(case.refusal.detail)
    softer = "Or clear VERIFY_X509_STRICT in verify_flags, if the certificate cannot be replaced."
    if kind in SOMEWHERE:
        return Finding(f"{case.name(case.leaf)} or one above it {SOMEWHERE[kind]} {_STRICT}", (softer,))
    if kind not in DEPARTURES:
        about = kind.removeprefix("strict_").replace("_", " ")
        words = f"{case.name(case.leaf)} or one above it was refused: {about}; {detail}"
        return Finding(words, (softer,))
    what, departs = DEPARTURES[kind]
    for index, parsed in enumerate(case.path):
        if departs(parsed, index + 1 == len(case.path)):
            remedy = case.replace(parsed, "one that conforms to RFC 5280")
            return Finding(f"{case.name(parsed)} {what} {_STRICT}", (remedy, softer))
    return Finding(f"{case.name(case.leaf)} or one above it {what} {_STRICT}", (softer,))
