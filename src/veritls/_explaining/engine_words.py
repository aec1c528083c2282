"""The words for the engine's codes, where `ssl` has no exception with words of its own."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from veritls import _engine

CALLBACKS = {"verify": "the verify callback", "hello": "sni_callback"}
"""The engine's names of the callbacks."""

THINGS = {
    "allowed_peers": "allowed_peers",
    "certificate": "certificate",
    "clock": "the system's clock",
    "crl": "CRL",
    "keylog": "keylog_filename",
    "name": "name",
    "ocsp_response": "OCSP response",
    "private_key": "private key",
    "protocols": "versions, ciphers and groups",
    "server_hostname": "server_hostname",
    "trust_anchor": "trust anchor",
}
"""The engine's names of what cannot be used."""

_UNPROVED = "the peer did not prove that it holds the key of its certificate"

_DETAILS = {
    "algorithm": "its algorithm is malformed",
    "before_1970": "it shows a time before 1970",
    "foreign_proof": f"{_UNPROVED}: its signature of the handshake is not one that the key can make",
    "handshake_too_long": "a handshake message is too long",
    "issuing_distribution_point": "its issuing distribution point cannot be parsed",
    "key_usage": "its key usage cannot be parsed",
    "no_public_key": "its public key cannot be parsed",
    "none": "there is none",
    "out_of_date": "it is out of date",
    "trailing_bytes": "it has trailing bytes",
    "unreadable_proof": f"{_UNPROVED}: the certificate cannot be parsed",
    "wrong_proof": f"{_UNPROVED}: its signature of the handshake is wrong",
    "without_data": "the peer sent more than 1 MiB of records without any data",
    # Trust.
    "any_workload": "a client with spiffe_bundles needs them: any workload could impersonate its server",
    "not_a_ca": "the certificate is not of a CA",
    "not_a_trust_domain": "the name is not that of a trust domain",
    # Callbacks.
    "closed": "the socket was closed during the callback",
    "no_callback": "no callback is set",
    "shutting_down": "the interpreter is shutting down",
    # OCSP responses.
    "certificate": "{}",
    "critical_extension": "it has an unsupported critical extension",
    "issuer_unknown": "its issuer's certificate, which must verify its signature, is not known",
    "no_answer": "it contains no response",
    "not_authorized": "it was signed neither by the issuer nor by a responder that the issuer authorized",
    "signer": "its signer is not a valid OCSP responder: {}",
    "signer_key_usage": "the key usage of its signer does not allow signatures",
    "signer_revoked": "the certificate of its signer was revoked",
    "status": "the responder answered {}",
    "too_complex": "verifying it would take too much work",
    "type": "it is of the unknown type {}",
    "unreadable": "it cannot be parsed: {}",
    # SPIFFE IDs.
    "no_uri": "it contains no URI",
    "not_spiffe": "its URI is not a SPIFFE ID with a path",
    "several_uris": "it contains more than one URI",
    "signs_others": "it may sign certificates or CRLs",
    "unreadable_names": "its names or its key usage cannot be parsed",
    # Kinds of refusals without a detail.
    "ocsp_expired": "it is out of date",
    "ocsp_foreign": "it is for another certificate",
    "ocsp_not_yet_valid": "it is not valid yet",
    "ocsp_revoked": "its OCSP response says that it was revoked",
    "ocsp_unknown": "the responder does not know the certificate",
}
"""The engine's codes; {} is a library's message, which follows a colon in the code."""

_CRLS = {
    "BadDer": "it is malformed, or of version 1 (openssl ca writes version 2 where crl_extensions is set)",
    "InvalidCrlNumber": "its CRL number is malformed",
    "MalformedExtensions": "its extensions are malformed, or it has none: RFC 5280 (5.2) demands a CRL "
    "number and an authority key identifier",
    "UnsupportedCriticalExtension": "it has an unsupported critical extension",
    "UnsupportedDeltaCrl": "it is a delta CRL: the complete one is needed",
    "UnsupportedIndirectCrl": "it is an indirect CRL, which is not supported",
    "UnsupportedRevocationReasonsPartitioning": "it covers some reasons only: one for all of them is needed",
}
"""What webpki says of a CRL. Its other names are returned as they are."""

_SHOWN = 10
"""Names that a message shows."""


def words(detail: str) -> str:
    """The words for a code; any other text is a library's message, and is returned as it is."""
    code, _, said = detail.partition(": ")
    known = _DETAILS.get(code)
    if known is None or ("{}" in known) != bool(said):
        return detail
    return known.format(said)


def unusable(what: str, detail: str) -> str:
    """The sentence about a thing, by the engine's name of it, that cannot be used."""
    known = _CRLS.get(detail) if what == "crl" else None
    return f"{THINGS[what]} cannot be used: {known or words(detail)}"


def name_words(text: str) -> str:
    """A name of a certificate from the engine."""
    return {"other": "another kind of name", "IP ?": "malformed IP address"}.get(text, text)


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
    return f"it raised {type(cause).__qualname__}: {text}"


def refusal_words(rejection: _engine.Rejection) -> str:
    """The details of a refusal in words; the engine's code where the explanation depends on it."""
    kind, wanted = rejection.kind, _listing(rejection.wanted)
    if kind == "not_allowed":
        return f"its names: {_listing(rejection.presented, rejection.left_out)}; allowed: {wanted}"
    if kind == "trust_domain":
        return f"its SPIFFE ID: {_listing(rejection.presented)}; known trust domains: {wanted}"
    if kind == "spiffe_id":
        return words(rejection.detail)
    if kind == "not_pinned":
        return f"its keys: {_listing(rejection.presented)}; pinned: {wanted}"
    if kind == "callback" and rejection.cause is not None:
        return _raised(rejection.cause)
    if kind.startswith("strict_"):
        return "it does not conform to RFC 5280 (VERIFY_X509_STRICT)"
    if kind == "callback" or kind.startswith("ocsp_"):
        return words(rejection.detail or kind)
    return rejection.detail
