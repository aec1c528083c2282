"""The exceptions: one table from the engine's failure codes to those of `ssl`, with their words."""

import os
import ssl
from typing import Any

from veritls._explaining.reasons import ALERTS, ssl_error
from veritls._explaining.refusals import certificate_refused

_HTTP_STARTS = (b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"PATC", b"TRAC", b"CONN")


def _not_tls(evidence: dict[str, Any]) -> ssl.SSLError:
    if evidence["start"].startswith(_HTTP_STARTS):
        return ssl_error("HTTP_REQUEST", "http request: the client speaks HTTP without TLS")
    start = evidence["start"]
    why = f"the peer does not speak TLS ({start!r})" if start else "the peer sent what is no TLS record"
    return ssl_error("WRONG_VERSION_NUMBER", f"wrong version number: {why}")


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
            words = "bad write retry: an earlier write is unfinished; repeat that one, with the same data"
            return ssl_error("BAD_WRITE_RETRY", words)
        case "deciding":
            return ValueError(f"handshake not done yet: {detail} decides about this connection")
        case "write_after_eof":
            return ssl.SSLError("cannot write() after write_eof()")
        case "no_memory":
            return MemoryError()
        case "forked":
            words = "forked: another thread worked on this connection when this process was forked"
            return ssl_error("FORKED", words)
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
        case "bad_record_mac":
            words = "decryption failed or bad record mac: a record was changed on its way"
            return ssl_error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", words)
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
