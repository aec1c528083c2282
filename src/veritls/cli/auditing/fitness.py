"""Whether a certificate that the user gives is what its row says, and would be refused for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from veritls.cli.auditing.peers import PEERS, PURPOSE, REVOKED, VALID, WEAK, Side

_PURPOSES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
_OF_NO_CA = ("other-ca", "namesake", "self-signed")
_BELOW_THE_CA = {peer.key for peer in PEERS if peer.needs in ("ca key", "ca key and crl")} - {VALID.key}


def unfit(
    key: str,
    chain: Sequence[x509.Certificate],
    weak: bool,
    side: Side,
    anchors: Sequence[x509.Certificate],
    valid: Sequence[x509.Certificate],
    crl: x509.CertificateRevocationList | None = None,
) -> str | None:
    """Why a chain for the row `key` proves nothing; None where it does, or where that is not known.

    `side`: of the peers. `anchors`: the CAs. Without any, the CA is that of the chain of the valid peer.
    """
    if key in _OF_NO_CA and any(_issued(each, anchor) for each in chain for anchor in anchors):
        return "a CA in --ca has issued it: it may be accepted for that"
    if key == "self-signed" and chain[0].issuer != chain[0].subject:
        return "it is not self-signed"
    if key not in _BELOW_THE_CA:
        return None
    if anchors:
        if not any(_issued(chain[-1], each) for each in anchors):
            return "no CA in --ca has issued it, or intermediates are missing: it would be refused for that"
    elif valid and chain[-1].issuer != valid[-1].issuer:
        return "another CA has issued it than the valid one: it would be refused for that"
    if key == REVOKED.key and not _is_revoked(chain[0], crl):
        return "--crl does not revoke it"
    return _of_another_time(key, chain[0]) or _for_another_purpose(key, chain[0], side) or _short(key, weak)


def _is_revoked(own: x509.Certificate, crl: x509.CertificateRevocationList | None) -> bool:
    """Whether a CRL has it; True where none is given, or it is another CA's."""
    if crl is None or crl.issuer != own.issuer:
        return True
    return crl.get_revoked_certificate_by_serial_number(own.serial_number) is not None


def _issued(certificate: x509.Certificate, anchor: x509.Certificate) -> bool:
    if certificate == anchor:
        return True
    try:
        certificate.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _of_another_time(key: str, own: x509.Certificate) -> str | None:
    now = datetime.now(UTC)
    if key == "expired":
        return None if own.not_valid_after_utc < now else "it has not expired"
    if key == "not-yet-valid":
        return None if own.not_valid_before_utc > now else "it is valid already"
    valid = own.not_valid_before_utc <= now <= own.not_valid_after_utc
    return None if valid else "it is not valid today: it would be refused for that"


def _for_another_purpose(key: str, own: x509.Certificate, side: Side) -> str | None:
    try:
        purposes = list(own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        purposes = []
    any_purpose = not purposes or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes
    fits = any_purpose or _PURPOSES[side] in purposes
    if key == PURPOSE.key:
        return f"it is for {side}s" if fits else None
    return None if fits else f"it is not for {side}s: it would be refused for that"


def _short(key: str, weak: bool) -> str | None:
    return "its key is not too short" if key == WEAK.key and not weak else None
