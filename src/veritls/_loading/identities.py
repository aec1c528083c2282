"""Own certificates and keys, from files or memory. Encrypted ones are decrypted by `cryptography`."""

import os
import ssl
from collections.abc import Callable, Iterable
from typing import TypeAlias, get_args

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

from veritls import _engine
from veritls._explaining.reasons import ssl_error, words_of
from veritls._loading.pem import (
    Content,
    from_pem,
    is_content,
    is_pem,
    pem_blocks,
    pem_certificates,
    read_content,
)

Password: TypeAlias = str | bytes | bytearray | Callable[[], str | bytes | bytearray] | None
CertificateSource: TypeAlias = Content | x509.Certificate | Iterable[x509.Certificate]
KeySource: TypeAlias = Content | PrivateKeyTypes

MAX_PASSWORD = 1024
"""The maximum length of a password in bytes, as in `ssl`."""


def password_bytes(password: Password) -> bytes | None:
    """A password as bytes; a callable is called for it. Raises TypeError and ValueError as `ssl` does."""
    if password is None:
        return None
    if callable(password):
        password = password()
        if not isinstance(password, str | bytes | bytearray):
            raise TypeError("password callback must return a string")
    elif not isinstance(password, str | bytes | bytearray):
        raise TypeError("password should be a string or callable")
    secret = password.encode() if isinstance(password, str) else bytes(password)
    if len(secret) > MAX_PASSWORD:
        raise ValueError(f"password cannot be longer than {MAX_PASSWORD} bytes")
    return secret


def _certificates(source: CertificateSource) -> tuple[list[bytes], str, bytes | None]:
    """The chain (DER), its source, and the text or DER that contained it, if any."""
    if isinstance(source, x509.Certificate):
        source = [source]
    if isinstance(source, str | bytes | bytearray | memoryview | os.PathLike):
        data, where = read_content(source, "certificate")
        if is_pem(data) or not is_content(source):
            return pem_certificates(data, where), where, data
        try:
            return _engine.split_certificates(data), where, data
        except ssl.SSLError as why:
            words = f"a certificate in {where} is malformed: {words_of(why)}"
            raise ssl_error("ASN1_LIB", words) from None
    if not isinstance(source, Iterable):
        raise TypeError("certfile should be a valid filesystem path, bytes or certificates")
    chain = list(source)
    if not all(isinstance(each, x509.Certificate) for each in chain):
        raise TypeError("certfile should be a valid filesystem path, bytes or certificates")
    if not chain:
        raise ssl_error("NO_START_LINE", "certfile is empty: no certificate was given")
    return [each.public_bytes(Encoding.DER) for each in chain], "the certificates given", None


def _key_der(key: PrivateKeyTypes, where: str) -> bytes:
    try:
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm, NotImplementedError) as why:
        raise ssl_error(
            "UNUSABLE", f"the private key in {where} cannot be exported, as the engine needs it: {why}"
        ) from None


def _encrypted_der(data: bytes) -> bool:
    try:
        load_der_private_key(data, None)
    except TypeError:
        return True
    except (ValueError, UnsupportedAlgorithm):
        pass
    return False


def _plain_der(block: bytes) -> bytes:
    """A key that is not encrypted, as DER for the engine, which accepts more encodings than `cryptography`.

    Among them are EC keys without the leading zeros of RFC 5915, section 3: OpenSSL made such keys.
    """
    try:
        return from_pem(block) if is_pem(block) else block
    except ValueError:
        return b""


def _private_key(data: bytes, where: str, password: Password) -> bytes:
    load, block = load_pem_private_key, data
    if is_pem(data) or b"\0" not in data:
        blocks = pem_blocks(data)
        keys = [block for label, block in blocks if label.endswith(b"PRIVATE KEY")]
        if not keys:
            found = ", ".join(sorted({label.decode() for label, _ in blocks})) or "no PEM block"
            words = f"PEM lib: no start line: no private key in {where}, but {found}"
            raise ssl_error("NO_START_LINE", words)
        block = keys[0]
        encrypted = block.startswith(b"-----BEGIN ENCRYPTED") or b"ENCRYPTED" in block.split(b"\n\n")[0]
    else:
        load, encrypted = load_der_private_key, _encrypted_der(data)
    if not encrypted and password is not None and not callable(password):
        password_bytes(password)  # the wrong type or length is an error, needed or not
    secret = password_bytes(password) if encrypted else None
    if encrypted and not secret:
        raise ssl_error("BAD_PASSWORD_READ", f"bad password read: the key in {where} needs a password")
    try:
        # The engine checks RSA keys; to prove their primes here as well would take a tenth of a second.
        key = load(block, secret, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as why:
        plain = b"" if encrypted else _plain_der(block)
        if _engine.is_private_key(plain):
            return plain
        hint = (
            "the password is wrong or the key is malformed" if encrypted else f"the key is malformed: {why}"
        )
        raise ssl_error("PEM_LIB", f"PEM lib: the private key in {where} cannot be loaded: {hint}") from None
    return _key_der(key, where)


def _identity(chain: list[bytes], key: bytes, where: str, key_where: str) -> _engine.Identity:
    try:
        return _engine.Identity(chain, key)
    except ssl.SSLError as error:
        words = f"{words_of(error)} (certificate {where}, key {key_where})"
        raise ssl_error(str(error.reason), words) from None


def load_identity(
    certfile: CertificateSource, keyfile: KeySource | None, password: Password
) -> _engine.Identity:
    """The chain of `certfile`, own certificate first, and the key of `keyfile` (or of `certfile`).

    Raises OSError for a file that cannot be read; ssl.SSLError, naming file and reason, where the certificate
    or key is missing or malformed, for a wrong or missing password and for a key of another certificate;
    TypeError and ValueError for a password of the wrong type or length, and for sources of the wrong type.
    """
    chain, where, certificate_data = _certificates(certfile)
    if isinstance(keyfile, get_args(PrivateKeyTypes)):
        return _identity(chain, _key_der(keyfile, "memory"), where, "the key given")
    if keyfile is not None:
        if not isinstance(keyfile, str | bytes | bytearray | memoryview | os.PathLike):
            raise TypeError("keyfile should be a valid filesystem path, bytes or a private key")
        key_data, key_where = read_content(keyfile, "key")
    elif certificate_data is None:
        raise ssl_error("NO_START_LINE", "no private key was given with the certificates: give it as keyfile")
    else:
        key_data, key_where = certificate_data, where
        if not is_pem(key_data) and b"\0" in key_data:
            raise ssl_error(
                "NO_START_LINE",
                f"{where} contains certificates in DER, but no private key: give it as keyfile",
            )
    return _identity(chain, _private_key(key_data, key_where, password), where, key_where)


def _ordered(own: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """`own` and the intermediates above it; PKCS#12 keeps certificates in any order."""
    chain = [own]
    while chain[-1].issuer != chain[-1].subject:
        above = [each for each in others if each.subject == chain[-1].issuer and each not in chain]
        above = [each for each in above if each.subject != each.issuer]
        if not above:
            break
        chain.append(above[0])
    return chain


def load_pkcs12_identity(source: Content, password: Password) -> _engine.Identity:
    """The key, its certificate and those above it (self-issued ones left out) of a PKCS#12 file or its bytes.

    Raises OSError for a file that cannot be read; ssl.SSLError, naming it, for a wrong or missing password
    and for a file without the key or its certificate; TypeError and ValueError for a password of the wrong
    type or length.
    """
    if not isinstance(source, str | bytes | bytearray | memoryview | os.PathLike):
        raise TypeError(f"source must be a path or the bytes of a PKCS#12 file, not {type(source).__name__}")
    data, where = read_content(source, "PKCS#12")
    secret = password_bytes(password)
    try:
        loaded = pkcs12.load_pkcs12(data, secret)
    except (ValueError, UnsupportedAlgorithm) as why:
        words = f"PKCS#12 {where} cannot be loaded: {why}"
        raise ssl_error("PKCS12_LIB", words, library="PKCS12") from None
    key, own = loaded.key, loaded.cert
    if key is None or own is None:
        lacks = "private key" if key is None else "certificate for its key"
        raise ssl_error("PKCS12_LIB", f"PKCS#12 {where} contains no {lacks}", library="PKCS12")
    chain = _ordered(own.certificate, [each.certificate for each in loaded.additional_certs])
    ders = [each.public_bytes(Encoding.DER) for each in chain]
    return _identity(ders, _key_der(key, where), where, where)
