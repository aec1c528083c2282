"""The checks that a chain goes through, in their order, as data.

The report, the picture in docs/verification.md and the tests are made from this table. A refusal of the
engine has a kind; the table says which check that kind belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CheckResult = Literal["passed", "failed", "not checked"]
NOT_ENABLED = "not enabled"
RUNS_LATER = "runs last, with this report"
"""How the evidence begins of a check that nobody asked for, or that comes after the report."""

UNKNOWN = "not known: path building ended"
NOT_REACHED = "not reached"
"""The evidence of the checks that another failure prevented: those of path building, and others."""

Stage = Literal["before", "path", "path found"]
"""Whether a check comes before path building, is part of it, or is made on the path that was found."""


@dataclass(frozen=True)
class Step:
    """One check. `kinds`: the engine's kinds of refusals by it; one that ends in "*" stands for a family."""

    name: str
    asks: str
    kinds: tuple[str, ...]
    stage: Stage
    asked_by: str | None = None
    """The field of `veritls.report.Request` that enables it; None where it is always made."""
    switch: str = ""
    """The setting that enables it."""


STEPS = (
    Step(
        "trust domain",
        "Does the certificate have one SPIFFE ID, of a trust domain that has anchors?",
        ("spiffe_id", "trust_domain"),
        "before",
        "by_trust_domain",
        "spiffe_bundles",
    ),
    Step("encoding", "Can every certificate be parsed?", ("encoding", "critical_extension"), "path"),
    Step("validity", "Is every certificate valid at that time?", ("expired", "not_yet_valid"), "path"),
    Step(
        "authority",
        "Is the first certificate not a CA's, and may every other issue certificates?",
        ("ca_as_leaf", "leaf_as_ca"),
        "path",
    ),
    Step("path length", "Does every CA allow the number of CAs below it?", ("path_length",), "path"),
    Step(
        "purpose",
        "May every certificate be used for a server, or for a client?",
        ("purpose", "key_usage"),
        "path",
    ),
    Step(
        "chain",
        "Does the chain lead to a certificate in the trust set?",
        ("unknown_issuer", "self_signed", "self_signed_in_chain", "too_complex"),
        "path",
    ),
    Step("signature", "Did each issuer sign the certificate below it?", ("signature", "algorithm"), "path"),
    Step(
        "revocation",
        "Do the CRLs show that no certificate is revoked?",
        ("revoked", "revocation_*", "list_signer"),
        "path",
        "revocation",
        "verify_flags: VERIFY_CRL_CHECK_LEAF or VERIFY_CRL_CHECK_CHAIN",
    ),
    Step(
        "name constraints",
        "Do the name constraints of every CA permit the names below it?",
        ("name_constraint",),
        "path",
    ),
    Step(
        "policies",
        "Where a CA demands a certificate policy, does the path have one?",
        ("no_explicit_policy",),
        "path",
    ),
    Step(
        "strict profile",
        "Does every certificate conform to RFC 5280?",
        ("strict_*",),
        "path",
        "strict",
        "verify_flags: VERIFY_X509_STRICT",
    ),
    Step(
        "host name",
        "Is the certificate for the requested name?",
        ("name",),
        "path found",
        "checked_name",
        "check_hostname, or verify_chain's server_hostname",
    ),
    Step(
        "allowed peers",
        "Does the certificate match one of allowed_peers?",
        ("not_allowed",),
        "path found",
        "allowed_peers",
        "allowed_peers",
    ),
    Step(
        "pinned keys",
        "Does the path contain a pinned key?",
        ("not_pinned",),
        "path found",
        "pinned_keys",
        "pinned_keys",
    ),
    Step(
        "stapled OCSP",
        "Does the stapled response say that the certificate is not revoked?",
        ("ocsp_*",),
        "path found",
        "ocsp",
        "must-staple, require_ocsp or a stapled response",
    ),
    Step(
        "callback",
        "Does the verify callback accept the peer?",
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
