"""What a certificate may be used for, and whether it can be read."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from veritls._explaining.diagnosis import Case, Finding, ordinal
from veritls._report.parsed_certificate import ParsedCertificate, general_name, oid_words
from veritls._report.rendering import counted, listing

_PROCESSED = {"2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"}
"""The extensions that the engine processes, so that they may be critical."""
_MOST_INTERMEDIATES = 6
_LARGEST = 0xFFFF
_MOST_COMPARISONS = 500
"""Names with constraints, to find the one that departs: refusing has to stay cheap."""
_PURPOSES = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH, "servers"),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH, "clients"),
}
_USAGES = (
    ("digital_signature", "digitalSignature"),
    ("content_commitment", "nonRepudiation"),
    ("key_encipherment", "keyEncipherment"),
    ("data_encipherment", "dataEncipherment"),
    ("key_agreement", "keyAgreement"),
    ("key_cert_sign", "keyCertSign"),
    ("crl_sign", "cRLSign"),
)
_LIMITS = {
    "signature_checks": "there are too many ways up from it, with too many signatures",
    "path_building": "there are too many ways up from it",
    "name_comparisons": "its authorities limit too many names to compare them all",
}

_WORK = "to find a way from it to the trust set would take more work than any chain in order does"


def purpose(case: Case) -> Finding | None:
    """Whose extended key usage does not hold what the peer does."""
    wanted, whom = _PURPOSES[case.peer]
    for reading in sorted(case.all, key=lambda each: each.anchor):
        usage = reading.extension(x509.ExtendedKeyUsage)
        if usage is not None and wanted not in usage:
            held = listing([oid_words(each).split(" (")[0] for each in usage]) or "nothing"
            words = f"{case.who(reading)} is not for {whom}: its extended key usage is {held}"
            needed = f"one whose extended key usage holds {oid_words(wanted).split(' (')[0]}"
            return Finding(words, reading.der, (case.replace(reading, needed),))
    return None


def key_usage(case: Case) -> Finding | None:
    """What its key may do instead."""
    usage = case.leaf.extension(x509.KeyUsage)
    if usage is None:
        return None
    held = [name for attribute, name in _USAGES if getattr(usage, attribute)]
    whose = f"the key of {case.who(case.leaf)}"
    words = f"{whose} may not be used for TLS: its key usage is {listing(held, 9) or 'nothing'}"
    remedy = case.replace(case.leaf, "one whose key usage holds digitalSignature")
    return Finding(words, case.leaf.der, (remedy,))


def ca_as_leaf(case: Case) -> Finding | None:
    """Whether it is merely the wrong one that came first."""
    leaf = case.leaf
    below = next((each for each in case.sent[1:] if each.raw_names[1] == leaf.raw_names[0]), None)
    if below is not None:
        words = (
            f"the {case.peer} sent {leaf.label}, the certificate of an authority, "
            f"before its own ({below.holder})"
        )
        return Finding(words, leaf.der, (f"Put the certificate for {below.holder} first in the chain.",))
    words = f"the {case.peer} sent the certificate of an authority, {leaf.label}, as its own"
    return Finding(words, leaf.der, (case.replace(leaf, "one that is not an authority's (CA:FALSE)"),))


def leaf_as_ca(case: Case) -> Finding | None:
    """Who signed without being allowed to."""
    for lower, upper in sorted(case.possible_pairs, key=lambda pair: pair[1].anchor):
        usage = upper.extension(x509.KeyUsage)
        if upper.is_authority and (usage is None or usage.key_cert_sign):
            continue
        why = "it is no authority (no CA:TRUE)"
        if upper.is_authority:
            why = "its key usage lacks keyCertSign"
        words = f"{upper.label} signed {case.short(lower)}, but may not sign others: {why}"
        return Finding(words, upper.der, (case.replace(lower, "one that an authority signed"),))
    return None


def path_length(case: Case) -> Finding | None:
    """Who allows how many below it, and how many there are."""
    between = case.path[1:]
    for below, reading in enumerate(between):
        allowed = reading.path_length
        if allowed is not None and below > allowed:
            there = counted(below, "authority").replace("authoritys", "authorities")
            limit = "no authority" if allowed == 0 else f"at most {allowed}"
            words = (
                f"{case.who(reading)} allows {limit} below it, "
                f"but {there} stand{'s' if below == 1 else ''} between it and {case.leaf.holder}"
            )
            remedy = case.replace(case.leaf, f"one that {reading.label} or an authority it allows signed")
            return Finding(words, reading.der, (remedy,))
    if len(case.request.chain) > _MOST_INTERMEDIATES:
        words = (
            f"the chain of {case.leaf.holder} is too long: at most {_MOST_INTERMEDIATES} intermediates count"
        )
        return Finding(words, None, (case.replace(case.leaf, "one with a shorter chain"),))
    return None


def _under(name: x509.GeneralName, base: x509.GeneralName) -> bool | None:
    """Whether `name` is in the subtree; None where they are of different kinds."""
    match name, base:
        case x509.DNSName(), x509.DNSName():
            stem = base.value.lower().lstrip(".")
            return not stem or f".{name.value.lower()}".endswith(f".{stem}")
        case x509.IPAddress(), x509.IPAddress():
            return name.value in base.value  # type: ignore[operator]
        case _:
            return False if type(name) is type(base) else None


def _departures(upper: ParsedCertificate, lower: ParsedCertificate) -> Iterator[str]:
    limits = upper.extension(x509.NameConstraints)
    if limits is None:
        return
    count = len(limits.permitted_subtrees or ()) + len(limits.excluded_subtrees or ())
    for name in lower.alternative[: _MOST_COMPARISONS // max(count, 1)]:
        for base in limits.excluded_subtrees or ():
            if _under(name, base):
                yield f"is not allowed to speak for {general_name(base)}, which covers {general_name(name)}"
        bases = [base for base in limits.permitted_subtrees or () if _under(name, base) is not None]
        if bases and not any(_under(name, base) for base in bases):
            allowed = listing([general_name(base) for base in bases])
            yield f"may speak for {allowed} only, and not for {general_name(name)}"
    kinds = (*(limits.permitted_subtrees or ()), *(limits.excluded_subtrees or ()))
    if any(isinstance(base, x509.DirectoryName) for base in kinds):
        yield "limits distinguished names, which this engine does not process and so refuses"


def name_constraint(case: Case) -> Finding | None:
    """Which authority may not speak for which name."""
    for index, upper in reversed(list(enumerate(case.path))):
        for lower in case.path[:index]:
            for words in _departures(upper, lower):
                remedy = case.replace(lower, f"one that {upper.label} may issue, or of another authority")
                return Finding(f"{case.who(upper)} {words} ({case.short(lower)})", upper.der, (remedy,))
    return None


def critical_extension(case: Case) -> Finding | None:
    """Which extension, in which certificate."""
    for reading in sorted(case.all, key=lambda each: each.anchor):
        for extension in reading.extensions:
            if extension.critical and extension.oid.dotted_string not in _PROCESSED:
                what = oid_words(extension.oid)
                words = f"{case.who(reading)} has a critical extension that is not processed: {what}"
                return Finding(
                    words, reading.der, (case.replace(reading, "one without it, or with it not critical"),)
                )
    return None


def _damage(reading: ParsedCertificate) -> str:
    if len(reading.der) > _LARGEST:
        return f"is too large: {len(reading.der):,} bytes; up to {_LARGEST:,} are read"
    if "ExtraData" in reading.problem:
        return "has bytes after its end"
    return "ends too early" if "ShortData" in reading.problem else "is damaged and cannot be read"


def encoding(case: Case) -> Finding | None:
    """Which one cannot be read, and what of it."""
    for number, reading in enumerate(case.sent):
        which = f"the {ordinal(number)} certificate that the {case.peer} sent"
        certificate = reading.certificate
        if certificate is None or len(reading.der) > _LARGEST:
            remedy = f"Have the {case.peer} send it undamaged."
            return Finding(f"{which} {_damage(reading)}", reading.der, (remedy,))
        if case.refusal.detail == "certificate_version" and certificate.version is not x509.Version.v3:
            words = f"{case.who(reading)} is of X.509 version 1, which only a trusted authority may be"
            return Finding(words, reading.der, (case.replace(reading, "one of version 3"),))
        try:
            list(certificate.extensions)
        except x509.DuplicateExtension as twice:
            words = f"{which} has the extension {oid_words(twice.oid)} twice"
            return Finding(words, reading.der, (case.replace(reading, "one that has it once"),))
        except Exception:
            words = f"{which} has an extension that cannot be read"
            return Finding(words, reading.der, (case.replace(reading, "one that is not damaged"),))
    return None


def too_complex(case: Case) -> Finding | None:
    """What there is too much of."""
    why = _LIMITS.get(case.refusal.detail, _WORK)
    words = f"{case.who(case.leaf)} was refused: {why}"
    remedy = f"Have the {case.peer} send its own certificate and those above it only."
    return Finding(words, case.leaf.der, (remedy,))
