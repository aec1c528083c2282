"""Versions and cipher suites by their IANA numbers, with the names that OpenSSL and so `ssl` give them."""

VERSIONS = {0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}

SUITES: dict[int, tuple[str, str, int]] = {
    0x1301: ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128),
    0x1302: ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256),
    0x1303: ("TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", 256),
    0xC02B: ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2", 128),
    0xC02C: ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", 256),
    0xCCA9: ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", 256),
    0xC02F: ("ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2", 128),
    0xC030: ("ECDHE-RSA-AES256-GCM-SHA384", "TLSv1.2", 256),
    0xCCA8: ("ECDHE-RSA-CHACHA20-POLY1305", "TLSv1.2", 256),
}
"""number -> (OpenSSL's name, protocol version, secret bits): every suite that the engine has."""


def describe(suite: int) -> tuple[str, str, int]:
    """The three things that `SSLSocket.cipher()` says about a suite."""
    return SUITES.get(suite, (f"0x{suite:04X}", "", 0))
