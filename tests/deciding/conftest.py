"""A server and its clients, made once: the parties, and contexts for each."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.authority import Authority, Party


@dataclass(frozen=True)
class World:
    """An authority, whom it vouches for, and where their PEM files are."""

    folder: Path
    authority: Authority
    server: Party
    client: Party

    def file(self, party: Party) -> Path:
        path = self.folder / f"{party.certificate.serial_number}.pem"
        return path if path.exists() else party.write(path)

    def server_context(self, mode: ssl.VerifyMode = ssl.CERT_REQUIRED, party: Party | None = None) -> Any:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(party or self.server))
        context.load_verify_locations(cadata=self.authority.pem.decode())
        context.verify_mode = mode
        return context

    def client_context(self, party: Party | None = None, version: ssl.TLSVersion | None = None) -> Any:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authority.pem.decode())
        context.load_cert_chain(self.file(party or self.client))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    authority = Authority()
    return World(
        tmp_path_factory.mktemp("world"),
        authority,
        authority.issue(x509.DNSName("localhost")),
        authority.issue(x509.DNSName("client.internal")),
    )
