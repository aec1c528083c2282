"""The rules by their names, and the words for what no single operation shows."""

from __future__ import annotations

RULES: dict[str, str] = {
    "attribute": "an attribute of a context that cannot be set",
    "certificate-name": "code that reads the common name of a certificate",
    "ciphers": "cipher suites that do not exist here",
    "error-text": "code that compares the text of an error",
    "from-import": "a name that stays the standard class under veritls.inject()",
    "method": "a method that is not offered",
    "name": "a name that the module does not have",
    "other-tls": "a library that does TLS without ssl",
    "own-context": "a library that makes its own context",
    "password": "an encrypted key without a password",
    "protocol": "a protocol that is not offered",
    "settings": "a setting that has another effect, or none",
    "shutdown": "shutdown() of a connection",
    "switching": "sni_callback",
    "unverified": "a peer that is not verified",
    "versions": "TLS 1.0 and 1.1",
}
"""Each rule -> what it finds."""

ADVICE: dict[str, str] = {
    "hostname_checks_common_name": "have the certificate issued with a subjectAltName",
    "maximum_version": "leave it out, or set TLSVersion.TLSv1_2; the peer needs TLS 1.2",
    "post_handshake_auth": "ask for the certificate in the handshake: verify_mode on the server",
    "verify_client_post_handshake": "ask for the certificate in the handshake: verify_mode on the server",
    "security_level": "leave it out: the level is 2",
    "set_ciphers": "name suites that exist here (get_ciphers()), or leave it out",
    "set_ciphersuites": "name suites that exist here (get_ciphers()), or leave it out",
    "set_client_sigalgs": "leave it out: every algorithm of get_sigalgs() is secure",
    "set_server_sigalgs": "leave it out: every algorithm of get_sigalgs() is secure",
    "set_ecdh_curve": "name a group of get_groups(), or leave it out",
    "set_groups": "name groups of get_groups(), or leave it out",
    "set_npn_protocols": "set_alpn_protocols",
    "get_channel_binding": 'get_channel_binding("tls-server-end-point")',
    "set_psk_client_callback": "use certificates: there are no external pre-shared keys",
    "set_psk_server_callback": "use certificates: there are no external pre-shared keys",
    "verify_flags": "leave the flag out",
    "_msg_callback": "keylog_filename and a packet capture show the messages",
}
"""A member of a context or connection -> what to do where it raises."""

PROTOCOL = "PROTOCOL_TLS_CLIENT or PROTOCOL_TLS_SERVER; the peer needs TLS 1.2"

OWN_ATTRIBUTE = "correct it where it is misspelt; else declare it in a subclass of SSLContext"

TAKES_A_PROTOCOL: dict[str, tuple[int, str]] = {
    "_create_stdlib_context": (0, "protocol"),
    "_create_unverified_context": (0, "protocol"),
    "get_server_certificate": (1, "ssl_version"),
}
"""A function of `ssl` that makes a context -> the place and name of the argument that is its protocol."""

WITHOUT_EFFECT: dict[str, str] = {
    "OP_ENABLE_KTLS": "the engine encrypts, not the kernel",
    "OP_IGNORE_UNEXPECTED_EOF": "suppress_ragged_eofs decides",
    "OP_LEGACY_SERVER_CONNECT": "there is no renegotiation, so no server needs it",
}
"""An option that changes something with `ssl` and nothing here -> why."""

MAKES_OWN_CONTEXT: dict[str, str] = {
    "aiohttp": "give ssl= of the connector or request",
    "httpx": "give verify=",
    "paho": "call tls_set_context()",
    "redis": "nothing else: it takes no context",
    "requests": "mount an HTTPAdapter whose pool manager gets ssl_context=",
    "urllib3": "give ssl_context=",
    "uvicorn": "veritls.serving.uvicorn",
}
"""A package that makes a context where it is given none -> what else there is to do than to inject."""

CALLS_WITHOUT_CONTEXT: dict[tuple[str, str], tuple[int, str]] = {
    ("ftplib", "FTP_TLS"): (6, "context"),
    ("http.client", "HTTPSConnection"): (99, "context"),
    ("imaplib", "IMAP4_SSL"): (99, "ssl_context"),
    ("poplib", "POP3_SSL"): (99, "context"),
    ("smtplib", "SMTP_SSL"): (99, "context"),
    ("urllib.request", "urlopen"): (99, "context"),
}
"""A call of the standard library that makes a context where it is given none -> the place and name of the
argument that gives one."""

MAKES_FOR_HTTP = "_create_default_https_context"
"""What programs set in `ssl`, so that the standard library's HTTP makes other contexts."""

CONNECTS_BY_ASYNCIO = (
    "create_connection",
    "create_unix_connection",
    "open_connection",
    "open_unix_connection",
)
"""Functions of asyncio and methods of its event loop that make a context for ``ssl=True``."""

OTHER_TLS: dict[str, str] = {
    "OpenSSL": "pyOpenSSL has contexts of its own over OpenSSL",
    "grpc": "gRPC brings BoringSSL",
    "psycopg": "libpq does TLS",
    "psycopg2": "libpq does TLS",
    "pycurl": "libcurl does TLS",
}
"""A package that does TLS without the module `ssl` -> with what."""

GONE: dict[str, str] = {
    "RAND_pseudo_bytes": "secrets.token_bytes",
    "match_hostname": "SSLContext.check_hostname",
    "wrap_socket": "SSLContext.wrap_socket",
}
"""A function that Python 3.12 dropped from `ssl`, and that is here on 3.11 -> what to use."""
