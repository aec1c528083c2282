"""What differs from `ssl`, as one list: shown in docs/compatibility.md, and what the tests hold it to."""

NOT_OFFERED: dict[str, str] = {
    "TLS 1.0, TLS 1.1, SSL 2 and 3": "HAS_ constants are False; PROTOCOL_ constants and versions: ValueError",
    "finite-field Diffie-Hellman, RSA key exchange, CBC and RC4 suites, PSK suites": (
        "no cipher string selects them; load_dh_params() reads the file and warns"
    ),
    "pre-shared keys": "HAS_PSK is False; set_psk_..._callback: NotImplementedError",
    "post-handshake authentication": (
        "HAS_PHA is False; post_handshake_auth is None; verify_client_post_handshake: NotImplementedError"
    ),
    "renegotiation and compression": "compression() is None",
    "NPN": "HAS_NPN is False; selected_npn_protocol() is None; set_npn_protocols: NotImplementedError",
    "tls-unique and tls-exporter channel bindings": "not in CHANNEL_BINDING_TYPES; ValueError",
    "a choice of signature algorithms": "set_client_sigalgs, set_server_sigalgs: NotImplementedError",
    "key exchange groups that get_groups() does not name: P-521, X448, finite fields": (
        "set_groups: SSLError; set_ecdh_curve: ValueError"
    ),
    "VERIFY_ALLOW_PROXY_CERTS": "verify_flags: ValueError",
    "security levels above 2": "set_ciphers('@SECLEVEL=3'): SSLError",
    "RSA keys below 2048 bits and signatures with SHA-1: the security level is 2": (
        "SSLError; security_level cannot be set"
    ),
    "keys whose certificate names RSASSA-PSS (signatures with RSASSA-PSS are offered)": "SSLError",
    "TLS 1.3 tickets for wolfSSL built without WOLFSSL_TICKET_NONCE_MALLOC: over 8 bytes of nonce": (
        "the client fails as it reads; num_tickets = 0 serves it"
    ),
    "the private _msg_callback": "None, and cannot be set",
}
"""What the engine does not do -> how the interface says so."""

SAFER: dict[str, str] = {
    "the common name is never a host name (RFC 9525)": (
        "HAS_NEVER_CHECK_COMMON_NAME; hostname_checks_common_name is False, and cannot be turned on"
    ),
    "maximum_version cannot be set below TLS 1.2, and nothing older is spoken": "ValueError",
    "without a common ALPN protocol the handshake ends (RFC 7301)": "SSLError on both sides",
    "shutdown() sends close_notify and leaves TLS on; only unwrap() gives plain TCP": "SSLError",
    "after sni_callback switched contexts, the demands of both hold (mode, flags, peers, versions, suites)": (
        "SSLError"
    ),
    "a connection cannot be used while its sni_callback or verify callback runs": "ValueError",
    "a public attribute that SSLContext does not have cannot be set": "AttributeError",
    "a session is resumed only while either side would accept the other now": "a handshake in full",
    "a session is resumed for max_resumption_age after its last full handshake, 24 hours": (
        "a handshake in full"
    ),
    "an SSLSocket that is not connected, is closed or is being closed passes nothing in the clear": (
        "OSError: ENOTCONN or EBADF"
    ),
    "close() ends what other threads wait for on the connection": "OSError: EBADF",
    "a connection that another thread was working on at a fork cannot be used in the child": (
        "SSLError: FORKED"
    ),
    "a write that is left unfinished can only be gone on with": "SSLError: BAD_WRITE_RETRY",
    "a chain whose verification would cost over fifty ordinary ones is refused": "SSLCertVerificationError",
    "where a CA demands a certificate policy (requireExplicitPolicy), a path without one is refused": (
        "SSLCertVerificationError"
    ),
    "a CRL of one distribution point says nothing about certificates that name no point": (
        "SSLCertVerificationError"
    ),
    "a TLS 1.3 ticket is used once": "a handshake in full",
    "until its handshake has ended, only sni_callback can set the context of a connection": "ValueError",
    "a socket that was refused for its server_hostname stays open, and the caller's": "ValueError",
    "there is no password prompt": "SSLError",
    "a capath folder is read when it is named, not during handshakes": "load again to see new files",
    "a stapled OCSP response that is not good refuses the server (RFC 6066, section 8)": (
        "SSLCertVerificationError"
    ),
    "a certificate for other names comes beside the one that is loaded, not in its place": (
        "clients get the one for the name that they ask for, else the newest"
    ),
    "wrap_bio(), too, refuses a client under check_hostname that has no server_hostname": (
        "ValueError; `ssl` would accept any server with a valid certificate"
    ),
    "a capath that cannot be read is refused when it is named": "OSError; `ssl` takes it for an empty one",
    "session IDs without tickets (TLS 1.2) are not resumed: a server keeps nothing of a client": (
        "a handshake in full with a client that takes no tickets"
    ),
    "a cipher string without a suite that exists here leaves TLS 1.3 alone": (
        "get_ciphers(); SSLError from a connection where TLS 1.3 is off"
    ),
    "OP_IGNORE_UNEXPECTED_EOF has no effect": "suppress_ragged_eofs decides",
}
"""Where a default is safer than that of `ssl` -> what a program sees."""

NEITHER: tuple[str, ...] = (
    "a client's callback for want of a certificate of its own",
    "a fatal alert, a key update or a padding request that the program asks for",
    "a limit on the peer's chain or on the size of records",
    "a record of which the program sends a part only, over a socket (wrap_bio gives the bytes)",
    (
        "application settings (ALPS), channel IDs, certificate compression, delegated credentials, PAKE, "
        "trust anchor identifiers"
    ),
    "asyncio: a session for a client, a second handshake, what comes after close()",
    (
        "certificates chosen by issuer, names of CAs apart from trust, "
        "digests of client certificates in their place"
    ),
    "DTLS",
    "early data (0-RTT), false start",
    "Encrypted Client Hello, GREASE",
    "handshakes that another process makes (hints), slow private keys, a workaround for JDK 11",
    "key shares apart from groups; groups and suites of equal preference",
    "named policies (FIPS, CNSA, WPA)",
    "QUIC",
    "raw public keys",
    "reading without taking (MSG_PEEK)",
    "sessions under other names, session ID contexts, a clock of the program's own",
    "signed certificate timestamps",
    "ticket keys and callbacks",
)
"""What `ssl` has no interface for, and veritls has none either; BoGo asks for it."""
