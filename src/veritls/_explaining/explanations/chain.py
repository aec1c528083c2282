"""Nobody whom we trust vouches for the peer."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.parsed_certificate import ParsedCertificate, general_name
from veritls._report.rendering import counted


def _place(reading: ParsedCertificate) -> str:
    """Where its issuer's certificate can be had, if it says so (RFC 5280, section 4.2.2.1)."""
    for each in reading.extension(x509.AuthorityInformationAccess) or ():
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS:
            return f" (the place to get it that {reading.label} names: {general_name(each.access_location)})"
    return ""


def _way_down(case: Case) -> str:
    """ "CN=R11, which signed api.internal": from whom nobody vouches for down to the peer."""
    links = [f"which signed {reading.label}" for reading in reversed(case.path[1:])]
    return ", ".join([case.path[-1].issuer_label, *links, f"which signed {case.leaf.holder}"])


def _unread(case: Case) -> str:
    """What of the system's trust could not be read."""
    return f" ({'; '.join(case.refusal.unread)})" if case.refusal.unread else ""


def _empty(case: Case) -> str:
    return f"; the trust set holds no authority{_unread(case)}" if case.refusal.anchors == 0 else ""


def _system(case: Case) -> tuple[str, ...]:
    """What to do where the system's trust was wanted and could not be read."""
    if not case.refusal.unread:
        return ()
    told = f"Not all that the system trusts could be read{_unread(case)}."
    install = (
        "Install the system's certificates (the package ca-certificates), or name a file that holds them "
    )
    install += "(SSL_CERT_FILE, load_verify_locations)."
    return (install,) if case.refusal.anchors == 0 else (told, install)


def _same_name(case: Case, reading: ParsedCertificate) -> str:
    if any(each.raw_names[0] == reading.raw_names[0] for each in case.trusted):
        return ", which holds another one of the same name"
    return ""


def unknown_issuer(case: Case) -> Finding | None:
    """How far the way up goes, and who is missing."""
    if case.leaf.certificate is None:
        return None
    top, issuer, down = case.path[-1], case.path[-1].issuer_label, _way_down(case)
    load = f"If you trust {issuer} as an authority, load its certificate (load_verify_locations)."
    if case.refusal.anchors == 0:
        words = f"the trust set holds no authority{_unread(case)}, so nobody vouches for {down}"
        system = _system(case) or ("Or trust what the system trusts (load_default_certs).",)
        return Finding(words, top.der, (load, *system))
    if top.source == "trust set":
        words = (
            f"{top.label}, which signed {case.short(case.path[-2])}, is in the trust set, "
            f"but only authorities that signed themselves count there, and {issuer} is missing"
        )
        partial = f"Or let {top.label} count by itself (verify_flags: VERIFY_X509_PARTIAL_CHAIN)."
        return Finding(words, top.der, (load, partial))
    if len(case.path) > 1:
        return Finding(f"the trust set does not hold {down}", top.der, (load, *_system(case)))
    words = f"no certificate in the trust set signed {down}"
    send = f"Have the {case.peer} send the certificate of {issuer} after its own{_place(top)}."
    if len(case.request.chain) == 1:
        return Finding(f"{words}; the {case.peer} did not send an intermediate", top.der, (send, load))
    others = counted(len(case.request.chain) - 1, "other certificate")
    words = f"{words}; the {case.peer} sent {others}, but not that of {issuer}"
    return Finding(words, top.der, (send, load, *_system(case)))


def self_signed(case: Case) -> Finding | None:
    """The peer vouches for itself only."""
    leaf = case.leaf
    words = (
        f"{case.who(leaf)} signed itself and is not in the trust set{_same_name(case, leaf)}{_empty(case)}"
    )
    trust = (
        f"If this is the {case.peer} that you mean, load exactly this certificate (load_verify_locations); "
        f"its SHA-256 fingerprint is {leaf.fingerprint}."
    )
    return Finding(
        words, leaf.der, (trust, case.replace(leaf, "one that an authority signed"), *_system(case))
    )


def self_signed_in_chain(case: Case) -> Finding | None:
    """The chain is whole, its authority unknown."""
    for reading in case.all[1:]:
        if reading.self_issued and not reading.anchor:
            words = (
                f"the chain of {case.leaf.holder} ends in {reading.label}, which signed itself "
                f"and is not in the trust set{_same_name(case, reading)}{_empty(case)}"
            )
            load = (
                f"If you trust {reading.label} as an authority, load its certificate "
                f"(load_verify_locations); its SHA-256 fingerprint is {reading.fingerprint}."
            )
            return Finding(words, reading.der, (load, *_system(case)))
    return None
