"""Every word that `HandshakeEvent.kind` can be: what is counted by kind has this many rows, and no more."""

from __future__ import annotations

import errno

from veritls._connection.telling import ALERT_NAMES
from veritls._explaining.verify_errors import VERIFY_ERRORS

REASONS = frozenset(
    {
        "application_data_after_close_notify",
        "bad_write_retry",
        "callback_failed",
        "data_before_handshake",
        "decryption_failed_or_bad_record_mac",
        "forked",
        "handshake_failure_on_client_hello",
        "http_request",
        "internal_error",
        "key_values_mismatch",
        "no_shared_cipher",
        "peer_did_not_return_a_certificate",
        "protocol_error",
        "unsupported_protocol",
        "unusable",
        "wrong_version_number",
    }
)
"""The reasons of the exceptions that end a handshake, in lower case."""

_OTHER_ENDS = frozenset(
    {"closed", "eof", "error", "no_byte", "no_memory", "os_error", "ssl_error", "timeout", "unknown_alert"}
)

KINDS = (
    REASONS
    | _OTHER_ENDS
    | VERIFY_ERRORS.keys()
    | frozenset(ALERT_NAMES.values())
    | {name.lower() for name in errno.errorcode.values()}
)
