"""Own certificates and keys, from files or memory. Encrypted ones are decrypted by `cryptography`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable

from veritls import _engine
from veritls._explaining.reasons import ssl_error, words_of
from veritls._loading.pem import (
    from_pem,
    in_words,
    is_content,
    is_pem,
    pem_blocks,
    pem_certificates,
    read_content,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias, TypeGuard

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from veritls._loading.pem import Content

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


def _is_content(source: object) -> TypeGuard[Content]:
    return isinstance(source, str | bytes | bytearray | memoryview | os.PathLike)


def _certificates(source: CertificateSource) -> tuple[list[bytes], str, bytes | None]:
    """The chain (DER), its source, and the text or DER that contained it, if any."""
    if not _is_content(source):
        return _of_objects(source), "the certificates given", None
    data, where = read_content(source, "certificate")
    if is_pem(data) or not is_content(source):
        return pem_certificates(data, where), where, data
    try:
        return _engine.split_certificates(data), where, data
    except ssl.SSLError as why:
        words = f"a certificate in {where} is malformed: {words_of(why)}"
        raise ssl_error("ASN1_LIB", words) from None


def _of_objects(source: object) -> list[bytes]:
    """The certificates of `cryptography` that were given, as DER."""
    from veritls._loading.objects import certificate_der

    alone = certificate_der(source)
    if alone is not None:
        return [alone]
    if not isinstance(source, Iterable):
        raise TypeError("certfile should be a valid filesystem path, bytes or certificates")
    chain = [certificate_der(each) for each in source]
    ders = [der for der in chain if der is not None]
    if len(ders) < len(chain):
        raise TypeError("certfile should be a valid filesystem path, bytes or certificates")
    if not ders:
        raise ssl_error("NO_START_LINE", "certfile is empty: no certificate was given")
    return ders


def _plain_der(block: bytes) -> bytes:
    """A key that is not encrypted, as DER for the engine; empty where it is not base64."""
    try:
        return from_pem(block) if is_pem(block) else block
    except ValueError:
        return b""


def _encrypted_der(data: bytes) -> bool:
    from veritls._loading.objects import is_encrypted

    return is_encrypted(data)


def _private_key(data: bytes, where: str, password: Password) -> bytes:
    """The first private key, DER. The engine reads PKCS#8, SEC 1 and PKCS#1, `cryptography` what is left."""
    pem, block = is_pem(data) or b"\0" not in data, data
    if pem:
        blocks = pem_blocks(data)
        keys = [block for label, block in blocks if label.endswith(b"PRIVATE KEY")]
        if not keys:
            words = f"PEM lib: no start line: no private key in {where}: {in_words(blocks)}"
            raise ssl_error("NO_START_LINE", words)
        block = keys[0]
        encrypted = block.startswith(b"-----BEGIN ENCRYPTED") or b"ENCRYPTED" in block.split(b"\n\n")[0]
    else:
        encrypted = not _engine.is_private_key(data) and _encrypted_der(data)
    if not encrypted and password is not None and not callable(password):
        password_bytes(password)  # the wrong type or length is an error, needed or not
    secret = password_bytes(password) if encrypted else None
    if encrypted and not secret:
        raise ssl_error("BAD_PASSWORD_READ", f"bad password read: the key in {where} needs a password")
    plain = b"" if encrypted else _plain_der(block)
    if _engine.is_private_key(plain):
        return plain
    from veritls._loading.objects import loaded_key

    return loaded_key(block, where, pem=pem, secret=secret)


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
    if keyfile is not None and not _is_content(keyfile):
        from veritls._loading.objects import is_key, key_der

        if not is_key(keyfile):
            raise TypeError("keyfile should be a valid filesystem path, bytes or a private key")
        return _identity(chain, key_der(keyfile, "memory"), where, "the key given")
    if keyfile is not None:
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


def load_pkcs12_identity(source: Content, password: Password) -> _engine.Identity:
    """The key, its certificate and those above it (self-issued ones left out) of a PKCS#12 file or its bytes.

    Raises OSError for a file that cannot be read; ssl.SSLError, naming it, for a wrong or missing password
    and for a file without the key or its certificate; TypeError and ValueError for a password of the wrong
    type or length.
    """
    if not _is_content(source):
        raise TypeError(f"source must be a path or the bytes of a PKCS#12 file, not {type(source).__name__}")
    from veritls._loading.objects import in_pkcs12

    data, where = read_content(source, "PKCS#12")
    chain, key = in_pkcs12(data, where, password_bytes(password))
    return _identity(chain, key, where, where)
