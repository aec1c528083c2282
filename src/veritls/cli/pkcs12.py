"""The certificates of a PKCS#12 file, in a process that can be ended: ``python -m veritls.cli.pkcs12 N 0``.

Reads a password of N bytes and the file from stdin, and writes the chain to stdout in DER. The second
argument is 1 where there is no password. Nothing is read of its key.
"""

import sys

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from veritls._loading.objects import in_order
from veritls.cli.certificate_files import NOT_PKCS12, WRONG_PASSWORD


def main(length: int, without: bool) -> int:
    """The status of the process: 0, NOT_PKCS12 or WRONG_PASSWORD."""
    given = sys.stdin.buffer.read()
    try:
        loaded = pkcs12.load_pkcs12(given[length:], None if without else given[:length])
    except ValueError as why:
        return WRONG_PASSWORD if "password" in str(why) else NOT_PKCS12
    others = [each.certificate for each in loaded.additional_certs]
    own = loaded.cert.certificate if loaded.cert is not None else _lowest(others)
    for each in in_order(own, others) if own is not None else []:
        sys.stdout.buffer.write(each.public_bytes(Encoding.DER))
    return 0


def _lowest(certificates: list[x509.Certificate]) -> x509.Certificate | None:
    """The first that issued none of the others."""
    issuers = {each.issuer for each in certificates if each.issuer != each.subject}
    return next((each for each in certificates if each.subject not in issuers), None)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2] == "1"))
