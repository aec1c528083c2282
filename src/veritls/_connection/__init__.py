"""One TLS connection as Python holds it: SSLSocket, SSLObject, what they share, and the session."""
