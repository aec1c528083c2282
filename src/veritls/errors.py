"""The exceptions: one table from the engine's failure codes to those of `ssl`, with their words.

Numbers and words of refused certificates are OpenSSL's ``X509_V_ERR_*``; those of alerts are RFC 8446's
section 6 and RFC 5246's section 7.2, spelt as OpenSSL spells its reasons.
"""

import os
import ssl
from dataclasses import replace
from datetime import UTC, datetime

from veritls import _engine
from veritls.diagnosis import Case, listed, refined, trusted_above
from veritls.engine_words import CALLBACKS, THINGS, refusal_words, words
from veritls.question import Question, Refusal
from veritls.reading import is_address
from veritls.report import VerificationReport, refused
from veritls.shown import moment_of

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
    "key_usage": (26, "unsuitable certificate purpose"),
    "ca_as_leaf": (26, "unsuitable certificate purpose"),
    "leaf_as_ca": (79, "invalid CA certificate"),
    "path_length": (25, "path length constraint exceeded"),
    "name_constraint": (47, "permitted subtree violation"),
    "too_complex": (22, "certificate chain too long"),
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
    "strict_authority_key_mismatch": (30, "authority and subject key identifier mismatch"),
    "strict_authority_serial_mismatch": (31, "authority and issuer serial number mismatch"),
    "strict_authority_key_incomplete": (41, "invalid or inconsistent certificate extension"),
    "strict_extension_invalid": (41, "invalid or inconsistent certificate extension"),
    "strict_criticality": (41, "invalid or inconsistent certificate extension"),
    "strict_key_usage_empty": (41, "invalid or inconsistent certificate extension"),
    "strict_name_constraints_for_non_ca": (41, "invalid or inconsistent certificate extension"),
    "strict_name_constraints_empty": (41, "invalid or inconsistent certificate extension"),
    "strict_name_form": (41, "invalid or inconsistent certificate extension"),
    "strict_name_constraint_form": (52, "unsupported or invalid name constraint syntax"),
    "strict_key": (66, "EE certificate key too weak"),
    "strict_authority_key": (67, "CA certificate key too weak"),
    "strict_list_number": (1, "unspecified certificate verification error"),
    "strict_serial_number": (1, "unspecified certificate verification error"),
    "not_allowed": (50, "application verification failure"),
    "not_pinned": (50, "application verification failure"),
    "callback": (50, "application verification failure"),
    "encoding": (1, "unspecified certificate verification error"),
    "other": (1, "unspecified certificate verification error"),
}
"""Why the engine refuses a certificate: kind -> (X509_V_ERR number, OpenSSL's words)."""

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


class SSLCertVerificationError(ssl.SSLCertVerificationError):
    """The standard exception, with a report: why the peer's certificate was refused."""

    report: VerificationReport


def _refusal(rejection: _engine.Rejection, question: Question) -> Refusal:
    trust = rejection.trust
    kind = refined(rejection.kind, rejection.detail, question.chain)
    presented, path = tuple(rejection.presented), tuple(rejection.path)
    plain = Refusal(kind, refusal_words(rejection), rejection.bound, presented, path)
    if trust is None:
        return plain
    known = replace(
        plain, anchors=trust.anchors, unread=tuple(trust.unread), above=trusted_above(question.chain, trust)
    )
    if not kind.startswith("revo"):
        return known
    return replace(known, lists=listed(Case(question, known).path, trust))


def _texts(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _question(rejection: _engine.Rejection) -> Question:
    time = rejection.time
    return Question(
        chain=tuple(rejection.chain),
        purpose=rejection.purpose,
        at=(moment_of(time) if time is not None else None) or datetime.now(UTC),
        server_hostname=rejection.server_hostname,
        revocation=rejection.revocation,
        strict=rejection.strict,
        allowed_peers=_texts(rejection.allowed_peers),
        pinned_keys=_texts(rejection.pinned_keys),
        ocsp=rejection.ocsp,
    )


def certificate_refused(rejection: _engine.Rejection) -> SSLCertVerificationError:
    """The error for a certificate that the engine refused."""
    question = _question(rejection)
    return verification_error(question, _refusal(rejection, question), rejection.cause)


def verification_error(
    question: Question, refusal: Refusal, cause: BaseException | None = None
) -> SSLCertVerificationError:
    """OpenSSL's code and words for a refusal, then one sentence of ours. `cause`: what a callback raised."""
    report = refused(question, refusal)
    kind, name = refusal.kind, question.server_hostname
    if kind == "name" and name is not None:
        number, label = (64, "IP address") if is_address(name) else (62, "Hostname")
        message = f"{label} mismatch, certificate is not valid for '{name}'."
    else:
        number, message = VERIFY_ERRORS.get(kind, VERIFY_ERRORS["other"])
    words = f"certificate verify failed: {message}{' ' if message.endswith('.') else ': '}{report.sentence}"
    error = ssl_error("CERTIFICATE_VERIFY_FAILED", words, kind=SSLCertVerificationError)
    assert isinstance(error, SSLCertVerificationError)
    error.verify_code = number
    error.verify_message = message
    error.report = report
    if cause is not None:
        error.__cause__ = cause
    return error


def _not_tls(start: bytes) -> ssl.SSLError:
    if start.startswith(_HTTP_STARTS):
        return ssl_error("HTTP_REQUEST", "http request: the client speaks HTTP without TLS")
    why = f"the peer does not speak TLS ({start!r})" if start else "the peer sent what is no TLS record"
    return ssl_error("WRONG_VERSION_NUMBER", f"wrong version number: {why}")


def _alert(number: int) -> ssl.SSLError:
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


def exception_for(failure: _engine.Failure) -> BaseException:
    """The exception for a failure of the engine."""
    match failure.code:
        case "want_read":
            text = "The operation did not complete (read)"
            return ssl.SSLWantReadError(int(ssl.SSL_ERROR_WANT_READ), text)
        case "want_write":
            text = "The operation did not complete (write)"
            return ssl.SSLWantWriteError(int(ssl.SSL_ERROR_WANT_WRITE), text)
        case "timeout":
            return TimeoutError("The operation timed out")
        case "unexpected_eof":
            text = "EOF occurred in violation of protocol"
            reason = "UNEXPECTED_EOF_WHILE_READING"
            return ssl_error(reason, text, kind=ssl.SSLEOFError, number=ssl.SSL_ERROR_EOF)
        case "closed":
            text = "TLS/SSL connection has been closed (EOF)"
            return ssl.SSLZeroReturnError(int(ssl.SSL_ERROR_ZERO_RETURN), text)
        case "hello_refused":
            return ssl_error("CALLBACK_FAILED", "callback failed: sni_callback refused the client")
        case "data_after_close":
            return ssl_error("APPLICATION_DATA_AFTER_CLOSE_NOTIFY", "application data after close notify")
        case "bad_write_retry":
            text = "bad write retry: an earlier write is unfinished; repeat that one, with the same data"
            return ssl_error("BAD_WRITE_RETRY", text)
        case "deciding":
            return ValueError(
                f"handshake not done yet: {CALLBACKS[failure.detail]} decides about this connection"
            )
        case "write_after_eof":
            return ssl.SSLError("cannot write() after write_eof()")
        case "no_memory":
            return MemoryError()
        case "forked":
            text = "forked: another thread worked on this connection when this process was forked"
            return ssl_error("FORKED", text)
        case "os":
            return OSError(failure.errno, os.strerror(failure.errno))
        case "alert_received":
            return _alert(failure.alert)
        case "no_peer_certificate":
            return ssl_error("PEER_DID_NOT_RETURN_A_CERTIFICATE", "peer did not return a certificate")
        case "certificate" if failure.rejection is not None:
            return certificate_refused(failure.rejection)
        case "not_tls":
            return _not_tls(failure.start)
        case "bad_record_mac":
            text = "decryption failed or bad record mac: a record was changed on its way"
            return ssl_error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", text)
        case "incompatible":
            return _incompatible(failure.detail)
        case "key_mismatch":
            return ssl_error("KEY_VALUES_MISMATCH", "key values mismatch: the key is of another certificate")
        case "unusable":
            return ssl_error("UNUSABLE", f"{THINGS[failure.what]} cannot be used: {words(failure.detail)}")
        case "protocol":
            return ssl_error("PROTOCOL_ERROR", words(failure.detail))
        case code:
            return ssl_error("INTERNAL_ERROR", f"internal error ({code}): {failure.detail}")


_engine.set_translator(exception_for)
