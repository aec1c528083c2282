"""Certificates of a run, and the contexts made of them, for veritls and for `ssl` alike."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.support.certificates import Party

NAME = "localhost"
VERSIONS = {"TLSv1.3": ssl.TLSVersion.TLSv1_3, "TLSv1.2": ssl.TLSVersion.TLSv1_2}


@dataclass
class Credentials:
    """A CA, and a server and a client that it issued; files in `folder`."""

    folder: Path
    root: Party = field(default_factory=lambda: Party("campaign CA", ca=True))

    @cached_property
    def ca(self) -> Path:
        path = self.folder / "ca.pem"
        path.write_bytes(self.root.pem)
        return path

    @cached_property
    def server(self) -> Path:
        return self.root.issue(NAME).file(self.folder)

    @cached_property
    def client(self) -> Path:
        return self.root.issue("client.example").file(self.folder)

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
