"""The texts of reports, as texts.toml expects them; `python -m tests.reports.texts` prints them anew.

A wording that changes on purpose changes in the code and in that file, and nowhere else.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID

import veritls
from tests.reports.broken import below, chain, leaf, middle, peer, root
from tests.reports.chains import CASES
from tests.support.certificates import DAY, NOW, Party, new_key, raw_names
from veritls._explaining import engine_words, explanation, failures
from veritls._explaining.explanations import strict
from veritls._explaining.reasons import ALERTS
from veritls._explaining.verify_errors import VERIFY_ERRORS
from veritls._report.request import Refusal, Request
from veritls.report import VerificationReport

FILE = Path(__file__).with_name("texts.toml")
EXPECTED: dict[str, dict[str, str | list[str]]] = tomllib.loads(FILE.read_text()) if FILE.exists() else {}

KINDS = sorted(
    {
        *VERIFY_ERRORS,
        *explanation.EXPLANATIONS,
        *explanation.GENERAL,
        *strict.DEPARTURES,
        *strict.SOMEWHERE,
    }
)
"""What a certificate may be refused for, by all the tables that have a text for it."""

_AT = NOW + 3 * DAY
_BOUND = int((_AT - 2 * DAY).timestamp())
_UNREAD = ("/etc/ssl/certs/bad.pem is damaged",)
_CHANGES = ((r"\b(?:[0-9A-F]{2}:?){20,}|\b[0-9a-f]{40,}", "<hex>"), (r"\d{4}-\d\d-\d\d \d\d:\d\d", "<date>"))


def steady(text: str) -> str:
    """A text without what is another in each run: fingerprints and times."""
    for pattern, name in _CHANGES:
        text = re.sub(pattern, name, text)
    return text


def refused(refusal: Refusal, *certificates: Party | bytes, **request: object) -> VerificationReport:
    """The report on a refusal as the engine could have made it."""
    asked: dict[str, Any] = {"purpose": "server", "at": _AT, "server_hostname": "db.internal", **request}
    return explanation.refused(Request(tuple(chain(*certificates)), **asked), refusal)


class Unshown(Exception):
    """What a program raises, and cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


def _accepted(**request: Any) -> VerificationReport:
    """The report on a peer that the engine trusts."""
    asked = Request(tuple(chain(leaf(), middle())), "server", _AT, "db.internal", **request)
    return explanation.accepted(asked, tuple(chain(leaf(), middle(), root())))


def _usual(kind: str, detail: str = "what the engine says", bound: int | None = None) -> VerificationReport:
    return refused(Refusal(kind, detail, bound, anchors=1), leaf(), middle())


def _with_a_place() -> Party:
    place = x509.UniformResourceIdentifier("http://example.com/r11.der")
    access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
    return below(place=x509.AuthorityInformationAccess([access]))


def _with_a_key_of_another_kind() -> Party:
    signer = new_key("RSA")
    assert isinstance(signer, rsa.RSAPrivateKey)
    return peer("leaf", middle(), signer=signer)


def _limited() -> Party:
    limits = x509.NameConstraints([x509.DirectoryName(root().name)], None)
    return Party("Limited", root(), ca=True, limits=limits)


def _below_the_limited() -> VerificationReport:
    upper = _limited()
    return refused(Refusal("name_constraint", anchors=1), peer("leaf", upper), upper)


def _of_several_crls() -> VerificationReport:
    above = ((root().der, True),)
    crls = ((True, None), (True, None))
    refusal = Refusal("revocation_list_expired", bound=_BOUND, anchors=1, above=above, crls=crls)
    return refused(refusal, leaf(), middle(), revocation="chain")


def _of_itself() -> Party:
    return peer("alone")


SITUATIONS: dict[str, Callable[[], VerificationReport]] = {
    "accepted": lambda: _accepted(),
    "accepted by one CA": lambda: explanation.accepted(
        Request((leaf().der,), "server", _AT, "db.internal"), tuple(chain(leaf(), middle()))
    ),
    "accepted by itself": lambda: explanation.accepted(
        Request((leaf().der,), "server", _AT, "db.internal"), (leaf().der,)
    ),
    "not verified": lambda: explanation.unverified(Request((leaf().der,), "server", _AT)),
    "no anchors": lambda: refused(Refusal("unknown_issuer", anchors=0), leaf()),
    "no anchors, the system's cannot be read": lambda: refused(
        Refusal("unknown_issuer", anchors=0, unread=_UNREAD), leaf()
    ),
    "not all anchors of the system can be read": lambda: refused(
        Refusal("unknown_issuer", anchors=3, unread=_UNREAD), leaf(), middle()
    ),
    "a place where the issuer can be had": lambda: refused(
        Refusal("unknown_issuer", anchors=1), _with_a_place()
    ),
    "self-signed, no anchors": lambda: refused(Refusal("self_signed", anchors=0), _of_itself()),
    "no SPIFFE ID": lambda: _usual("spiffe_id"),
    "an unknown trust domain": lambda: _usual("trust_domain"),
    "no anchor of the trust domain": lambda: refused(
        Refusal("unknown_issuer", anchors=1, trust_domain="a.example"), leaf()
    ),
    "no anchor of the trust domain, with others sent": lambda: refused(
        Refusal("unknown_issuer", anchors=1, trust_domain="a.example"), leaf(), middle()
    ),
    "self-signed, with a trust domain": lambda: refused(
        Refusal("self_signed", anchors=1, trust_domain="a.example"), _of_itself()
    ),
    "the end is an intermediate": lambda: refused(
        Refusal("unknown_issuer", anchors=1, above=((middle().der, False),), helping=(middle().der,)), leaf()
    ),
    "the end is a self-signed intermediate": lambda: refused(
        Refusal(
            "unknown_issuer",
            anchors=1,
            above=((middle().der, False), (root().der, False)),
            helping=(middle().der, root().der),
        ),
        leaf(),
    ),
    "not allowed": lambda: _usual("not_allowed"),
    "not pinned": lambda: _usual("not_pinned"),
    "callback": lambda: _usual("callback"),
    "OCSP missing": lambda: _usual("ocsp_missing"),
    "OCSP revoked": lambda: _usual("ocsp_revoked"),
    "OCSP unknown": lambda: _usual("ocsp_unknown"),
    "OCSP expired": lambda: _usual("ocsp_expired", bound=_BOUND),
    "OCSP not yet valid": lambda: _usual("ocsp_not_yet_valid", bound=int((_AT + 2 * DAY).timestamp())),
    "OCSP foreign": lambda: _usual("ocsp_foreign"),
    "OCSP signature": lambda: _usual("ocsp_signature"),
    "OCSP invalid": lambda: _usual("ocsp_invalid"),
    "OCSP of tomorrow": lambda: _usual("ocsp_of_tomorrow"),
    "revocation of a certificate trusted by itself": lambda: refused(
        Refusal("revocation_unknown", anchors=1, above=((leaf().der, True),)), leaf()
    ),
    "one of several CRLs expired": _of_several_crls,
    "CA signature algorithm and key differ": lambda: refused(
        Refusal("algorithm", anchors=1), _with_a_key_of_another_kind(), middle()
    ),
    "constraints of distinguished names": _below_the_limited,
    "too large": lambda: refused(Refusal("encoding", anchors=1), leaf().der.ljust(70_000, b"\0")),
    "an extension that cannot be read": lambda: refused(
        Refusal("encoding", anchors=1), below(san=raw_names(b"\xff\xff"))
    ),
    "too complex": lambda: _usual("too_complex"),
    "too many signatures": lambda: _usual("too_complex", "signature_checks"),
    "too many ways": lambda: _usual("too_complex", "path_building"),
    "too many names": lambda: _usual("too_complex", "name_comparisons"),
    "strict of tomorrow": lambda: _usual("strict_of_tomorrow"),
    "a certificate that holds no name": lambda: refused(
        Refusal("not_pinned", "its keys"), peer(x509.Name([]), middle(), names=())
    ),
    "a certificate that ends too early": lambda: refused(Refusal("encoding", anchors=1), leaf(), b"\x30"),
}
"""Refusals that no chain in `CASES` leads to, or not alone."""


def situation(name: str) -> list[str]:
    """The explanation of a situation, and what to do."""
    report = SITUATIONS[name]()
    return [steady(each) for each in (report.sentence, *report.remedies)]


CHECKS: dict[str, Callable[[], VerificationReport]] = {
    **{name: SITUATIONS[name] for name in ("accepted", "accepted by itself", "not verified", "no anchors")},
    "accepted by its trust domain": lambda: _accepted(by_trust_domain=True),
    "an unknown trust domain": lambda: refused(Refusal("trust_domain"), leaf(), by_trust_domain=True),
    "no anchor of the trust domain": lambda: refused(
        Refusal("unknown_issuer", anchors=1, trust_domain="a.example"), leaf(), by_trust_domain=True
    ),
    "accepted with CRLs": lambda: _accepted(revocation="chain"),
    "accepted with the leaf's CRL": lambda: _accepted(revocation="leaf"),
    "not allowed": lambda: refused(
        Refusal("not_allowed", "its names", path=(middle().der, root().der)), leaf(), middle()
    ),
}


def checks(name: str) -> list[str]:
    """What each check of a situation came to."""
    found = CHECKS[name]().checks
    return [steady(f"{each.name}, {each.verdict}: {each.evidence}") for each in found]


REJECTIONS: dict[str, dict[str, Any]] = {
    "not allowed": {
        "kind": "not_allowed",
        "presented": ["other", "IP ?", *(f"DNS host-{number}" for number in range(9))],
        "left_out": 2,
        "wanted": ["DNS a.example"],
    },
    "nothing presented": {"kind": "not_allowed"},
    "an unknown trust domain": {
        "kind": "trust_domain",
        "presented": ["spiffe://a.example/x"],
        "wanted": ["b.example"],
    },
    "no SPIFFE ID": {"kind": "spiffe_id", "detail": "several_uris"},
    "not pinned": {"kind": "not_pinned", "presented": ["aa"], "wanted": ["bb"]},
    "callback raised": {"kind": "callback", "cause": LookupError("unknown user")},
    "callback raised what cannot be shown": {"kind": "callback", "cause": Unshown()},
    "callback failed": {"kind": "callback", "detail": "shutting_down"},
    "strict": {"kind": "strict_key"},
    "ocsp by its kind": {"kind": "ocsp_unknown"},
    "ocsp by a detail": {"kind": "ocsp_invalid", "detail": "status: tryLater"},
    "another": {"kind": "other", "detail": "WhatTheEngineSays"},
}


def rejection(name: str) -> str:
    """What a refusal's explanation says of its details."""
    usual: dict[str, Any] = {"wanted": [], "presented": [], "left_out": 0, "cause": None, "detail": ""}
    given: Any = SimpleNamespace(**{**usual, **REJECTIONS[name]})
    return engine_words.refusal_words(given)


def kind(name: str) -> str:
    """The explanation of a refusal of this kind where nothing more could be found out."""
    return refused(Refusal(name), b"\x30").sentence


def remedies(name: str) -> list[str]:
    """What to do about one of the broken chains."""
    try:
        CASES[name]().verify()
    except veritls.SSLCertVerificationError as error:
        return [steady(each) for each in error.report.remedies]
    raise AssertionError(f"{name} is not refused")


def detail(code: str) -> str:
    """The words for one of the engine's codes, with what a library says where there is room for it."""
    said = ": what a library says" if "{}" in engine_words._DETAILS[code] else ""
    return engine_words.words(code + said)


UNEXPLAINED = "a refusal in a process that cannot read its code any more"
FAILURES: dict[str, dict[str, Any]] = {
    **{
        code: {"code": code}
        for code in (
            "want_read",
            "want_write",
            "timeout",
            "unexpected_eof",
            "closed",
            "hello_refused",
            "data_after_close",
            "bad_write_retry",
            "write_after_eof",
            "forked",
            "no_peer_certificate",
            "bad_record_mac",
            "key_mismatch",
        )
    },
    **{f"alert {number}": {"code": "alert_received", "alert": number} for number in (*ALERTS, 200)},
    **{f"incompatible: {it}": {"code": "incompatible", "detail": it} for it in failures._INCOMPATIBLE},
    **{
        f"callback running: {which}": {"code": "callback_running", "detail": which}
        for which in engine_words.CALLBACKS
    },
    **{
        f"unusable: {what}": {"code": "unusable", "what": what, "detail": "why"}
        for what in engine_words.THINGS
    },
    "not TLS but HTTP": {"code": "not_tls", "start": b"GET / HTTP/1.1"},
    "not TLS but SSH": {"code": "not_tls", "start": b"SSH-2.0"},
    "not TLS": {"code": "not_tls", "start": b""},
    "protocol": {"code": "protocol", "detail": "why"},
    "internal": {"code": "internal", "detail": "why"},
    UNEXPLAINED: {"code": "certificate", "rejection": SimpleNamespace(cause=None)},
}


def failure(name: str) -> str:
    """The exception for one of the engine's failures: its type and text."""
    given: Any = SimpleNamespace(**{"rejection": None, "detail": "", **FAILURES[name]})
    with mock.patch.dict(sys.modules, {"veritls._explaining.refusals": None} if name == UNEXPLAINED else {}):
        error = failures.exception_for(given)
    return f"{type(error).__name__}: {error.args[-1]}"


MADE: dict[str, tuple[list[str], Callable[[str], str | list[str]]]] = {
    "kinds": (KINDS, kind),
    "general": (list(explanation.GENERAL), explanation.GENERAL.__getitem__),
    "situations": (list(SITUATIONS), situation),
    "checks": (list(CHECKS), checks),
    "rejections": (list(REJECTIONS), rejection),
    "remedies": (list(CASES), remedies),
    "failures": (list(FAILURES), failure),
    "crls": (list(engine_words._CRLS), lambda name: engine_words.unusable("crl", name)),
    "details": (list(engine_words._DETAILS), detail),
    "things": (list(engine_words.THINGS), engine_words.THINGS.__getitem__),
    "callbacks": (list(engine_words.CALLBACKS), engine_words.CALLBACKS.__getitem__),
}
"""Section of texts.toml -> its keys, from the code's own tables, and how each text is made."""


def as_toml() -> str:
    lines = ["# The texts that users see; see texts.py."]
    for section, (keys, make) in MADE.items():
        lines += ["", f"[{section}]"]
        for key in keys:
            text = make(key)
            name = key if re.fullmatch(r"[\w-]+", key) else json.dumps(key)
            if isinstance(text, str):
                lines.append(f"{name} = {json.dumps(text)}")
            else:
                lines += [f"{name} = [", *(f"    {json.dumps(each)}," for each in text), "]"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_toml(), end="")
