"""Signature algorithms (RFC 8446, section 4.2.3) by their IANA numbers, with OpenSSL's names for them."""

from veritls import _engine

NAMES: dict[int, str] = {
    0x0401: "rsa_pkcs1_sha256",
    0x0403: "ecdsa_secp256r1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0807: "ed25519",
    0x0904: "mldsa44",
    0x0905: "mldsa65",
    0x0906: "mldsa87",
}


def name_of(number: int) -> str:
    """The name of a signature algorithm."""
    return NAMES.get(number, f"0x{number:04x}")


def get_sigalgs() -> list[str]:
    """The signature algorithms for handshakes, the preferred first: `ssl.get_sigalgs` of Python 3.15."""
    return [name_of(number) for number in _engine.signature_schemes()]
