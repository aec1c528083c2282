"""The engine tells facts, by codes; here are the words for those that no exception of `ssl` has words for."""

from __future__ import annotations

from collections.abc import Sequence

from veritls import _engine

CALLBACKS = {"verify": "the verify callback", "hello": "sni_callback"}
"""Which callback runs."""

THINGS = {
    "allowed_peers": "allowed_peers",
    "certificate": "certificate",
    "clock": "the system's clock",
    "crl": "revocation list",
    "keylog": "keylog_filename",
    "name": "name",
    "ocsp_response": "OCSP response",
    "private_key": "private key",
    "protocols": "versions, ciphers and groups",
    "server_hostname": "server_hostname",
    "trust_anchor": "trust anchor",
}
"""What cannot be used."""

_DETAILS = {
    "algorithm": "its algorithm is damaged",
    "before_1970": "it shows a time before 1970",
    "handshake_too_long": "a handshake message is spread over too many bytes",
    "issuing_distribution_point": "its issuing distribution point cannot be read",
    "key_usage": "its key usage cannot be read",
    "no_public_key": "its public key cannot be told",
    "none": "there is none",
    "out_of_date": "it is out of date",
    "trailing_bytes": "bytes after its end",
    # Callbacks.
    "closed": "the socket was closed meanwhile",
    "no_callback": "there is no callback to ask",
    "shutting_down": "the interpreter is shutting down",
    # OCSP responses.
    "certificate": "{}",
    "critical_extension": "it has a critical extension that is unknown here",
    "issuer_unknown": "nobody knows its issuer, who has to sign it",
    "no_answer": "it holds no answer",
    "not_authorized": "its issuer did not sign it, nor anybody whom it authorized",
    "signer": "its signer is not to be trusted with that: {}",
    "signer_key_usage": "its signer's key is not for signatures",
    "signer_revoked": "its signer's certificate was revoked",
    "status": "the responder answered {}",
    "too_complex": "verifying it would take too much work",
    "type": "it is of the unknown type {}",
    "unreadable": "it cannot be read: {}",
    # Kinds of refusals that say all.
    "ocsp_expired": "it is out of date",
    "ocsp_foreign": "it is about another certificate",
    "ocsp_not_yet_valid": "it is not valid yet",
    "ocsp_revoked": "its OCSP response says that it was revoked",
    "ocsp_unknown": "the responder does not know it",
}
"""The engine's codes; {} is what a library said, which follows after a colon."""

_SHOWN = 10
"""Names that a sentence shows."""


def words(detail: str) -> str:
    """The words for a code; what is none is what a library says, and stays as it is."""
    code, _, said = detail.partition(": ")
    known = _DETAILS.get(code)
    if known is None or ("{}" in known) != bool(said):
        return detail
    return known.format(said)


def name_words(text: str) -> str:
    """A name of a certificate, as the engine tells it."""
    return {"other": "another kind of name", "IP ?": "IP unreadable"}.get(text, text)


def _listing(names: Sequence[str], left_out: int = 0) -> str:
    shown = [name_words(name) for name in names]
    more = len(shown) + left_out - _SHOWN
    if not shown:
        return "none"
    return f"{', '.join(shown[:_SHOWN])} and {more} more" if more > 0 else ", ".join(shown)


def _raised(cause: BaseException) -> str:
    try:
        text = str(cause)
    except Exception:
        text = "<exception str() failed>"
    return f"the verify callback raised {type(cause).__qualname__}: {text}"


def refusal_words(rejection: _engine.Rejection) -> str:
    """What a refusal's sentence says of its details; the engine's code where the sentence goes by that."""
    kind, wanted = rejection.kind, _listing(rejection.wanted)
    if kind == "not_allowed":
        return f"its names: {_listing(rejection.presented, rejection.left_out)}; allowed: {wanted}"
    if kind == "not_pinned":
        return f"its keys: {_listing(rejection.presented)}; pinned: {wanted}"
    if kind == "callback" and rejection.cause is not None:
        return _raised(rejection.cause)
    if kind.startswith("strict_"):
        return "it does not keep to RFC 5280 (VERIFY_X509_STRICT)"
    if kind == "callback" or kind.startswith("ocsp_"):
        return words(rejection.detail or kind)
    return rejection.detail
