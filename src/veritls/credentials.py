"""One's own certificate and key: from PEM files, with or without a password. Decoded by `cryptography`."""

import base64
import os
import re
import ssl
from collections.abc import Callable
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from veritls import _engine
from veritls.errors import ssl_error

Password: TypeAlias = str | bytes | bytearray | Callable[[], str | bytes | bytearray] | None
StrPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]

MAX_PASSWORD = 1024
"""The length of a password in bytes at most, as in `ssl`."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")


def pem_blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The blocks of a PEM text as (label, whole block). What stands between them is commentary (RFC 7468)."""
    return [(match[1], match[0]) for match in _BLOCK.finditer(data)]


def read_file(path: StrPath, what: str) -> bytes:
    """The bytes of a file that must exist and hold something.

    Raises OSError with the path, and ssl.SSLError naming `what` and the path where the file is empty.
    """
    with open(path, "rb") as file:
        data = file.read()
    if not data.strip():
        raise ssl_error("PEM_LIB", f"PEM lib: the {what} file {os.fsdecode(path)!r} is empty")
    return data


def _from_pem(block: bytes) -> bytes:
    body = b"".join(block.split(b"\n")[1:-1]).replace(b"\r", b"")
    return base64.b64decode(body, validate=True)


def _certificate_der(block: bytes) -> bytes:
    certificate, *more = _engine.split_certificates(_from_pem(block))
    if more:
        raise ValueError("more than one certificate in a block")
    return certificate


def pem_certificates(data: bytes, where: str) -> list[bytes]:
    """The certificates of a PEM text, DER, in order.

    Raises ssl.SSLError naming `where`, if there is none or one of them cannot be read.
    """
    blocks = pem_blocks(data)
    certificates = [block for label, block in blocks if label in _CERTIFICATES]
    if not certificates:
        found = ", ".join(sorted({label.decode() for label, _ in blocks})) or "no PEM block"
        words = f"no start line: {where} does not contain a certificate, but {found}"
        raise ssl_error("NO_START_LINE", f"PEM lib: {words}")
    try:
        return [_certificate_der(block) for block in certificates]
    except (ValueError, ssl.SSLError) as why:
        words = f"PEM lib: a certificate in {where} is damaged: {why}"
        raise ssl_error("PEM_LIB", words) from None


def has_certificates(data: bytes) -> bool:
    """Whether a PEM text holds a certificate, readable or not."""
    return any(label in _CERTIFICATES for label, _ in pem_blocks(data))


def pem_crls(data: bytes, where: str) -> list[bytes]:
    """The revocation lists of a PEM text, DER. Raises ssl.SSLError naming `where` for a damaged one."""
    blocks = [block for label, block in pem_blocks(data) if label == b"X509 CRL"]
    try:
        return [x509.load_pem_x509_crl(block).public_bytes(Encoding.DER) for block in blocks]
    except ValueError as why:
        words = f"PEM lib: a revocation list in {where} is damaged: {why}"
        raise ssl_error("PEM_LIB", words) from None


def _password_bytes(password: Password) -> bytes | None:
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


def _private_key(data: bytes, where: str, password: Password) -> bytes:
    blocks = pem_blocks(data)
    keys = [block for label, block in blocks if label.endswith(b"PRIVATE KEY")]
    if not keys:
        found = ", ".join(sorted({label.decode() for label, _ in blocks})) or "no PEM block"
        raise ssl_error("NO_START_LINE", f"PEM lib: no start line: no private key in {where}, but {found}")
    block = keys[0]
    encrypted = block.startswith(b"-----BEGIN ENCRYPTED") or b"ENCRYPTED" in block.split(b"\n\n")[0]
    if not encrypted and password is not None and not callable(password):
        _password_bytes(password)  # the wrong type or length is an error, needed or not
    secret = _password_bytes(password) if encrypted else None
    if encrypted and not secret:
        raise ssl_error("BAD_PASSWORD_READ", f"bad password read: the key in {where} needs a password")
    try:
        # The engine checks RSA keys; to prove their primes here as well would take a tenth of a second.
        key = load_pem_private_key(block, secret, unsafe_skip_rsa_key_validation=True)
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm) as why:
        hint = "the password is wrong or the key is damaged" if encrypted else f"the key is damaged: {why}"
        raise ssl_error("PEM_LIB", f"PEM lib: the private key in {where} cannot be read: {hint}") from None


def load_identity(certfile: StrPath, keyfile: StrPath | None, password: Password) -> _engine.Identity:
    """The chain of `certfile`, own certificate first, and the key of `keyfile` (or of `certfile`).

    Raises OSError for a file that cannot be read; ssl.SSLError, naming file and reason, for one that does
    not hold what it must, for a wrong or missing password and for a key of another certificate;
    TypeError and ValueError for a password of the wrong type or length.
    """
    where = repr(os.fsdecode(certfile))
    certificate_data = read_file(certfile, "certificate")
    chain = pem_certificates(certificate_data, where)
    key_data, key_where = certificate_data, where
    if keyfile is not None:
        key_data, key_where = read_file(keyfile, "key"), repr(os.fsdecode(keyfile))
    key = _private_key(key_data, key_where, password)
    try:
        return _engine.Identity(chain, key)
    except ssl.SSLError as error:
        words = f"{error.args[1].split('] ', 1)[-1]} (certificate {where}, key {key_where})"
        raise ssl_error(str(error.reason), words) from None
