"""The channel binding of a server's certificate (RFC 5929)."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from veritls._report.parsed_certificate import readable


def end_point_hash(der: bytes) -> bytes | None:
    """The tls-server-end-point channel binding of a server's certificate (RFC 5929, section 4.1).

    None where its signature names no hash (Ed25519), for which the RFC defines none, or an unknown one.
    """
    try:
        algorithm = readable(der).signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if algorithm is None:
        return None
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(der)
    return digest.finalize()
