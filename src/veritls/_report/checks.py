"""The checks that a chain goes through, in their order, as data.

The report, the picture in docs/verification.md and the tests are made from this table. What the engine
refuses bears a kind; the table says which check that kind belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "not checked"]
Stage = Literal["path", "path found"]
"""Whether a check is part of the search for a path, or is made on the one that was found."""


@dataclass(frozen=True)
class Step:
    """One check. `kinds`: what the engine calls a failure of it; one that ends in "*" stands for a family."""

    name: str
    asks: str
    kinds: tuple[str, ...]
    stage: Stage
    asked_by: str | None = None
    """The field of `veritls.report.Request` that asks for it; None where it is always made."""
    switch: str = ""
    """What turns it on."""


STEPS = (
    Step("encoding", "Can every certificate be read?", ("encoding", "critical_extension"), "path"),
    Step("validity", "Is every certificate valid at that time?", ("expired", "not_yet_valid"), "path"),
    Step(
        "authority",
        "Is the first certificate a peer's, and may every other sign?",
        ("ca_as_leaf", "leaf_as_ca"),
        "path",
    ),
    Step("path length", "Does every authority allow as many below it?", ("path_length",), "path"),
    Step("purpose", "May it be used by a server, or by a client?", ("purpose", "key_usage"), "path"),
    Step(
        "chain",
        "Does it lead to a certificate of the trust set?",
        ("unknown_issuer", "self_signed", "self_signed_in_chain", "too_complex"),
        "path",
    ),
    Step("signature", "Did each really sign the one below it?", ("signature", "algorithm"), "path"),
    Step(
        "revocation",
        "Do the revocation lists say that none was revoked?",
        ("revoked", "revocation_*", "list_signer"),
        "path",
        "revocation",
        "verify_flags: VERIFY_CRL_CHECK_LEAF or VERIFY_CRL_CHECK_CHAIN",
    ),
    Step(
        "name constraints",
        "May every authority speak for the names below it?",
        ("name_constraint",),
        "path",
    ),
    Step(
        "strict profile",
        "Does every certificate keep to RFC 5280?",
        ("strict_*",),
        "path",
        "strict",
        "verify_flags: VERIFY_X509_STRICT",
    ),
    Step(
        "host name",
        "Is the certificate for the name that was asked for?",
        ("name",),
        "path found",
        "checked_name",
        "check_hostname, or verify_chain's server_hostname",
    ),
    Step(
        "stapled OCSP",
        "Does its issuer say just now that it was not revoked?",
        ("ocsp_*",),
        "path found",
        "ocsp",
        "must-staple, require_ocsp or a stapled response",
    ),
    Step(
        "allowed peers",
        "Is it one of the peers that are allowed?",
        ("not_allowed",),
        "path found",
        "allowed_peers",
        "allowed_peers",
    ),
    Step(
        "pinned keys",
        "Is a pinned key in the path?",
        ("not_pinned",),
        "path found",
        "pinned_keys",
        "pinned_keys",
    ),
    Step(
        "callback",
        "Does the program itself agree?",
        ("callback",),
        "path found",
        "callback",
        "set_verify_callback",
    ),
)
"""Every check, in the order in which it is made."""


def _covers(step: Step, kind: str) -> bool:
    return any(kind.startswith(each[:-1]) if each.endswith("*") else kind == each for each in step.kinds)


def step_of(kind: str) -> Step:
    """The check that a refusal of this kind failed; one of that name where the table has none."""
    for step in STEPS:
        if _covers(step, kind):
            return step
    return Step(kind.replace("_", " "), "", (kind,), "path")
