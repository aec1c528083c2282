"""Where veritls answers a hostile peer otherwise than the RFC says, as it is today, and whose doing it is.

In each case the peer is refused: no byte is handed out, no certificate is shown. What differs is the alert.
An entry goes when its cause does: its test fails then. "OpenSSL" is 3.0, where it departs from the RFC too.
"""

from __future__ import annotations

from dataclasses import replace

from tests.hostile_peers.cases import BAD_CERTIFICATE, DECODE_ERROR, DECRYPT_ERROR, UNTRUSTED, Disagreement

_FORGED = Disagreement(
    DECRYPT_ERROR,
    "veritls (peer_verifier.rs, error_of: Kind::Signature is BadSignature) and rustls, whose alert "
    "for that is decrypt_error. OpenSSL, and so `ssl`, sends decrypt_error too",
    "bad_certificate is for certificates with signatures that do not verify (RFC 8446, section 6.2).",
)
_NO_BYTES = Disagreement(
    BAD_CERTIFICATE,
    "rustls 0.23 reads certificates of 0 bytes; veritls's verifier refuses them as it does other bytes",
    "A certificate has one byte at least by the syntax (RFC 8446, section 4.4.2; RFC 5246, section 7.4.2).",
    UNTRUSTED,
)
_CONTEXT = Disagreement(
    DECODE_ERROR,
    "rustls 0.23 (InvalidMessage::InvalidCertRequest). OpenSSL sends decode_error too",
    "The message is well formed, and a field of it is wrong: illegal_parameter (RFC 8446, section 6.2).",
)
_EXTENSION = Disagreement(
    DECODE_ERROR,
    "rustls 0.23 (InvalidMessage::UnknownCertificateExtension)",
    "An extension that was not asked for gets unsupported_extension (RFC 8446, section 4.2, MUST).",
)
_ALGORITHM = Disagreement(
    DECRYPT_ERROR,
    "rustls 0.23 and webpki: UnsupportedSignatureAlgorithmForPublicKeyContext is a certificate error whose "
    "alert is decrypt_error",
    "A scheme that is not one for the certificate's key contradicts it: illegal_parameter (RFC 8446, "
    "section 6.2; 4.4.3 names no alert for this).",
)

OF_SERVERS = {
    "sends a certificate that the CA did not sign": _FORGED,
    "sends a certificate of no bytes": _NO_BYTES,
    "answers another request context": _CONTEXT,
    "sends an extension of a certificate that was not asked for": _EXTENSION,
    "has a key on a curve that is not offered": _ALGORITHM,
    "names an algorithm of another kind of key": _ALGORITHM,
    "names an algorithm of another curve": _ALGORITHM,
    "signs with P-384 and names P-256": _ALGORITHM,
}
"""What veritls's servers answer a client that ... (`Case.name`)."""

OF_CLIENTS = {
    "gives its Certificate a request context": _CONTEXT,
    "sends a certificate of no bytes to a client that takes any": replace(_NO_BYTES, otherwise={}),
    "proves the key of a forged certificate": _FORGED,
    "sends a certificate of no bytes": _NO_BYTES,
    "sends an extension of a certificate that was not asked for": _EXTENSION,
    "has a key on a curve that is not offered": _ALGORITHM,
    "names an algorithm of another kind of key": _ALGORITHM,
    "names an algorithm of another curve": _ALGORITHM,
    "signs with P-384 and names P-256": _ALGORITHM,
}
"""What veritls's clients answer a server that ... (`Case.name`)."""
