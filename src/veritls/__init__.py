"""TLS for Python that verifies peers exactly and says why: ``import veritls as ssl``.

The names, signatures, defaults and errors are those of the module `ssl`, on a memory-safe engine (rustls). A
context, an SSLContext, holds certificates, trust and demands; it wraps sockets, as with `ssl`.

A server that demands a certificate of each client::

    import socket
    import veritls as ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")
    context.load_cert_chain("server.pem", "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("", 8443)) as listener:
        while True:
            raw, address = listener.accept()
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.sendall(b"hello " + connection.recv(1024))
            except ssl.SSLError as error:
                print(address, error)

A client that has one, and verifies the server and its name::

    import socket
    import veritls as ssl

    context = ssl.create_default_context(cafile="ca.pem")
    context.load_cert_chain("client.pem", "client.key")
    with socket.create_connection(("localhost", 8443)) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            connection.sendall(b"world")
            print(connection.recv(1024))

A refused certificate raises SSLCertVerificationError: its text says which certificate, why, and what was
expected; `error.report` (veritls.report) holds the rest.

verify_mode says what a side does about its peer's certificate:

    CERT_NONE      a server asks clients for none; a client goes on with any, even an expired one
    CERT_OPTIONAL  a server asks, goes on with a client that has none, and refuses an invalid one;
                   a client does what it does under CERT_REQUIRED
    CERT_REQUIRED  a peer without a valid certificate is refused; check_hostname, on a client,
                   demands the server's name in it, too

create_default_context() makes a client CERT_REQUIRED with check_hostname; with Purpose.CLIENT_AUTH it makes a
server CERT_NONE. In any mode a peer has to prove that it holds the key of the certificate that it sent.

What else there is:

    SSLContext         settings: help(veritls.SSLContext) has them by topic
    SSLSocket          a connection over a socket; SSLObject, one over two MemoryBIOs
    SSLContext.verify_chain     the same decision without a connection
    DNSPattern, URI, SPIFFE     and other patterns for SSLContext.allowed_peers (veritls.peers)
    inject, extract    veritls in the place of ssl, for libraries that make their own context
    veritls.aio        event loops for asyncio and uvloop
    veritls.events     the end of each handshake as an event; log, Prometheus, OpenTelemetry
    veritls.sources    files and SPIFFE that renew a context's certificates (SSLContext.follow)
    veritls.serving    the client's certificate in ASGI and WSGI applications
    veritls.tickets    session tickets that several processes or hosts share
    python -m veritls  check a server, run a program, doctor (what a program uses that differs), and more

docs/migrating.md says what differs from ssl, docs/verification.md what is verified, docs/deploying.md how to
run it. Below, all names are listed in alphabetical order, those of ssl among them.
"""

import sys

from veritls import _engine
from veritls._compat import *  # noqa: F403
from veritls._compat.functions import (
    _create_default_https_context as _create_default_https_context,
    _create_stdlib_context as _create_stdlib_context,
    _create_unverified_context as _create_unverified_context,
    create_default_context as create_default_context,
    get_server_certificate as get_server_certificate,
)
from veritls._connection.sslobject import MemoryBIO as MemoryBIO, SSLObject as SSLObject
from veritls._connection.sslsocket import SSLSocket as SSLSocket
from veritls._connection.state import CHANNEL_BINDING_TYPES as CHANNEL_BINDING_TYPES
from veritls._context.context import SSLContext as SSLContext
from veritls._explaining.failures import exception_for as _exception_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from veritls._compat.injection import extract as extract, inject as inject
    from veritls._connection.session import SSLSession as SSLSession
    from veritls._context.own_entries import OwnIdentity as OwnIdentity
    from veritls._context.signature_algorithms import get_sigalgs as get_sigalgs
    from veritls._context.trust_entries import TrustEntry as TrustEntry
    from veritls.peers import (
        SPIFFE as SPIFFE,
        URI as URI,
        DNSPattern as DNSPattern,
        Email as Email,
        Network as Network,
    )
    from veritls.report import VerificationReport as VerificationReport

if sys.version_info < (3, 12):
    from veritls._compat.functions import wrap_socket as wrap_socket

SSLContext.sslsocket_class, SSLContext.sslobject_class = SSLSocket, SSLObject
_engine.set_translator(_exception_for)

__version__ = _engine.VERSION

_IMPORTED_WHEN_ASKED_FOR = {
    "DNSPattern": "veritls.peers",
    "Email": "veritls.peers",
    "Network": "veritls.peers",
    "SPIFFE": "veritls.peers",
    "SSLSession": "veritls._connection.session",
    "URI": "veritls.peers",
    "extract": "veritls._compat.injection",
    "get_sigalgs": "veritls._context.signature_algorithms",
    "inject": "veritls._compat.injection",
    "OwnIdentity": "veritls._context.own_entries",
    "TrustEntry": "veritls._context.trust_entries",
    "VerificationReport": "veritls.report",
}
"""What a program that makes one request needs no more than `ssl` does; tests/test_start.py."""

_MODULES = ("errors", "events", "peers", "report", "tickets")


def __getattr__(name: str) -> object:
    module = _IMPORTED_WHEN_ASKED_FOR.get(name)
    if module is None and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if module is None:
        return import_module(f"{__name__}.{name}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_IMPORTED_WHEN_ASKED_FOR})


__all__ = [
    name
    for name, value in vars().items()
    if not (name.startswith("_") or isinstance(value, type(sys)) or name == "TYPE_CHECKING")
]
__all__ += _IMPORTED_WHEN_ASKED_FOR
