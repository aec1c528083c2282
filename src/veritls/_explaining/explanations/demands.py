"""What a context demands beyond a valid path: stapled OCSP, allowed_peers, pinned_keys, the callback."""

from __future__ import annotations

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.rendering import moment, moment_of, plain

_LONGEST = 500
_OCSP = {
    "ocsp_foreign": "is for another certificate",
    "ocsp_signature": "has no valid signature",
    "ocsp_invalid": "cannot be used",
}


def _words(case: Case) -> str:
    return plain(case.refusal.detail, _LONGEST)


def spiffe_id(case: Case) -> Finding | None:
    """Why the certificate has no SPIFFE ID."""
    words = f"{case.name(case.leaf)} does not have exactly one SPIFFE ID: {_words(case)}"
    return Finding(words, (case.replace(case.leaf, "an X509-SVID"),))


def trust_domain(case: Case) -> Finding | None:
    """The certificate's SPIFFE ID, and the trust domains that have anchors."""
    words = f"there are no trust anchors for the trust domain of {case.name(case.leaf)} ({_words(case)})"
    remedy = "If you trust this trust domain, add its bundle to spiffe_bundles."
    return Finding(words, (remedy,))


def not_allowed(case: Case) -> Finding | None:
    """The certificate's names, and those that are allowed."""
    words = f"{case.name(case.leaf)} matches none of allowed_peers ({_words(case)})"
    remedy = f"If this {case.peer} should be allowed, add its name to allowed_peers."
    return Finding(words, (remedy,))


def not_pinned(case: Case) -> Finding | None:
    """The keys in the path, and those that are pinned."""
    words = f"no key in the path of {case.name(case.leaf)} is in pinned_keys ({_words(case)})"
    remedy = f"If the {case.peer} has a new key, make sure that it is genuine, then add it to pinned_keys."
    return Finding(words, (remedy,))


def callback(case: Case) -> Finding | None:
    """What the verify callback raised."""
    words = f"the verify callback refused {case.name(case.leaf)}: {_words(case)}"
    return Finding(words, ("See the exception of the callback (__cause__).",))


def ocsp(case: Case) -> Finding | None:
    """What is wrong with the OCSP response, or what it says."""
    kind, certificate = case.refusal.kind, case.name(case.leaf)
    stapled = f"the OCSP response that the {case.peer} stapled to {certificate}"
    renew = (f"Have the {case.peer} fetch a new OCSP response from its CA and staple it.",)
    bound = moment_of(case.refusal.bound) if case.refusal.bound is not None else None
    if kind == "ocsp_missing":
        words = f"the {case.peer} stapled no OCSP response to {certificate}, but one is required"
        return Finding(words, renew)
    if kind == "ocsp_revoked":
        words = f"{certificate} was revoked, according to the OCSP response that the {case.peer} stapled"
        return Finding(words, (case.replace(case.leaf, "one that is not revoked"),))
    if kind == "ocsp_unknown":
        return Finding(f"{stapled} says that its issuer does not know the certificate", renew)
    if kind == "ocsp_expired" and bound is not None:
        words = f"{stapled} expired {case.ago(case.request.at - bound)} ({moment(bound)})"
        return Finding(words, renew)
    if kind == "ocsp_not_yet_valid" and bound is not None:
        start = f"{case.ahead(bound - case.request.at)} ({moment(bound)})"
        words = f"{stapled} is not valid yet: it becomes valid {start}"
        return Finding(words, renew)
    what = _OCSP.get(kind, "was not accepted")
    return Finding(f"{stapled} {what}: {_words(case)}", renew)
