"""OCSP responses for the tests, made by `cryptography`."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.certificates import HOUR, NOW, Party, digest

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
BY_NAME, BY_KEY = ocsp.OCSPResponderEncoding.NAME, ocsp.OCSPResponderEncoding.HASH

SIGNS_RESPONSES = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
MUST_STAPLE = (x509.TLSFeature([x509.TLSFeatureType.status_request]), False)


def response(
    about: Party,
    status: ocsp.OCSPCertStatus = GOOD,
    *,
    issuer: Party | None = None,
    signer: Party | None = None,
    since: datetime.datetime = NOW - HOUR,
    until: datetime.datetime | None = NOW + HOUR,
    algorithm: hashes.HashAlgorithm | None = None,
    by: ocsp.OCSPResponderEncoding = BY_KEY,
    certificates: list[Party] | None = None,
    extra: tuple[x509.ExtensionType, bool] | None = None,
) -> bytes:
    """A response about `about`, DER. `signer`: a delegate, or an impostor."""
    issuer = issuer or about.issuer
    signer = signer or issuer
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=about.certificate,
        issuer=issuer.certificate,
        algorithm=algorithm or hashes.SHA1(),
        cert_status=status,
        this_update=since,
        next_update=until,
        revocation_time=NOW - HOUR if status == REVOKED else None,
        revocation_reason=x509.ReasonFlags.key_compromise if status == REVOKED else None,
    )
    builder = builder.responder_id(by, signer.certificate)
    if certificates is None and signer is not issuer:
        certificates = [signer]
    if certificates:
        builder = builder.certificates([each.certificate for each in certificates])
    if extra is not None:
        builder = builder.add_extension(*extra)
    return builder.sign(signer.key, digest(signer.key)).public_bytes(Encoding.DER)


def unsuccessful(status: ocsp.OCSPResponseStatus = ocsp.OCSPResponseStatus.TRY_LATER) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
