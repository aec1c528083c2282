"""What a report says besides the result: the sentence, the remedies, the certificates, the checks.

The table of explanations is here: one for each kind of refusal, from which the sentence is made.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from veritls._explaining.diagnosis import Case, Explain, Finding
from veritls._explaining.evidence import of_accepted
from veritls._explaining.explanations import (
    chain,
    demands,
    names,
    revocation,
    rules,
    signature,
    strict,
    validity,
)
from veritls._report.checks import NOT_ENABLED, NOT_REACHED, RUNS_LATER, STEPS, UNKNOWN, Step, step_of
from veritls._report.parsed_certificate import ParsedCertificate, attempt
from veritls._report.rendering import listing, plain
from veritls._report.request import Refusal, Request
from veritls.report import Certificate, Check, Role, VerificationReport

EXPLANATIONS: dict[str, Explain] = {
    "expired": validity.expired,
    "not_yet_valid": validity.not_yet_valid,
    "unknown_issuer": chain.unknown_issuer,
    "self_signed": chain.self_signed,
    "self_signed_in_chain": chain.self_signed_in_chain,
    "signature": partial(signature.signature, self_signed=chain.self_signed),
    "algorithm": signature.algorithm,
    "purpose": rules.purpose,
    "key_usage": rules.key_usage,
    "ca_as_leaf": rules.ca_as_leaf,
    "leaf_as_ca": rules.leaf_as_ca,
    "path_length": rules.path_length,
    "name_constraint": rules.name_constraint,
    "no_explicit_policy": rules.no_explicit_policy,
    "critical_extension": rules.critical_extension,
    "encoding": rules.encoding,
    "too_complex": rules.too_complex,
    "revoked": revocation.revoked,
    "revocation_unknown": revocation.unknown,
    "revocation_list_expired": revocation.list_expired,
    "name": names.name,
    "spiffe_id": demands.spiffe_id,
    "trust_domain": demands.trust_domain,
    "not_allowed": demands.not_allowed,
    "not_pinned": demands.not_pinned,
    "callback": demands.callback,
}
"""Kind -> its explanation. A kind that is not here is described in the engine's words."""

GENERAL = {
    "expired": "a certificate of the chain has expired",
    "not_yet_valid": "a certificate of the chain is not valid yet",
    "unknown_issuer": "it does not lead to a certificate in the trust set",
    "self_signed": "it is self-signed and not in the trust set",
    "self_signed_in_chain": "the chain ends in a self-signed certificate that is not in the trust set",
    "signature": "a signature in the chain is wrong",
    "algorithm": "a certificate of the chain has an unsupported signature algorithm",
    "purpose": "a certificate of the chain is not valid for this purpose (extended key usage)",
    "ca_as_leaf": "it is a CA certificate, not a peer's",
    "leaf_as_ca": "a certificate in the chain may not issue certificates",
    "path_length": "the chain is longer than one of its CAs allows",
    "name_constraint": "the name constraints of a CA in the chain do not permit a name below it",
    "no_explicit_policy": "a CA of the chain demands a certificate policy, and the path has none",
    "critical_extension": "a certificate of the chain has an unsupported critical extension",
    "encoding": "a certificate of the chain is malformed",
    "revoked": "a certificate of the chain was revoked",
    "revocation_unknown": "no CRL that covers it is loaded",
    "revocation_list_expired": "a CRL for the chain has expired",
    "revocation_list_signature": "a CRL for the chain was not signed by its issuer",
    "list_signer": "a CA of the chain may not sign CRLs (key usage)",
    "key_usage": "its key usage does not allow TLS",
    "name": "the certificate is for another name",
}
"""What a kind means where no explanation fits."""


def explained(case: Case) -> Finding:
    """The most specific explanation of a refusal. Never raises."""
    refusal = case.refusal
    explain = EXPLANATIONS.get(refusal.kind)
    if explain is None:
        family = refusal.kind.partition("_")[0]
        explain = {"strict": strict.departure, "ocsp": demands.ocsp}.get(family)
    found = attempt(lambda: explain(case), None) if explain is not None else None
    if found is not None:
        return found
    words = GENERAL.get(refusal.kind) or plain(refusal.detail, 500) or refusal.kind.replace("_", " ")
    return Finding(f"{case.name(case.leaf)} was refused: {words}")


_RUNS_LATER = {"callback": f"{RUNS_LATER} (set_verify_callback)"}


def _not_asked(step: Step) -> str:
    return _RUNS_LATER.get(step.name, f"{NOT_ENABLED} ({step.switch})")


def _described(parsed: ParsedCertificate, role: Role) -> Certificate:
    return Certificate(
        role=role,
        source=parsed.source,
        subject=parsed.subject,
        issuer=parsed.issuer,
        serial=parsed.serial,
        names=parsed.names,
        not_before=parsed.not_before,
        not_after=parsed.not_after,
        sha256=parsed.fingerprint,
        der=parsed.der,
        problem=parsed.problem,
        names_left_out=parsed.names_left_out,
    )


class Explanation:
    """The explanation of one result; each part is made on first use. Nothing here raises."""

    def __init__(self, report: VerificationReport) -> None:
        self._report = report

    @cached_property
    def _case(self) -> Case:
        refusal, found = self._report.refusal or Refusal(""), self._report.path
        if refusal.path:
            found = (*self._report.request.chain[:1], *refusal.path)
        return Case(self._report.request, refusal, found)

    @cached_property
    def _finding(self) -> Finding:
        if self._report.refusal is not None:
            return explained(self._case)
        certificate = self._case.name(self._case.leaf)
        if not self._report.trusted:
            return Finding(f"{certificate} was not verified (CERT_NONE)")
        above = [parsed.label for parsed in self._case.path[1:]]
        if not above:
            return Finding(f"{certificate} is trusted: it is in the trust set")
        *between, anchor = above
        through = f"through {listing(between, 9)} " if between else ""
        return Finding(f"{certificate} is trusted: verified {through}up to the trust anchor {anchor}")

    @property
    def sentence(self) -> str:
        return self._finding.sentence

    @property
    def remedies(self) -> tuple[str, ...]:
        return self._finding.remedies

    @cached_property
    def certificates(self) -> tuple[Certificate, ...]:
        """The path, the peer's certificate first, as far as it is known; then the other certificates sent."""
        case = self._case
        path = [
            _described(
                parsed,
                "leaf" if index == 0 else "anchor" if parsed.anchor else "intermediate",
            )
            for index, parsed in enumerate(case.path)
        ]
        on_path = {parsed.der for parsed in case.path}
        return (*path, *(_described(each, "unused") for each in case.sent if each.der not in on_path))

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Every check of `checks.STEPS`, in that order; one failed where the peer was refused."""
        if self._report.refusal is None:
            return tuple(self._passed(step) for step in STEPS)
        failed = step_of(self._report.refusal.kind)
        steps = STEPS if failed in STEPS else (*STEPS, failed)
        return tuple(self._beside(step, failed) for step in steps)

    def _asked(self, step: Step) -> bool:
        if step.asked_by is None:
            return True
        return getattr(self._report.request, step.asked_by, None) not in (None, False, "none")

    def _passed(self, step: Step) -> Check:
        by_itself = len(self._report.path) == 1 and step.name not in (
            "encoding",
            "validity",
            "purpose",
            "chain",
        )
        if not self._asked(step):
            return Check(step.name, "not checked", _not_asked(step))
        if not self._report.trusted:
            return Check(step.name, "not checked", "CERT_NONE")
        if by_itself and step.stage == "path":
            return Check(step.name, "not checked", "the certificate is in the trust set itself")
        return Check(step.name, "passed", attempt(lambda: of_accepted(step.name, self._case), ""))

    def _beside(self, step: Step, failed: Step) -> Check:
        """A check where `failed` refused. Those of path building have passed once there is a path."""
        if step == failed:
            return Check(step.name, "failed", self.sentence)
        if not self._asked(step):
            return Check(step.name, "not checked", _not_asked(step))
        if self._report.refusal is not None and self._report.refusal.path and step.stage == "path":
            return Check(step.name, "passed", attempt(lambda: of_accepted(step.name, self._case), ""))
        if step.stage == "before":
            return Check(step.name, "passed", attempt(lambda: of_accepted(step.name, self._case), ""))
        searched = step.stage == "path" and failed.stage != "before"
        return Check(step.name, "not checked", UNKNOWN if searched else NOT_REACHED)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_case"}


def accepted(request: Request, path: tuple[bytes, ...]) -> VerificationReport:
    """The report on a peer that the engine trusts; `path` (DER) from its certificate up to the anchor's."""
    return VerificationReport(request, True, path, explain=Explanation)


def refused(request: Request, refusal: Refusal) -> VerificationReport:
    """The report on a peer that the engine refused."""
    return VerificationReport(request, False, (), refusal, explain=Explanation)


def unverified(request: Request) -> VerificationReport:
    """The report on a peer whose certificate was not verified (CERT_NONE on a client)."""
    return VerificationReport(request, False, explain=Explanation)
