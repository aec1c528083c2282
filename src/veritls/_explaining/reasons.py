"""OpenSSL's numbers and words, as tables, and errors of the shape that `ssl` gives them.

Numbers and words of refused certificates are OpenSSL's ``X509_V_ERR_*``; those of alerts are RFC 8446's
section 6 and RFC 5246's section 7.2, spelt as OpenSSL spells its reasons.
"""

import ssl

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
    "no_explicit_policy": (43, "no explicit policy"),
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


def words_of(error: ssl.SSLError) -> str:
    """The words of an error that `ssl_error` made, without "[SSL: REASON]"."""
    return str(error.args[1]).removeprefix(f"[{error.library}: {error.reason}] ")
