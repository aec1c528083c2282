"""Certificates of a run, and the contexts made of them, for veritls and for `ssl` alike."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.certificates import Party

NAME = "localhost"
VERSIONS = {"TLSv1.3": ssl.TLSVersion.TLSv1_3, "TLSv1.2": ssl.TLSVersion.TLSv1_2}


@dataclass(frozen=True)
class Credentials:
    """The files of a CA, and of a server and a client that it issued."""

    ca: Path
    server: Path
    client: Path

    @classmethod
    def made_in(cls, folder: Path, root: Party | None = None) -> Self:
        """New ones, below `root` where there is one."""
        root = root or Party("campaign CA", ca=True)
        ca = folder / "ca.pem"
        ca.write_bytes(root.pem)
        return cls(ca, root.issue(NAME).file(folder), root.issue("client.example").file(folder))

    def server_context(self, module: Any, version: str | None = None, *, mutual: bool = True) -> Any:
        context = module.SSLContext(module.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        if mutual:
            context.load_verify_locations(self.ca)
            context.verify_mode = module.CERT_REQUIRED
        return _of_version(context, version)

    def client_context(self, module: Any, version: str | None = None, *, mutual: bool = True) -> Any:
        context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if mutual:
            context.load_cert_chain(self.client)
        return _of_version(context, version)


def _of_version(context: Any, version: str | None) -> Any:
    if version is not None:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    return context
