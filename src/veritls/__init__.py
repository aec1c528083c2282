"""Python's `ssl` programming model on a memory-safe engine: ``import veritls as ssl``.

The names, signatures, defaults and errors are those of the standard module; README.md lists what differs.
"""

from ssl import (
    CERT_NONE,
    CERT_OPTIONAL,
    CERT_REQUIRED,
    HAS_ALPN,
    HAS_SNI,
    PROTOCOL_TLS,
    PROTOCOL_TLS_CLIENT,
    PROTOCOL_TLS_SERVER,
    AlertDescription,
    CertificateError,
    DER_cert_to_PEM_cert,
    PEM_cert_to_DER_cert,
    Purpose,
    SSLCertVerificationError,
    SSLEOFError,
    SSLError,
    SSLErrorNumber,
    SSLSyscallError,
    SSLWantReadError,
    SSLWantWriteError,
    SSLZeroReturnError,
    TLSVersion,
    VerifyMode,
)

from veritls.connection import MemoryBIO, SSLObject
from veritls.context import SSLContext, create_default_context
from veritls.session import SSLSession
from veritls.socket import SSLSocket

__all__ = [
    "CERT_NONE",
    "CERT_OPTIONAL",
    "CERT_REQUIRED",
    "HAS_ALPN",
    "HAS_SNI",
    "PROTOCOL_TLS",
    "PROTOCOL_TLS_CLIENT",
    "PROTOCOL_TLS_SERVER",
    "AlertDescription",
    "CertificateError",
    "DER_cert_to_PEM_cert",
    "MemoryBIO",
    "PEM_cert_to_DER_cert",
    "Purpose",
    "SSLCertVerificationError",
    "SSLContext",
    "SSLEOFError",
    "SSLError",
    "SSLErrorNumber",
    "SSLObject",
    "SSLSession",
    "SSLSocket",
    "SSLSyscallError",
    "SSLWantReadError",
    "SSLWantWriteError",
    "SSLZeroReturnError",
    "TLSVersion",
    "VerifyMode",
    "create_default_context",
]

__version__ = "0.1.0"
