"""The exceptions: one table from the engine's failure codes to those of `ssl`, with their words."""

import os
import ssl

from veritls import _engine
from veritls._explaining.reasons import ALERTS, ssl_error

_IN_HELLO = "HANDSHAKE_FAILURE_ON_CLIENT_HELLO"
_HTTP_STARTS = (b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"PATC", b"TRAC", b"CONN")


def _not_tls(start: bytes) -> ssl.SSLError:
    if start.startswith(_HTTP_STARTS):
        return ssl_error("HTTP_REQUEST", "http request: the client speaks HTTP without TLS")
    why = f"the peer does not speak TLS ({start!r})" if start else "the peer did not send a TLS record"
    return ssl_error("WRONG_VERSION_NUMBER", f"wrong version number: {why}")


def _alert(number: int) -> ssl.SSLError:
    reason, words = ALERTS.get(number, ("UNKNOWN_ALERT_TYPE", f"unknown alert {number}"))
    return ssl_error(reason, words)


_INCOMPATIBLE = {
    "no_own_certificate": (
        "NO_SHARED_CIPHER",
        "no shared cipher: no certificate is loaded on this server (load_cert_chain)",
    ),
    "cipher_suites": ("NO_SHARED_CIPHER", "no shared cipher"),
    "client_version": (
        "UNSUPPORTED_PROTOCOL",
        "unsupported protocol: the client offers no version that is enabled here",
    ),
    "server_version": (
        "UNSUPPORTED_PROTOCOL",
        "unsupported protocol: the server chose a version that is not enabled here",
    ),
    "groups": (_IN_HELLO, "no parameters in common with the peer: no key exchange group"),
    "point_formats": (_IN_HELLO, "no parameters in common with the peer: it takes no uncompressed points"),
    "signature_schemes": (_IN_HELLO, "no parameters in common with the peer: no signature algorithm"),
    "compression": (_IN_HELLO, "no parameters in common with the peer: it insists on compression"),
    "certificate_type": (_IN_HELLO, "no parameters in common with the peer: it takes no X.509 certificates"),
    "extended_master_secret": (_IN_HELLO, "no parameters in common with the peer: no extended master secret"),
    "missing_extension": (_IN_HELLO, "no parameters in common with the peer: its hello lacks an extension"),
    "other": (_IN_HELLO, "no parameters in common with the peer"),
}
"""What the two sides do not have in common -> reason and words."""


def _in_words(failure: _engine.Failure) -> Exception:
    """For a failure that the engine tells by a code and a detail."""
    from veritls._explaining.engine_words import CALLBACKS, unusable, words

    if failure.code == "callback_running":
        running = CALLBACKS[failure.detail]
        return ValueError(f"handshake not done yet: {running} is running for this connection")
    if failure.code == "unusable":
        return ssl_error("UNUSABLE", unusable(failure.what, failure.detail))
    return ssl_error("PROTOCOL_ERROR", words(failure.detail))


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
            text = "bad write retry: an earlier write is unfinished; repeat it with the same data"
            return ssl_error("BAD_WRITE_RETRY", text)
        case "callback_running":
            return _in_words(failure)
        case "unusable":
            return _in_words(failure)
        case "protocol":
            return _in_words(failure)
        case "write_after_eof":
            return ssl.SSLError("cannot write() after write_eof()")
        case "no_memory":
            return MemoryError()
        case "forked":
            text = "forked: another thread was using this connection when the process was forked"
            return ssl_error("FORKED", text)
        case "os":
            return OSError(failure.errno, os.strerror(failure.errno))
        case "alert_received":
            return _alert(failure.alert)
        case "no_peer_certificate":
            return ssl_error("PEER_DID_NOT_RETURN_A_CERTIFICATE", "peer did not return a certificate")
        case "certificate" if failure.rejection is not None:
            return _refused(failure.rejection)
        case "not_tls":
            return _not_tls(failure.start)
        case "bad_record_mac":
            text = "decryption failed or bad record mac: a record or the peer's Finished was altered"
            return ssl_error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", text)
        case "incompatible":
            return ssl_error(*_INCOMPATIBLE[failure.detail])
        case "key_mismatch":
            return ssl_error(
                "KEY_VALUES_MISMATCH",
                "key values mismatch: the private key does not belong to the certificate",
            )
        case code:
            return ssl_error("INTERNAL_ERROR", f"internal error ({code}): {failure.detail}")


def _refused(rejection: _engine.Rejection) -> Exception:
    """The error for a refused certificate; without a report where the modules that make it are out of reach.

    A process that can no longer read its own code (chroot, setuid, an upgrade in place) has to refuse as any
    other: a server that caught no ImportError would be ended by any client with a wrong certificate.
    """
    try:
        from veritls._explaining.refusals import certificate_refused
    except ImportError:
        words = "unspecified certificate verification error"
        kind = ssl.SSLCertVerificationError
        error = ssl_error("CERTIFICATE_VERIFY_FAILED", f"certificate verify failed: {words}", kind=kind)
        assert isinstance(error, kind)
        error.verify_code, error.verify_message = 1, words
        error.__cause__ = rejection.cause
        return error
    return certificate_refused(rejection)
