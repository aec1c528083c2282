"""What a certificate may be used for, and whether it can be parsed."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from veritls._explaining.diagnosis import Case, Finding, ordinal
from veritls._report.parsed_certificate import ParsedCertificate, general_name, oid_name, oid_words
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
    "signature_checks": "there are too many possible paths, with too many signatures to verify",
    "path_building": "there are too many possible paths",
    "name_comparisons": "the name constraints of its CAs need too many comparisons",
}

_WORK = "finding a path to a trust anchor would take too much work"


def purpose(case: Case) -> Finding | None:
    """Which certificate's extended key usage lacks the peer's purpose."""
    wanted, role = _PURPOSES[case.peer]
    for parsed in sorted(case.all, key=lambda each: each.anchor):
        usage = parsed.extension(x509.ExtendedKeyUsage)
        if usage is not None and wanted not in usage:
            held = listing([oid_name(each) for each in usage]) or "nothing"
            words = f"{case.name(parsed)} is not valid for {role}: its extended key usage is {held}"
            needed = f"one whose extended key usage includes {oid_name(wanted)}"
            return Finding(words, (case.replace(parsed, needed),))
    return None


def key_usage(case: Case) -> Finding | None:
    """What the key may be used for instead."""
    usage = case.leaf.extension(x509.KeyUsage)
    if usage is None:
        return None
    held = [name for attribute, name in _USAGES if getattr(usage, attribute)]
    whose = f"the key of {case.name(case.leaf)}"
    words = f"{whose} may not be used for TLS: its key usage is {listing(held, 9) or 'nothing'}"
    remedy = case.replace(case.leaf, "one whose key usage includes digitalSignature")
    return Finding(words, (remedy,))


def ca_as_leaf(case: Case) -> Finding | None:
    """A CA certificate in the place of the peer's own: in the wrong order, or alone."""
    leaf = case.leaf
    below = next((each for each in case.sent[1:] if each.raw_names[1] == leaf.raw_names[0]), None)
    if below is not None:
        words = f"the {case.peer} sent {leaf.label}, a CA certificate, before its own ({below.holder})"
        return Finding(words, (f"Put the certificate for {below.holder} first in the chain.",))
    words = f"the {case.peer} sent a CA certificate, {leaf.label}, as its own"
    return Finding(words, (case.replace(leaf, "one that is not a CA certificate (CA:FALSE)"),))


def leaf_as_ca(case: Case) -> Finding | None:
    """Which certificate issued another without being allowed to."""
    for lower, upper in sorted(case.possible_pairs, key=lambda pair: pair[1].anchor):
        usage = upper.extension(x509.KeyUsage)
        if upper.is_ca and (usage is None or usage.key_cert_sign):
            continue
        why = "it is not a CA certificate (no CA:TRUE)"
        if upper.is_ca:
            why = "its key usage lacks keyCertSign"
        words = f"{upper.label} issued {case.short(lower)}, but may not issue certificates: {why}"
        return Finding(words, (case.replace(lower, "one signed by a CA"),))
    return None


def path_length(case: Case) -> Finding | None:
    """Which CA allows how many CAs below it, and how many there are."""
    between = case.path[1:]
    for below, parsed in enumerate(between):
        allowed = parsed.path_length
        if allowed is not None and below > allowed:
            there = f"{'is' if below == 1 else 'are'} {counted(below, 'CA')}"
            limit = "no CA" if allowed == 0 else f"at most {counted(allowed, 'CA')}"
            words = (
                f"{case.name(parsed)} allows {limit} below it, "
                f"but there {there} between it and {case.leaf.holder}"
            )
            remedy = case.replace(case.leaf, f"one issued by {parsed.label} or a CA that it allows")
            return Finding(words, (remedy,))
    if len(case.request.chain) > _MOST_INTERMEDIATES:
        limit = f"at most {_MOST_INTERMEDIATES} intermediates are allowed"
        words = f"the chain of {case.leaf.holder} is too long: {limit}"
        return Finding(words, (case.replace(case.leaf, "one with a shorter chain"),))
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
                yield f"exclude {general_name(base)}, which covers {general_name(name)}"
        bases = [base for base in limits.permitted_subtrees or () if _under(name, base) is not None]
        if bases and not any(_under(name, base) for base in bases):
            allowed = listing([general_name(base) for base in bases])
            yield f"permit only {allowed}, not {general_name(name)}"
    kinds = (*(limits.permitted_subtrees or ()), *(limits.excluded_subtrees or ()))
    if any(isinstance(base, x509.DirectoryName) for base in kinds):
        yield "apply to distinguished names, which is not supported and so refused"


def name_constraint(case: Case) -> Finding | None:
    """Which CA's name constraints do not permit which name."""
    for index, upper in reversed(list(enumerate(case.path))):
        for lower in case.path[:index]:
            for words in _departures(upper, lower):
                remedy = case.replace(lower, f"one that {upper.label} may issue, or one of another CA")
                found = f"the name constraints of {case.name(upper)} {words}"
                return Finding(f"{found} (in the certificate of {case.short(lower)})", (remedy,))
    return None


def no_explicit_policy(case: Case) -> Finding | None:
    """Which CA demands a certificate policy that the path does not have."""
    for parsed in reversed(case.path[1:]):
        limits = parsed.extension(x509.PolicyConstraints)
        if limits is not None and limits.require_explicit_policy is not None:
            words = (
                f"{case.name(parsed)} demands a certificate policy, "
                f"but the path to {case.leaf.holder} has none that all its certificates share"
            )
            remedy = case.replace(case.leaf, "one with the certificate policy of the CAs above it")
            return Finding(words, (remedy,))
    return None


def critical_extension(case: Case) -> Finding | None:
    """Which extension, in which certificate."""
    for parsed in sorted(case.all, key=lambda each: each.anchor):
        for extension in parsed.extensions:
            if extension.critical and extension.oid.dotted_string not in _PROCESSED:
                what = oid_words(extension.oid)
                words = f"{case.name(parsed)} has an unsupported critical extension: {what}"
                return Finding(
                    words,
                    (case.replace(parsed, "one without that extension, or with it not critical"),),
                )
    return None


def _damage(parsed: ParsedCertificate) -> str:
    if len(parsed.der) > _LARGEST:
        return f"is too large: {len(parsed.der):,} bytes; at most {_LARGEST:,} are accepted"
    if "ExtraData" in parsed.problem:
        return "has trailing bytes"
    return "is truncated" if "ShortData" in parsed.problem else "is malformed and cannot be parsed"


def encoding(case: Case) -> Finding | None:
    """Which certificate cannot be parsed, and why."""
    for number, parsed in enumerate(case.sent):
        which = f"the {ordinal(number)} certificate that the {case.peer} sent"
        certificate = parsed.certificate
        if certificate is None or len(parsed.der) > _LARGEST:
            remedy = f"Have the {case.peer} send an intact certificate."
            return Finding(f"{which} {_damage(parsed)}", (remedy,))
        if case.refusal.detail == "certificate_version" and certificate.version is not x509.Version.v3:
            words = f"{case.name(parsed)} is an X.509 version 1 certificate, which only a trust anchor may be"
            return Finding(words, (case.replace(parsed, "one of version 3"),))
        try:
            list(certificate.extensions)
        except x509.DuplicateExtension as twice:
            words = f"{which} has the extension {oid_words(twice.oid)} twice"
            return Finding(words, (case.replace(parsed, "one that has the extension once"),))
        except Exception:
            words = f"{which} has an extension that cannot be parsed"
            return Finding(words, (case.replace(parsed, "one that is well formed"),))
    return None


def too_complex(case: Case) -> Finding | None:
    """Which limit was exceeded."""
    why = _LIMITS.get(case.refusal.detail, _WORK)
    words = f"{case.name(case.leaf)} was refused: {why}"
    remedy = f"Have the {case.peer} send only its own certificate and the intermediates above it."
    return Finding(words, (remedy,))
