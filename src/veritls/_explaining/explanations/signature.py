"""A signature in the chain that is wrong, or of a type that is not supported."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa

from veritls._explaining.diagnosis import Case, Explain, Finding
from veritls._report.parsed_certificate import ParsedCertificate

_MOST = 4
"""Signatures that are verified anew to find the wrong one: refusing has to stay cheap."""
_WEAKEST_RSA, _STRONGEST_RSA = 2048, 8192
_WEAK_HASHES = ("md5", "sha1", "sha224")


def _wrong_size(case: Case, upper: ParsedCertificate) -> Finding | None:
    key = upper.key
    if not isinstance(key, rsa.RSAPublicKey) or _WEAKEST_RSA <= key.key_size <= _STRONGEST_RSA:
        return None
    how = "weak" if key.key_size < _WEAKEST_RSA else "large"
    words = (
        f"{case.name(upper)} has a key that is too {how}: RSA with {key.key_size:,} bits; "
        f"{_WEAKEST_RSA:,} to {_STRONGEST_RSA:,} are accepted"
    )
    return Finding(words, (case.replace(upper, "one with a key of an accepted size"),))


def signature(case: Case, *, self_signed: Explain) -> Finding | None:
    """Which certificate, and which key should have signed it. `self_signed`: the explanation of that kind."""
    for lower, upper in case.possible_pairs[:_MOST]:
        if found := _wrong_size(case, upper):
            return found
        if lower.signed_by(upper) is not False:
            continue
        if lower is case.leaf and lower.self_issued:
            return self_signed(case)
        wanted, has = lower.signing_key_identifier, upper.own_key_identifier
        if wanted is not None and has is not None and wanted != has:
            words = (
                f"{case.name(lower)} was signed with a different key from that of {case.name(upper)}, "
                "although the issuer name matches"
            )
            remedy = f"Use the certificate of {upper.label} with the key identifier {wanted.hex()}."
            return Finding(words, (remedy,))
        words = (
            f"the signature on {case.name(lower)} does not verify with the key of {case.name(upper)}: "
            "one of the two certificates was altered"
        )
        return Finding(words, (case.replace(lower, f"the one that {upper.label} signed"),))
    return None


def algorithm(case: Case) -> Finding | None:
    """Which certificate, and what is wrong with its signature algorithm."""
    for lower, upper in case.pairs:
        name = lower.signature_name
        if lower.signature_hash in _WEAK_HASHES:
            words = f"{case.name(lower)} is signed with {name}, which is too weak"
            return Finding(words, (case.replace(lower, "one signed with SHA-256"),))
        if not upper.key_is_usual:
            words = f"{case.name(upper)} has a key of an unsupported type: {upper.key_words}"
            return Finding(words, (case.replace(upper, "one with an ECDSA, Ed25519 or RSA key"),))
    for lower, upper in case.pairs[:_MOST]:
        if lower.signed_by(upper) is None:
            words = (
                f"{case.name(lower)} is signed with {lower.signature_name}, which is not supported "
                f"or does not match the key of {case.name(upper)} ({upper.key_words})"
            )
            return Finding(words, (case.replace(lower, "one signed with SHA-256"),))
    return None
