"""What a peer shows, and the context that it uses, on the other side of what is audited."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import veritls
from veritls.cli.auditing.openssl import OpenSSLContext


@dataclass(frozen=True)
class Shown:
    """A chain, the peer's own certificate first, with the key of that; PEM. `weak`: veritls cannot use it.

    The key is not in its repr.
    """

    chain: bytes
    key: bytes = field(repr=False)
    weak: bool = False

    def load_into(self, context: ssl.SSLContext) -> None:
        """Makes it the own certificate of a context. Raises ssl.SSLError where it cannot be."""
        if isinstance(context, veritls.SSLContext):
            context.load_cert_chain(self.chain, self.key)
            return
        # OpenSSL's interface takes files only.
        with tempfile.TemporaryDirectory(prefix="veritls-audit-") as folder:
            path = Path(folder, "identity.pem")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(self.key + self.chain)
            context.load_cert_chain(path)


def peer_context(side: str, shown: Shown | None, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A context for a peer on `side` that speaks one version, shows this, and verifies nothing.

    It is of `ssl` where the key is too weak for veritls. Raises ssl.SSLError where the certificate cannot be
    used.
    """
    weak = shown is not None and shown.weak
    kind: type[ssl.SSLContext] = OpenSSLContext if weak else veritls.SSLContext
    if side == "client":
        context = kind(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = kind(ssl.PROTOCOL_TLS_SERVER)
    if weak:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.options |= ssl.OP_NO_RENEGOTIATION  # as veritls
    context.minimum_version = context.maximum_version = version
    if shown is not None:
        shown.load_into(context)
    return context
