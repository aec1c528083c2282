"""Every word that the `kind` of an event can be: what is counted by kind has this many rows, and no more.

`KINDS`: of a HandshakeEvent. `FAILURES`: of a MaterialEvent whose outcome is "failed"; a source of somebody's
own that raises an SSLError can add words, which are then not counted each for itself.
"""

from __future__ import annotations

import errno

from veritls._connection.telling import ALERT_NAMES
from veritls._explaining.verify_errors import VERIFY_ERRORS

REASONS = frozenset(
    {
        "application_data_after_close_notify",
        "bad_write_retry",
        "callback_failed",
        "certificate_verify_failed",
        "data_before_handshake",
        "decryption_failed_or_bad_record_mac",
        "forked",
        "handshake_failure_on_client_hello",
        "http_request",
        "internal_error",
        "key_values_mismatch",
        "material_stale",
        "no_shared_cipher",
        "peer_did_not_return_a_certificate",
        "protocol_error",
        "unsupported_protocol",
        "unusable",
        "wrong_version_number",
    }
)
"""The reasons of the exceptions that end a handshake, in lower case."""

_OTHERS = frozenset(
    {
        "closed",
        "eof",
        "error",
        "name",
        "no_byte",
        "no_memory",
        "os_error",
        "ssl_error",
        "timeout",
        "unknown_alert",
    }
)

KINDS = (
    REASONS
    | _OTHERS
    | VERIFY_ERRORS.keys()
    | frozenset(ALERT_NAMES.values())
    | {name.lower() for name in errno.errorcode.values()}
)

FAILURES = frozenset(
    {
        "asn1_lib",
        "bad_password_read",
        "crl_signature_failure",
        "error",
        "expired",
        "key_values_mismatch",
        "missing",
        "no_memory",
        "no_start_line",
        "not_enough_data",
        "not_yet_valid",
        "os_error",
        "pem_lib",
        "permission",
        "pkcs12_lib",
        "ssl_error",
        "timeout",
        "unusable",
    }
)
