"""The names of `veritls` itself: constants, enums, exceptions, functions, patterns."""

import socket
import ssl as standard
from typing import Any, assert_type

import veritls as ssl
from veritls.errors import SSLCertVerificationError


def alerts() -> list[ssl.AlertDescription]:
    return [
        ssl.ALERT_DESCRIPTION_ACCESS_DENIED,
        ssl.ALERT_DESCRIPTION_BAD_CERTIFICATE,
        ssl.ALERT_DESCRIPTION_BAD_CERTIFICATE_HASH_VALUE,
        ssl.ALERT_DESCRIPTION_BAD_CERTIFICATE_STATUS_RESPONSE,
        ssl.ALERT_DESCRIPTION_BAD_RECORD_MAC,
        ssl.ALERT_DESCRIPTION_CERTIFICATE_EXPIRED,
        ssl.ALERT_DESCRIPTION_CERTIFICATE_REVOKED,
        ssl.ALERT_DESCRIPTION_CERTIFICATE_UNKNOWN,
        ssl.ALERT_DESCRIPTION_CERTIFICATE_UNOBTAINABLE,
        ssl.ALERT_DESCRIPTION_CLOSE_NOTIFY,
        ssl.ALERT_DESCRIPTION_DECODE_ERROR,
        ssl.ALERT_DESCRIPTION_DECOMPRESSION_FAILURE,
        ssl.ALERT_DESCRIPTION_DECRYPT_ERROR,
        ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE,
        ssl.ALERT_DESCRIPTION_ILLEGAL_PARAMETER,
        ssl.ALERT_DESCRIPTION_INSUFFICIENT_SECURITY,
        ssl.ALERT_DESCRIPTION_INTERNAL_ERROR,
        ssl.ALERT_DESCRIPTION_NO_RENEGOTIATION,
        ssl.ALERT_DESCRIPTION_PROTOCOL_VERSION,
        ssl.ALERT_DESCRIPTION_RECORD_OVERFLOW,
        ssl.ALERT_DESCRIPTION_UNEXPECTED_MESSAGE,
        ssl.ALERT_DESCRIPTION_UNKNOWN_CA,
        ssl.ALERT_DESCRIPTION_UNKNOWN_PSK_IDENTITY,
        ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME,
        ssl.ALERT_DESCRIPTION_UNSUPPORTED_CERTIFICATE,
        ssl.ALERT_DESCRIPTION_UNSUPPORTED_EXTENSION,
        ssl.ALERT_DESCRIPTION_USER_CANCELLED,
    ]


def options() -> list[ssl.Options]:
    print(ssl.OP_ALL | ssl.OP_NO_TICKET)  # typeshed has a number for it
    return [
        ssl.OP_CIPHER_SERVER_PREFERENCE,
        ssl.OP_ENABLE_KTLS,
        ssl.OP_ENABLE_MIDDLEBOX_COMPAT,
        ssl.OP_IGNORE_UNEXPECTED_EOF,
        ssl.OP_LEGACY_SERVER_CONNECT,
        ssl.OP_NO_COMPRESSION,
        ssl.OP_NO_RENEGOTIATION,
        ssl.OP_NO_SSLv2,
        ssl.OP_NO_SSLv3,
        ssl.OP_NO_TICKET,
        ssl.OP_NO_TLSv1,
        ssl.OP_NO_TLSv1_1,
        ssl.OP_NO_TLSv1_2,
        ssl.OP_NO_TLSv1_3,
        ssl.OP_SINGLE_DH_USE,
        ssl.OP_SINGLE_ECDH_USE,
    ]


def flags() -> list[ssl.VerifyFlags]:
    return [
        ssl.VERIFY_ALLOW_PROXY_CERTS,
        ssl.VERIFY_CRL_CHECK_CHAIN,
        ssl.VERIFY_CRL_CHECK_LEAF,
        ssl.VERIFY_DEFAULT,
        ssl.VERIFY_X509_PARTIAL_CHAIN,
        ssl.VERIFY_X509_STRICT,
        ssl.VERIFY_X509_TRUSTED_FIRST,
    ]


def modes() -> list[ssl.VerifyMode]:
    return [ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED]


def numbers() -> list[ssl.SSLErrorNumber]:
    return [
        ssl.SSL_ERROR_EOF,
        ssl.SSL_ERROR_INVALID_ERROR_CODE,
        ssl.SSL_ERROR_SSL,
        ssl.SSL_ERROR_SYSCALL,
        ssl.SSL_ERROR_WANT_CONNECT,
        ssl.SSL_ERROR_WANT_READ,
        ssl.SSL_ERROR_WANT_WRITE,
        ssl.SSL_ERROR_WANT_X509_LOOKUP,
        ssl.SSL_ERROR_ZERO_RETURN,
    ]


def protocols() -> list[int]:
    return [
        ssl.PROTOCOL_SSLv23,
        ssl.PROTOCOL_TLS,
        ssl.PROTOCOL_TLS_CLIENT,
        ssl.PROTOCOL_TLS_SERVER,
        ssl.PROTOCOL_TLSv1,
        ssl.PROTOCOL_TLSv1_1,
        ssl.PROTOCOL_TLSv1_2,
    ]


def features() -> list[bool]:
    return [
        ssl.HAS_ALPN,
        ssl.HAS_ECDH,
        ssl.HAS_NEVER_CHECK_COMMON_NAME,
        ssl.HAS_NPN,
        ssl.HAS_PHA,
        ssl.HAS_PSK,
        ssl.HAS_PSK_TLS13,
        ssl.HAS_SNI,
        ssl.HAS_SSLv2,
        ssl.HAS_SSLv3,
        ssl.HAS_TLSv1,
        ssl.HAS_TLSv1_1,
        ssl.HAS_TLSv1_2,
        ssl.HAS_TLSv1_3,
    ]


def words() -> list[str]:
    return [ssl.OPENSSL_VERSION, ssl.PEM_FOOTER, ssl.PEM_HEADER, *ssl.CHANNEL_BINDING_TYPES]


def functions(der: bytes) -> None:
    assert_type(ssl.DER_cert_to_PEM_cert(der), str)
    assert_type(ssl.PEM_cert_to_DER_cert(""), bytes)
    assert_type(ssl.RAND_bytes(16), bytes)
    assert_type(ssl.RAND_status(), bool)
    ssl.RAND_add(b"x", 0.0)
    assert_type(ssl.cert_time_to_seconds("Jan  5 09:34:43 2018 GMT"), int)
    assert_type(ssl.get_protocol_name(ssl.PROTOCOL_TLS), str)
    assert_type(ssl.get_default_verify_paths(), ssl.DefaultVerifyPaths)
    assert_type(ssl.get_sigalgs(), list[str])
    assert_type(ssl.get_server_certificate(("localhost", 443), timeout=1.0), str)
    newest: standard.TLSVersion = ssl.TLSVersion.TLSv1_3
    version: tuple[int, ...] = ssl.OPENSSL_VERSION_INFO
    print(newest, version, ssl.OPENSSL_VERSION_NUMBER + 1)
    ssl.inject()
    ssl.extract()


def contexts() -> ssl.SSLContext:
    assert_type(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem"), ssl.SSLContext)
    assert_type(ssl.create_default_context(cadata=b""), ssl.SSLContext)
    as_standard: standard.SSLContext = ssl.create_default_context()
    print(as_standard)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def patterns(context: ssl.SSLContext, chain: bytes) -> bool:
    some = [
        ssl.DNSPattern("*.example.org"),
        ssl.Email("a@example.org"),
        ssl.Network("192.0.2.0/24"),
        ssl.SPIFFE("spiffe://example.org/**"),
        ssl.URI("https://example.org/a"),
    ]
    context.allowed_peers = some
    assert_type(ssl.URI("https://example.org/a").value, str)
    return some[0].matches(chain)


def errors(context: ssl.SSLContext, sock: socket.socket) -> str:
    try:
        context.wrap_socket(sock)
    except ssl.SSLCertVerificationError as error:
        assert_type(error, SSLCertVerificationError)
        assert_type(error.report, ssl.VerificationReport)
        assert_type(error.verify_code, int)
        assert_type(error.verify_message, str)
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
        return "gone"
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return "later"
    except ssl.SSLError as error:
        assert_type(error.reason, str)
        return error.library
    try:
        return context.verify_chain(b"").sentence
    except ssl.CertificateError as error:
        return error.report.sentence


def material(identity: ssl.OwnIdentity, entry: ssl.TrustEntry, session: ssl.SSLSession) -> list[Any]:
    assert_type(identity.chain, tuple[bytes, ...])
    assert_type(identity.names, tuple[tuple[str, str], ...])
    assert_type(entry.der, bytes)
    assert_type(entry.trust_domain, str | None)
    assert_type(session.id, bytes)
    assert_type(session.has_ticket, bool)
    return [
        identity.key,
        identity.not_after,
        identity.sha256,
        identity.subject,
        entry.expires,
        entry.kind,
        entry.name,
        entry.source,
        session.time + session.timeout + session.ticket_lifetime_hint,
    ]
