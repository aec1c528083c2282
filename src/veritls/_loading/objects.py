"""What `cryptography` is needed for: its objects as DER, CRLs in PEM, keys in any encoding, PKCS#12.

Its import takes three times as long as that of `ssl`, so this module is imported where one of these is met.
"""

from __future__ import annotations

from typing import Any, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from veritls._explaining.reasons import ssl_error


def certificate_der(value: object) -> bytes | None:
    """A certificate of `cryptography` as DER; None for anything else."""
    return value.public_bytes(Encoding.DER) if isinstance(value, x509.Certificate) else None


def crl_der(value: object) -> bytes | None:
    """A CRL of `cryptography` as DER; None for anything else."""
    return value.public_bytes(Encoding.DER) if isinstance(value, x509.CertificateRevocationList) else None


def is_key(value: object) -> bool:
    """Whether it is a private key of `cryptography`."""
    return isinstance(value, get_args(PrivateKeyTypes))


def pem_crls(blocks: list[bytes], where: str) -> list[bytes]:
    """CRLs, each a PEM block, as DER. Raises ssl.SSLError naming `where` for a malformed one."""
    try:
        return [x509.load_pem_x509_crl(block).public_bytes(Encoding.DER) for block in blocks]
    except (ValueError, x509.InvalidVersion) as why:
        words = f"PEM lib: a CRL in {where} is malformed: {why}"
        raise ssl_error("PEM_LIB", words) from None


def key_der(key: Any, where: str) -> bytes:
    """A private key of `cryptography` as PKCS#8. Raises ssl.SSLError where it cannot be exported."""
    try:
        der: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm, NotImplementedError) as why:
        raise ssl_error(
            "UNUSABLE", f"the private key in {where} cannot be exported, as the engine needs it: {why}"
        ) from None
    return der


def is_encrypted(data: bytes) -> bool:
    """Whether it is an encrypted private key in DER."""
    try:
        load_der_private_key(data, None)
    except TypeError:
        return True
    except (ValueError, UnsupportedAlgorithm):
        pass
    return False


def loaded_key(block: bytes, where: str, *, pem: bool, secret: bytes | None) -> bytes:
    """A private key that the engine does not read as it is. Raises ssl.SSLError where it cannot be loaded."""
    load = load_pem_private_key if pem else load_der_private_key
    try:
        # The engine checks RSA keys; to prove their primes here as well would take a tenth of a second.
        key = load(block, secret, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as why:
        hint = "the password is wrong or the key is malformed" if secret else f"the key is malformed: {why}"
        raise ssl_error("PEM_LIB", f"PEM lib: the private key in {where} cannot be loaded: {hint}") from None
    return key_der(key, where)


def in_order(own: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """`own` and the intermediates above it; PKCS#12 keeps certificates in any order."""
    chain = [own]
    while chain[-1].issuer != chain[-1].subject:
        above = [each for each in others if each.subject == chain[-1].issuer and each not in chain]
        above = [each for each in above if each.subject != each.issuer]
        if not above:
            break
        chain.append(above[0])
    return chain


def in_pkcs12(data: bytes, where: str, secret: bytes | None) -> tuple[list[bytes], bytes]:
    """The chain (DER) and the key (PKCS#8) of a PKCS#12 file. Raises ssl.SSLError, naming `where`."""
    try:
        loaded = pkcs12.load_pkcs12(data, secret)
    except (ValueError, UnsupportedAlgorithm) as why:
        words = f"PKCS#12 {where} cannot be loaded: {why}"
        raise ssl_error("PKCS12_LIB", words, library="PKCS12") from None
    key, own = loaded.key, loaded.cert
    if key is None or own is None:
        lacks = "private key" if key is None else "certificate for its key"
        raise ssl_error("PKCS12_LIB", f"PKCS#12 {where} contains no {lacks}", library="PKCS12")
    chain = in_order(own.certificate, [each.certificate for each in loaded.additional_certs])
    return [each.public_bytes(Encoding.DER) for each in chain], key_der(key, where)
