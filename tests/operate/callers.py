"""A CA, a server, and clients that each have another SPIFFE ID."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509

import veritls
from tests.support.certificates import Party

ADMIN = "spiffe://example.org/admin"
WEB = "spiffe://example.org/web"
_LOOPBACK = ipaddress.ip_address("127.0.0.1")
OTHER_DOMAIN = "spiffe://example.net/admin"


def uri(value: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(value)


@dataclass
class Callers:
    """Files of the server and its clients, and contexts for them."""

    folder: Path

    @cached_property
    def root(self) -> Party:
        return Party("The CA", ca=True)

    @cached_property
    def ca(self) -> Path:
        path = self.folder / "ca.pem"
        path.write_bytes(self.root.pem)
        return path

    @cached_property
    def cert(self) -> Path:
        return self.root.issue("localhost", x509.IPAddress(_LOOPBACK)).file(self.folder)

    @cached_property
    def admin(self) -> Path:
        return self.root.issue(uri(ADMIN)).file(self.folder)

    @cached_property
    def web(self) -> Path:
        return self.root.issue(uri(WEB)).file(self.folder)

    @cached_property
    def foreign(self) -> Path:
        return self.root.issue(uri(OTHER_DOMAIN)).file(self.folder)

    @cached_property
    def two_ids(self) -> Path:
        """A certificate that names two workloads, so that it names none."""
        return self.root.issue(uri(WEB), uri(ADMIN)).file(self.folder)

    def server(self, mode: ssl.VerifyMode = ssl.CERT_OPTIONAL) -> Any:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert)
        context.load_verify_locations(self.ca)
        context.verify_mode = mode
        return context

    def client(self, own: Path | None = None, module: Any = ssl) -> Any:
        """A context of the interpreter's own `ssl`, unless `module` is another."""
        context = module.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if own is not None:
            context.load_cert_chain(own)
        return context
