"""The module's functions: contexts with defaults, and a server's certificate in one call."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import warnings

from veritls._context.context import SSLContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _typeshed import ReadableBuffer

    from veritls._loading.pem import StrPath
    from veritls._loading.trust import TrustData

_socket: Any = socket  # for its private name, which `ssl` uses in the same place
_DEFAULT_TIMEOUT: Any = _socket._GLOBAL_DEFAULT_TIMEOUT


def _protocol_for(purpose: ssl.Purpose) -> ssl._SSLMethod:
    if not isinstance(purpose, ssl._ASN1Object):
        raise TypeError(purpose)
    if purpose == ssl.Purpose.SERVER_AUTH:
        return ssl.PROTOCOL_TLS_CLIENT
    if purpose == ssl.Purpose.CLIENT_AUTH:
        return ssl.PROTOCOL_TLS_SERVER
    raise ValueError(purpose)


def _load_trust_and_keylog(
    context: SSLContext,
    purpose: ssl.Purpose,
    cafile: StrPath | None,
    capath: StrPath | None,
    cadata: str | ReadableBuffer | TrustData | None,
) -> None:
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs(purpose)
    keylog = os.environ.get("SSLKEYLOGFILE")
    if keylog and not sys.flags.ignore_environment:
        context.keylog_filename = keylog


def create_default_context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
    *,
    cafile: StrPath | None = None,
    capath: StrPath | None = None,
    cadata: str | ReadableBuffer | TrustData | None = None,
) -> SSLContext:
    """A context with the defaults of the interpreter's `ssl.create_default_context`.

    `purpose`: `Purpose.SERVER_AUTH` (the default) makes a client's context, which requires and verifies the
    server's certificate and its name; `Purpose.CLIENT_AUTH` makes a server's, which asks clients for none.
    `cafile`: path of a PEM file of trust anchors; `capath`: path of a directory of them; `cadata`: PEM text
    or DER bytes. Without the three, a client trusts what the operating system trusts. From Python 3.13 on,
    VERIFY_X509_PARTIAL_CHAIN and VERIFY_X509_STRICT are set. Keys are logged to the file that the
    environment's SSLKEYLOGFILE names.

    Raises TypeError for another type of `purpose`, ValueError for another purpose, OSError for a file that
    cannot be read, ssl.SSLError for one without certificates.
    Source: https://docs.python.org/3/library/ssl.html#ssl.create_default_context.
    """
    context = SSLContext(_protocol_for(purpose))
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    _load_trust_and_keylog(context, purpose, cafile, capath, cadata)
    return context


def _create_unverified_context(
    protocol: int | None = None,
    *,
    cert_reqs: int | None = ssl.CERT_NONE,
    check_hostname: bool = False,
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
    certfile: StrPath | None = None,
    keyfile: StrPath | None = None,
    cafile: StrPath | None = None,
    capath: StrPath | None = None,
    cadata: str | ReadableBuffer | TrustData | None = None,
) -> SSLContext:
    """A context that verifies nothing unless `cert_reqs` says so: the default of ftplib and others."""
    default = _protocol_for(purpose)
    context = SSLContext(default if protocol is None else protocol)
    context.check_hostname = check_hostname
    if cert_reqs is not None:
        context.verify_mode = cert_reqs
    if check_hostname:
        context.check_hostname = True
    if keyfile and not certfile:
        raise ValueError("certfile must be specified")
    if certfile:
        context.load_cert_chain(certfile, keyfile)
    _load_trust_and_keylog(context, purpose, cafile, capath, cadata)
    return context


# `ssl` has both names, too. http.client and urllib call the first for a request without a context, and
# programs assign to it; ftplib, imaplib, poplib, smtplib and nntplib call the second.
_create_default_https_context = create_default_context
_create_stdlib_context = _create_unverified_context


def get_server_certificate(
    addr: tuple[str, int],
    ssl_version: int = ssl.PROTOCOL_TLS_CLIENT,
    ca_certs: StrPath | None = None,
    timeout: float | None = _DEFAULT_TIMEOUT,
) -> str:
    """The certificate of the server at `addr`, a (host, port), as PEM text.

    `ca_certs`: path of a PEM file of trust anchors; without one, the default, nothing is verified. `timeout`:
    seconds for each step, None for no limit; the default is `socket.getdefaulttimeout`.

    Raises OSError where it cannot connect, TimeoutError, ssl.SSLCertVerificationError where the certificate
    is refused, ssl.SSLError for any other failure of the handshake. Source:
    https://docs.python.org/3/library/ssl.html#ssl.get_server_certificate.
    """
    mode = ssl.CERT_NONE if ca_certs is None else ssl.CERT_REQUIRED
    context = _create_unverified_context(ssl_version, cert_reqs=mode, cafile=ca_certs)
    with (
        socket.create_connection(addr, timeout=timeout) as raw,
        context.wrap_socket(raw, server_hostname=addr[0]) as connection,
    ):
        certificate = connection.getpeercert(True)
    assert certificate is not None  # a server always sends one
    return ssl.DER_cert_to_PEM_cert(certificate)


if sys.version_info < (3, 12):

    def wrap_socket(
        sock: socket.socket,
        keyfile: StrPath | None = None,
        certfile: StrPath | None = None,
        server_side: bool = False,
        cert_reqs: int = ssl.CERT_NONE,
        ssl_version: int = ssl.PROTOCOL_TLS,
        ca_certs: str | None = None,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        ciphers: str | None = None,
    ) -> Any:
        """Deprecated, gone from Python 3.12; validates nothing unless told. Use `SSLContext.wrap_socket`."""
        words = "ssl.wrap_socket() is deprecated, use SSLContext.wrap_socket()"
        warnings.warn(words, category=DeprecationWarning, stacklevel=2)
        if server_side and not certfile:
            raise ValueError("certfile must be specified for server-side operations")
        if keyfile and not certfile:
            raise ValueError("certfile must be specified")
        context = SSLContext(ssl_version)
        context.verify_mode = cert_reqs
        if ca_certs:
            context.load_verify_locations(ca_certs)
        if certfile:
            context.load_cert_chain(certfile, keyfile)
        if ciphers:
            context.set_ciphers(ciphers)
        return context.wrap_socket(
            sock=sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
        )
