"""The exception for a refused certificate. All others are the standard module's own."""

import ssl

from veritls.report import VerificationReport

__all__ = ["SSLCertVerificationError"]


class SSLCertVerificationError(ssl.SSLCertVerificationError):
    """The peer's certificate was refused: `ssl.SSLCertVerificationError` with a report.

    `verify_code` (int) and `verify_message` (str) are OpenSSL's, as in `ssl`. The exception of a verify
    callback is in ``__cause__``.
    """

    report: VerificationReport
    """Why the certificate was refused."""
