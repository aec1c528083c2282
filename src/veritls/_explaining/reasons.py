"""The alerts with OpenSSL's words, and errors of the shape that `ssl` gives them.

The alerts are RFC 8446's, section 6, and RFC 5246's, section 7.2, spelt as OpenSSL spells its reasons.
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
