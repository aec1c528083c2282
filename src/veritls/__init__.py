"""Python's `ssl` programming model on a memory-safe engine: ``import veritls as ssl``.

The names, signatures, defaults and errors are those of the standard module; docs/compatibility.md lists what
differs.
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
