"""veritls against TLS programs of other projects.

cases.py has the cases and how each must end, peer.py what a driver offers, registry.py the peers; one driver
a file. A case that a peer cannot take part in stands in the driver's `cannot` (`cannot_resume` for a second
connection, with the session of the first), and its test is skipped with the reason. A proxy's driver has the
plain end of it, too. What the programs do differently:

| peer | difference | what the driver does |
| --- | --- | --- |
| curl | is only a client, and speaks HTTP | awaits an HTTP request, answers in HTTP |
| nginx | is only a server, and speaks HTTP | sends an HTTP request |
| nginx | ends the handshake whatever certificate comes, and answers 400 if it refuses it | awaits the 400 |
| Node.js | ends the connection without an alert when it refuses a certificate | only the end is asserted |
| openssl s_server | does not end a handshake for an invalid certificate by itself | -verify_return_error |
| openssl s_server | has no fixed answer to a line but the same one in reverse (-rev) | awaits that |
| gnutls-serv | only echoes; -r alone takes any certificate | awaits the echo; --verify-client-cert |
| gnutls-serv | does not say which alert ended a handshake | only that one did is asserted |
| gnutls-serv | says decode_error to an empty TLS 1.2 certificate, from any client | allows that alert |
| gnutls-serv | listens on every interface, on a port that must be given | a port free a moment before |
| HAProxy | as a client, does not say which alert came after its handshake | only the end is asserted |
| Caddy | as a server and as a client speaks HTTP | two drivers |
| Caddy | as a client, has no setting for the version | veritls alone pins it |
| wolfSSL | as a client, refuses a ticket whose nonce has over 8 bytes, as those of rustls and mbedTLS 3 do, \
unless it was built with WOLFSSL_TICKET_NONCE_MALLOC | veritls sends it no tickets |
| wolfSSL | as a client of TLS 1.2, refuses a full handshake if its ticket is not taken, with OpenSSL, too | \
only the end is asserted |
| curl | takes no tickets in TLS 1.2, only session IDs, which veritls does not keep | is left out there |
| utls | as a client, shows no ticket of TLS 1.3 | is left out there |
| Caddy | as a client, keeps no sessions | is left out there |
| wolfSSL, mbedTLS | end TLS 1.2 without an alert for want of a certificate | only the end is asserted |
| mbedTLS | Debian's has no TLS 1.3 | is left out there |
| mbedTLS | as a server, goes on with an invalid certificate if none is required | a callback refuses it |
| hitch | is only a server: as a client it verifies nothing, and shows no certificate | a server alone |
| hitch | its workers refuse to be root | they are nobody |
| hitch | listens on a port that must be given | a port free a moment before |
"""
