"""What a program demands beyond a good path: stapled OCSP, allowed peers, pinned keys, its callback."""

from __future__ import annotations

from veritls._explaining.diagnosis import Case, Finding
from veritls._report.rendering import moment, moment_of, plain

_LONGEST = 500
_OCSP = {
    "ocsp_foreign": "is about another certificate",
    "ocsp_signature": "was signed by somebody who may not speak for the issuer",
    "ocsp_invalid": "cannot be used",
}


def _words(case: Case) -> str:
    return plain(case.refusal.detail, _LONGEST)


def not_allowed(case: Case) -> Finding | None:
    """Who it is, and who would be allowed."""
    words = f"{case.who(case.leaf)} is not of an allowed peer ({_words(case)})"
    remedy = f"If the {case.peer} should be let in, add its name to allowed_peers."
    return Finding(words, case.leaf.der, (remedy,))


def not_pinned(case: Case) -> Finding | None:
    """Which keys are there, and which are pinned."""
    words = f"no key in the path of {case.who(case.leaf)} is pinned ({_words(case)})"
    remedy = f"If the {case.peer} has a new key, find out whether it is really its own, and pin that."
    return Finding(words, case.leaf.der, (remedy,))


def callback(case: Case) -> Finding | None:
    """What the program said."""
    words = f"the program refused {case.who(case.leaf)}: {_words(case)}"
    return Finding(words, case.leaf.der, ("See the exception that caused this one (__cause__).",))


def ocsp(case: Case) -> Finding | None:
    """What is wrong with the response, or what it says."""
    kind, who = case.refusal.kind, case.who(case.leaf)
    stapled = f"the OCSP response that the {case.peer} stapled to {who}"
    renew = (f"Have the {case.peer} fetch a new OCSP response from its issuer and staple that.",)
    bound = moment_of(case.refusal.bound) if case.refusal.bound is not None else None
    if kind == "ocsp_missing":
        words = f"the {case.peer} stapled no OCSP response to {who}, and one is demanded"
        return Finding(words, case.leaf.der, renew)
    if kind == "ocsp_revoked":
        words = f"{who} was revoked, says the OCSP response that the {case.peer} stapled"
        return Finding(words, case.leaf.der, (case.replace(case.leaf, "one that was not revoked"),))
    if kind == "ocsp_unknown":
        return Finding(f"{stapled} says that its issuer does not know it", case.leaf.der, renew)
    if kind == "ocsp_expired" and bound is not None:
        words = f"{stapled} expired {case.ago(case.request.at - bound)} ({moment(bound)})"
        return Finding(words, case.leaf.der, renew)
    if kind == "ocsp_not_yet_valid" and bound is not None:
        words = f"{stapled} becomes valid only {case.ahead(bound - case.request.at)} ({moment(bound)})"
        return Finding(words, case.leaf.der, renew)
    what = _OCSP.get(kind, "does not count")
    return Finding(f"{stapled} {what}: {_words(case)}", case.leaf.der, renew)
