"""Signatures of certificates by algorithms that the engine does not have."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from veritls._report.parsed_certificate import readable


def is_signed_by(subject: bytes, issuer: bytes) -> bool:
    """Whether the key of one certificate (DER) signed another."""
    try:
        readable(subject).verify_directly_issued_by(readable(issuer))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
