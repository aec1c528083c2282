"""The exceptions: one table from the engine's failure codes to those of `ssl`, with their words.

Numbers and words of refused certificates are OpenSSL's ``X509_V_ERR_*``; those of alerts are RFC 8446's
section 6 and RFC 5246's section 7.2, spelt as OpenSSL spells its reasons.
"""

import os
import re
import ssl
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from veritls import _engine
from veritls.certificate import subject_text

ALERTS = {
    0: ("SSLV3_ALERT_CLOSE_NOTIFY", "close notify"),
    10: ("SSLV3_ALERT_UNEXPECTED_MESSAGE", "sslv3 alert unexpected message"),
    20: ("SSLV3_ALERT_BAD_RECORD_MAC", "sslv3 alert bad record mac"),
    22: ("TLSV1_ALERT_RECORD_OVERFLOW", "tlsv1 alert record overflow"),
    40: ("SSLV3_ALERT_HANDSHAKE_FAILURE", "sslv3 alert handshake failure"),
    42: ("SSLV3_ALERT_BAD_CERTIFICATE", "sslv3 alert bad certificate"),
    43: ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "sslv3 alert unsupported certificate"),
    44: ("SSLV3_ALERT_CERTIFICATE_REVOKED", "sslv3 alert certificate revoked"),
    45: ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "sslv3 alert certificate expired"),
    46: ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "sslv3 alert certificate unknown"),
    47: ("SSLV3_ALERT_ILLEGAL_PARAMETER", "sslv3 alert illegal parameter"),
    48: ("TLSV1_ALERT_UNKNOWN_CA", "tlsv1 alert unknown ca"),
    49: ("TLSV1_ALERT_ACCESS_DENIED", "tlsv1 alert access denied"),
    50: ("TLSV1_ALERT_DECODE_ERROR", "tlsv1 alert decode error"),
    51: ("TLSV1_ALERT_DECRYPT_ERROR", "tlsv1 alert decrypt error"),
    70: ("TLSV1_ALERT_PROTOCOL_VERSION", "tlsv1 alert protocol version"),
    71: ("TLSV1_ALERT_INSUFFICIENT_SECURITY", "tlsv1 alert insufficient security"),
    80: ("TLSV1_ALERT_INTERNAL_ERROR", "tlsv1 alert internal error"),
    86: ("TLSV1_ALERT_INAPPROPRIATE_FALLBACK", "tlsv1 alert inappropriate fallback"),
    90: ("TLSV1_ALERT_USER_CANCELLED", "tlsv1 alert user cancelled"),
    109: ("TLSV13_ALERT_MISSING_EXTENSION", "tlsv13 alert missing extension"),
    110: ("TLSV1_UNSUPPORTED_EXTENSION", "tlsv1 alert unsupported extension"),
    112: ("TLSV1_UNRECOGNIZED_NAME", "tlsv1 unrecognized name"),
    113: ("TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE", "tlsv1 bad certificate status response"),
    116: ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "tlsv13 alert certificate required"),
    120: ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "tlsv1 alert no application protocol"),
}
"""The alerts that a peer can send: number -> (reason, words)."""

VERIFY_ERRORS = {
    "expired": (10, "certificate has expired"),
    "not_yet_valid": (9, "certificate is not yet valid"),
    "unknown_issuer": (20, "unable to get local issuer certificate"),
    "self_signed": (18, "self-signed certificate"),
    "self_signed_in_chain": (19, "self-signed certificate in certificate chain"),
    "signature": (7, "certificate signature failure"),
    "algorithm": (7, "certificate signature failure"),
    "purpose": (26, "unsuitable certificate purpose"),
    "ca_as_leaf": (26, "unsuitable certificate purpose"),
    "leaf_as_ca": (79, "invalid CA certificate"),
    "path_length": (25, "path length constraint exceeded"),
    "name_constraint": (47, "permitted subtree violation"),
    "critical_extension": (34, "unhandled critical extension"),
    "revoked": (23, "certificate revoked"),
    "revocation_unknown": (3, "unable to get certificate CRL"),
    "revocation_list_expired": (12, "CRL has expired"),
    "revocation_list_signature": (8, "CRL signature failure"),
    "list_signer": (35, "key usage does not include CRL signing"),
    "ocsp_missing": (73, "OCSP verification needed"),
    "ocsp_invalid": (74, "OCSP verification failed"),
    "ocsp_foreign": (74, "OCSP verification failed"),
    "ocsp_signature": (74, "OCSP verification failed"),
    "ocsp_expired": (74, "OCSP verification failed"),
    "ocsp_not_yet_valid": (74, "OCSP verification failed"),
    "ocsp_unknown": (75, "OCSP unknown cert"),
    "ocsp_revoked": (23, "certificate revoked"),
    "strict_algorithms_differ": (78, "cert info signature and signature algorithm mismatch"),
    "strict_path_length_for_non_ca": (80, "Path length invalid for non-CA cert"),
    "strict_path_length_without_signing": (81, "Path length given without key usage keyCertSign"),
    "strict_signing_for_non_ca": (82, "Key usage keyCertSign invalid for non-CA cert"),
    "strict_issuer_empty": (83, "Issuer name empty"),
    "strict_subject_empty": (84, "Subject name empty"),
    "strict_authority_key_missing": (85, "Missing Authority Key Identifier"),
    "strict_subject_key_missing": (86, "Missing Subject Key Identifier"),
    "strict_names_empty": (87, "Empty Subject Alternative Name extension"),
    "strict_names_not_critical": (88, "Subject empty and Subject Alt Name extension not critical"),
    "strict_constraints_not_critical": (89, "Basic Constraints of CA cert not marked critical"),
    "strict_authority_key_critical": (90, "Authority Key Identifier marked critical"),
    "strict_subject_key_critical": (91, "Subject Key Identifier marked critical"),
    "strict_ca_without_key_usage": (92, "CA cert does not include key usage extension"),
    "strict_extensions_need_v3": (93, "Using cert extension requires at least X509v3"),
    "encoding": (1, "unspecified certificate verification error"),
    "other": (1, "unspecified certificate verification error"),
}
"""Why the engine refuses a certificate: kind -> (X509_V_ERR number, OpenSSL's words)."""

REASONS = {
    "unknown_issuer": "nobody in the trust set signed it or what signed it",
    "self_signed": "it signed itself and is not in the trust set",
    "self_signed_in_chain": "the chain ends in a certificate that is not in the trust set",
    "ca_as_leaf": "it is the certificate of an authority, not of a peer",
    "leaf_as_ca": "a certificate in the chain may not sign others",
    "signature": "a signature in the chain is wrong",
    "revoked": "it was revoked",
    "revocation_unknown": "no revocation list of its issuer is loaded",
    "revocation_list_signature": "the revocation list of its issuer is signed by somebody else",
    "ocsp_missing": "the server sent no OCSP response",
    "ocsp_foreign": "the OCSP response is about another certificate",
    "ocsp_unknown": "the OCSP responder does not know it",
    "ocsp_revoked": "its OCSP response says that it was revoked",
}
"""What a refusal means, in words, where there is no evidence to show."""

_BOUNDS = {
    "expired": "it expired",
    "not_yet_valid": "it is valid from",
    "revocation_list_expired": "its issuer's revocation list was good until",
    "ocsp_expired": "its OCSP response was good until",
    "ocsp_not_yet_valid": "its OCSP response is good from",
}

_QUOTED = re.compile(r'"(.*)"')
_HTTP_STARTS = (b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"PATC", b"TRAC", b"CONN")


def ssl_error(
    reason: str,
    words: str,
    *,
    kind: type[ssl.SSLError] = ssl.SSLError,
    number: int = ssl.SSL_ERROR_SSL,
    library: str = "SSL",
) -> ssl.SSLError:
    """An error of `ssl`'s shape: ``args == (number, "[SSL: REASON] words")``, `reason`, `library`."""
    error = kind(int(number), f"[{library}: {reason}] {words}")
    error.reason = reason
    error.library = library
    return error


def _moment(seconds: int | None) -> str:
    if seconds is None:
        return "an unknown time"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"second {seconds} of the epoch"


def self_issued(der: bytes) -> bool:
    """Whether subject and issuer are the same (RFC 5280, section 3.2); False for what cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return certificate.subject == certificate.issuer
    except ValueError:
        return False


def _bare_name(presented: str) -> str:
    """webpki gives names as `DnsName("a.example")`; a person wants what stands between the quotes."""
    return match[1] if (match := _QUOTED.search(presented)) else presented


def _verification_kind(kind: str, chain: list[bytes]) -> str:
    """OpenSSL tells three cases of an unknown issuer apart."""
    if kind == "ca_as_leaf" and chain and self_issued(chain[0]):
        return "self_signed"
    if kind != "unknown_issuer" or not chain:
        return kind
    if self_issued(chain[0]):
        return "self_signed"
    return "self_signed_in_chain" if any(self_issued(der) for der in chain[1:]) else kind


def certificate_refused(detail: str, evidence: dict[str, Any]) -> ssl.SSLCertVerificationError:
    """The error for a certificate that the engine refused: OpenSSL's code and words, then the evidence."""
    chain: list[bytes] = evidence["chain"]
    kind = _verification_kind(evidence["kind"], chain)
    because = REASONS.get(kind, f"its OCSP response: {detail}" if kind.startswith("ocsp_") else detail)
    if kind == "name":
        expected = evidence["expected"]
        is_address = ":" in expected or expected.replace(".", "").isdigit()
        number, label = (64, "IP address") if is_address else (62, "Hostname")
        message = f"{label} mismatch, certificate is not valid for '{expected}'."
        names = ", ".join(map(_bare_name, evidence["presented"])) or "no name"
        because = f"the certificate is for {names}"
    else:
        number, message = VERIFY_ERRORS[kind]
        if kind in _BOUNDS:
            bound, now = _moment(evidence["bound"]), _moment(evidence["time"])
            because = f"{_BOUNDS[kind]} {bound}, and now it is {now}"
    subject = f" ({subject_text(chain[0])}; {because})" if chain else ""
    words = f"certificate verify failed: {message}{subject}"
    error = ssl_error("CERTIFICATE_VERIFY_FAILED", words, kind=ssl.SSLCertVerificationError)
    assert isinstance(error, ssl.SSLCertVerificationError)
    error.verify_code = number
    error.verify_message = message
    return error


def _not_tls(evidence: dict[str, Any]) -> ssl.SSLError:
    if evidence["start"].startswith(_HTTP_STARTS):
        return ssl_error("HTTP_REQUEST", "http request: the client speaks HTTP without TLS")
    start = evidence["start"]
    return ssl_error("WRONG_VERSION_NUMBER", f"wrong version number: the peer does not speak TLS ({start!r})")


def _alert(evidence: dict[str, Any]) -> ssl.SSLError:
    number = evidence["alert"]
    reason, words = ALERTS.get(number, ("UNKNOWN_ALERT_TYPE", f"unknown alert {number}"))
    return ssl_error(reason, words)


def _incompatible(detail: str) -> ssl.SSLError:
    if detail == "NoServerCertificate":
        return ssl_error("NO_SHARED_CIPHER", "no shared cipher: this server has no certificate loaded")
    if "NoCipherSuitesInCommon" in detail:
        return ssl_error("NO_SHARED_CIPHER", "no shared cipher")
    if "Version" in detail or "Tls12" in detail or "Tls13" in detail:
        return ssl_error("UNSUPPORTED_PROTOCOL", f"unsupported protocol ({detail})")
    return ssl_error("HANDSHAKE_FAILURE_ON_CLIENT_HELLO", f"nothing in common with the peer ({detail})")


def exception_for(code: str, detail: str, evidence: dict[str, Any]) -> BaseException:
    """The exception for a failure of the engine. `code` and `evidence` are those of engine/src/failure.rs."""
    match code:
        case "want_read":
            words = "The operation did not complete (read)"
            return ssl.SSLWantReadError(int(ssl.SSL_ERROR_WANT_READ), words)
        case "want_write":
            words = "The operation did not complete (write)"
            return ssl.SSLWantWriteError(int(ssl.SSL_ERROR_WANT_WRITE), words)
        case "timeout":
            return TimeoutError("The operation timed out")
        case "unexpected_eof":
            words = "EOF occurred in violation of protocol"
            reason = "UNEXPECTED_EOF_WHILE_READING"
            return ssl_error(reason, words, kind=ssl.SSLEOFError, number=ssl.SSL_ERROR_EOF)
        case "closed":
            words = "TLS/SSL connection has been closed (EOF)"
            return ssl.SSLZeroReturnError(int(ssl.SSL_ERROR_ZERO_RETURN), words)
        case "hello_refused":
            return ssl_error("CALLBACK_FAILED", "callback failed: sni_callback refused the client")
        case "data_after_close":
            return ssl_error("APPLICATION_DATA_AFTER_CLOSE_NOTIFY", "application data after close notify")
        case "bad_write_retry":
            words = "bad length: the retry of an interrupted write has fewer bytes than were taken"
            return ssl_error("BAD_LENGTH", words)
        case "write_after_eof":
            return ssl.SSLError("cannot write() after write_eof()")
        case "os":
            return OSError(evidence["errno"], os.strerror(evidence["errno"]))
        case "alert_received":
            return _alert(evidence)
        case "no_peer_certificate":
            return ssl_error("PEER_DID_NOT_RETURN_A_CERTIFICATE", "peer did not return a certificate")
        case "certificate":
            return certificate_refused(detail, evidence)
        case "not_tls":
            return _not_tls(evidence)
        case "incompatible":
            return _incompatible(detail)
        case "key_mismatch":
            return ssl_error("KEY_VALUES_MISMATCH", "key values mismatch: the key is of another certificate")
        case "unusable":
            return ssl_error("UNUSABLE", f"{evidence['what']} cannot be used: {detail}")
        case "protocol":
            return ssl_error("PROTOCOL_ERROR", detail)
        case _:
            return ssl_error("INTERNAL_ERROR", f"internal error ({code}): {detail}")


_engine.set_translator(exception_for)
