"""One sentence for each kind of refusal: which certificate failed which check, on what evidence."""

from __future__ import annotations

from veritls._explaining.diagnosis import Case, Explanation, Finding
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
from veritls._explaining.parsed_certificate import attempt
from veritls._explaining.rendering import plain

EXPLANATIONS: dict[str, Explanation] = {
    "expired": validity.expired,
    "not_yet_valid": validity.not_yet_valid,
    "unknown_issuer": chain.unknown_issuer,
    "self_signed": chain.self_signed,
    "self_signed_in_chain": chain.self_signed_in_chain,
    "signature": signature.signature,
    "algorithm": signature.algorithm,
    "purpose": rules.purpose,
    "key_usage": rules.key_usage,
    "ca_as_leaf": rules.ca_as_leaf,
    "leaf_as_ca": rules.leaf_as_ca,
    "path_length": rules.path_length,
    "name_constraint": rules.name_constraint,
    "critical_extension": rules.critical_extension,
    "encoding": rules.encoding,
    "too_complex": rules.too_complex,
    "revoked": revocation.revoked,
    "revocation_unknown": revocation.unknown,
    "revocation_list_expired": revocation.list_expired,
    "name": names.name,
    "not_allowed": demands.not_allowed,
    "not_pinned": demands.not_pinned,
    "callback": demands.callback,
}
"""Kind -> what explains it. A kind that is not here is told in the engine's words."""

GENERAL = {
    "expired": "a certificate of the chain has expired",
    "not_yet_valid": "a certificate of the chain is not valid yet",
    "unknown_issuer": "no certificate in the trust set vouches for it",
    "self_signed": "it signed itself and is not in the trust set",
    "self_signed_in_chain": "the chain ends in a certificate that signed itself and is not in the trust set",
    "signature": "a signature in the chain is wrong",
    "algorithm": "a certificate of the chain is signed in a way that is not accepted",
    "purpose": "a certificate of the chain is not for this purpose (extended key usage)",
    "ca_as_leaf": "it is the certificate of an authority, not of a peer",
    "leaf_as_ca": "a certificate in the chain may not sign others",
    "path_length": "the chain is longer than one of its authorities allows",
    "name_constraint": "a name in the chain is outside what an authority above it may speak for",
    "critical_extension": "a certificate of the chain has a critical extension that is not processed",
    "encoding": "a certificate of the chain is damaged",
    "revoked": "a certificate of the chain was revoked",
    "revocation_unknown": "no revocation list that says anything about it is loaded",
    "revocation_list_expired": "a revocation list of the chain has expired",
    "revocation_list_signature": "a revocation list of the chain was signed by somebody else",
    "list_signer": "an authority of the chain may not sign revocation lists (key usage)",
    "key_usage": "its key usage allows nothing that TLS needs of it",
    "name": "the certificate is for another name",
}
"""What a kind means where nothing more could be found out."""


def explained(case: Case) -> Finding:
    """The best explanation of a refusal that there is. Never raises."""
    refusal = case.refusal
    explain = EXPLANATIONS.get(refusal.kind)
    if explain is None:
        family = refusal.kind.partition("_")[0]
        explain = {"strict": strict.departure, "ocsp": demands.ocsp}.get(family)
    found = attempt(lambda: explain(case), None) if explain is not None else None
    if found is not None:
        return found
    words = GENERAL.get(refusal.kind) or plain(refusal.detail, 500) or refusal.kind.replace("_", " ")
    return Finding(f"{case.who(case.leaf)} was refused: {words}")
