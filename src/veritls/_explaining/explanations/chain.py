"""The chain does not lead to a trust anchor."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.parsed_certificate import ParsedCertificate, general_name
from veritls._report.rendering import counted


def _place(parsed: ParsedCertificate) -> str:
    """Where its issuer's certificate is published, if it says so (RFC 5280, section 4.2.2.1)."""
    for each in parsed.extension(x509.AuthorityInformationAccess) or ():
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS:
            return f" ({parsed.label} says where to get it: {general_name(each.access_location)})"
    return ""


def _way_down(case: Case) -> str:
    """ "CN=R11, which issued api.internal": from the missing issuer down to the peer."""
    links = [f"which issued {parsed.label}" for parsed in reversed(case.path[1:])]
    return ", ".join([case.path[-1].issuer_label, *links, f"which issued {case.leaf.holder}"])


def _unread(case: Case) -> str:
    """What of the system's trust could not be read."""
    return f" ({'; '.join(case.refusal.unread)})" if case.refusal.unread else ""


def _empty(case: Case) -> str:
    return f"; the trust set contains no trust anchors{_unread(case)}" if case.refusal.anchors == 0 else ""


def _system(case: Case) -> tuple[str, ...]:
    """What to do where the system's trust was loaded and could not be read."""
    if not case.refusal.unread:
        return ()
    told = f"Some of the system's trusted certificates could not be read{_unread(case)}."
    install = "Install the system's certificates (the package ca-certificates), or load them from a file "
    install += "(SSL_CERT_FILE, load_verify_locations)."
    return (install,) if case.refusal.anchors == 0 else (told, install)


def _where(case: Case) -> str:
    """What does not contain an issuer."""
    domain = case.refusal.trust_domain
    return "the trust set" if domain is None else f"the bundle of the trust domain {domain}"


def _load(case: Case) -> str:
    """What to do with the certificate that is missing."""
    if case.refusal.trust_domain is None:
        return "load its certificate (load_verify_locations)"
    return "add its certificate to the bundle (spiffe_bundles)"


def _same_name(case: Case, parsed: ParsedCertificate) -> str:
    if any(each.raw_names[0] == parsed.raw_names[0] for each in case.trusted):
        return ", which contains a different certificate with the same subject"
    return ""


def unknown_issuer(case: Case) -> Finding | None:
    """How far the chain leads, and which issuer is missing."""
    if case.leaf.certificate is None:
        return None
    top, issuer, down = case.path[-1], case.path[-1].issuer_label, _way_down(case)
    load = f"If you trust the CA {issuer}, {_load(case)}."
    if case.refusal.anchors == 0:
        words = f"the trust set contains no trust anchors{_unread(case)}; the chain leads to {down}"
        system = _system(case) or ("Or load the system's trusted certificates (load_default_certs).",)
        return Finding(words, (load, *system))
    if top.der in case.refusal.helping:
        missing = "" if top.self_issued else f"; its issuer {issuer} is missing"
        words = (
            f"{top.label}, which issued {case.short(case.path[-2])}, is an intermediate (load_intermediates) "
            f"and not a trust anchor{missing}"
        )
        return Finding(words, (load, *_system(case)))
    if top.source == "trust set":
        words = (
            f"{top.label}, which issued {case.short(case.path[-2])}, is in the trust set, "
            f"but is not self-signed and so is not a trust anchor; its issuer {issuer} is missing"
        )
        partial = f"Or accept {top.label} as a trust anchor (verify_flags: VERIFY_X509_PARTIAL_CHAIN)."
        return Finding(words, (load, partial))
    if len(case.path) > 1:
        return Finding(f"{down}, is not in {_where(case)}", (load, *_system(case)))
    words = f"the certificate of {down}, is missing: it is not in {_where(case)}"
    send = f"Have the {case.peer} send the certificate of {issuer} after its own{_place(top)}."
    if len(case.request.chain) == 1:
        return Finding(f"{words}, and the {case.peer} sent no intermediates", (send, load))
    others = counted(len(case.request.chain) - 1, "other certificate")
    words = f"{words}, nor among the {others} that the {case.peer} sent"
    return Finding(words, (send, load, *_system(case)))


def self_signed(case: Case) -> Finding | None:
    """The peer's certificate is self-signed."""
    leaf = case.leaf
    words = (
        f"{case.name(leaf)} is self-signed and not in {_where(case)}{_same_name(case, leaf)}{_empty(case)}"
    )
    if case.refusal.trust_domain is not None:
        return Finding(words, (case.replace(leaf, "one signed by a CA"),))
    trust = (
        f"If this is the right {case.peer}, load exactly this certificate (load_verify_locations); "
        f"its SHA-256 fingerprint is {leaf.fingerprint}."
    )
    return Finding(words, (trust, case.replace(leaf, "one signed by a CA"), *_system(case)))


def self_signed_in_chain(case: Case) -> Finding | None:
    """The chain is complete, but ends in a self-signed certificate that is not trusted."""
    for parsed in case.all[1:]:
        if parsed.self_issued and not parsed.anchor:
            words = (
                f"the chain of {case.leaf.holder} ends in {parsed.label}, which is self-signed "
                f"and not in {_where(case)}{_same_name(case, parsed)}{_empty(case)}"
            )
            fingerprint = f"its SHA-256 fingerprint is {parsed.fingerprint}"
            load = f"If you trust the CA {parsed.label}, {_load(case)}; {fingerprint}."
            return Finding(words, (load, *_system(case)))
    return None
