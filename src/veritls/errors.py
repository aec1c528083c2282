"""The exception for a peer's certificate that was refused. All others are the standard module's own."""

import ssl

from veritls.report import VerificationReport


class SSLCertVerificationError(ssl.SSLCertVerificationError):
    """The standard exception, with a report: why the peer's certificate was refused."""

    report: VerificationReport
