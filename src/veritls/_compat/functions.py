"""The functions of the module: contexts with defaults, and a server's certificate in one call."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import warnings
from typing import TYPE_CHECKING, Any

from veritls._context.context import SSLContext

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from veritls._loading.pem import StrPath
    from veritls._loading.trust import TrustData

_FOREVER_OR_DEFAULT: Any = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]


def _protocol_for(purpose: ssl.Purpose) -> ssl._SSLMethod:
    if not isinstance(purpose, ssl._ASN1Object):
        raise TypeError(purpose)
    if purpose == ssl.Purpose.SERVER_AUTH:
        return ssl.PROTOCOL_TLS_CLIENT
    if purpose == ssl.Purpose.CLIENT_AUTH:
        return ssl.PROTOCOL_TLS_SERVER
    raise ValueError(purpose)


def _finished(
    context: SSLContext,
    purpose: ssl.Purpose,
    cafile: StrPath | None,
    capath: StrPath | None,
    cadata: str | ReadableBuffer | TrustData | None,
) -> SSLContext:
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs(purpose)
    keylog = os.environ.get("SSLKEYLOGFILE")
    if keylog and not sys.flags.ignore_environment:
        context.keylog_filename = keylog
    return context


def create_default_context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
    *,
    cafile: StrPath | None = None,
    capath: StrPath | None = None,
    cadata: str | ReadableBuffer | TrustData | None = None,
) -> SSLContext:
    """A context with the defaults of the interpreter's `ssl.create_default_context`.

    SERVER_AUTH verifies servers by name; without cafile, capath and cadata it trusts what the operating
    system trusts. From Python 3.13 on, VERIFY_X509_PARTIAL_CHAIN and VERIFY_X509_STRICT are set. The
    environment's SSLKEYLOGFILE is honoured. Raises TypeError for a `purpose` that is none.
    """
    context = SSLContext(_protocol_for(purpose))
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return _finished(context, purpose, cafile, capath, cadata)


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
    """What the standard library's modules make their contexts with where the caller gives none."""
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
    return _finished(context, purpose, cafile, capath, cadata)


_create_default_https_context = create_default_context
_create_stdlib_context = _create_unverified_context


def get_server_certificate(
    addr: tuple[str, int],
    ssl_version: int = ssl.PROTOCOL_TLS_CLIENT,
    ca_certs: StrPath | None = None,
    timeout: float | None = _FOREVER_OR_DEFAULT,
) -> str:
    """The certificate of the server at (host, port), PEM. Validated only where `ca_certs` names a file.

    `timeout`: seconds for each step. Raises what connecting and the handshake raise.
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
