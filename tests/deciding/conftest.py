"""A server and its clients, made once: the parties, and contexts for each."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.support.certificates import Party


@dataclass(frozen=True)
class World:
    """A CA, the parties that it certified, and where their PEM files are."""

    folder: Path
    ca: Party
    server: Party
    client: Party

    def file(self, party: Party) -> Path:
        return party.file(self.folder, *party.above)

    def server_context(self, mode: ssl.VerifyMode = ssl.CERT_REQUIRED, party: Party | None = None) -> Any:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(party or self.server))
        context.load_verify_locations(cadata=self.ca.pem.decode())
        context.verify_mode = mode
        return context

    def client_context(self, party: Party | None = None, version: ssl.TLSVersion | None = None) -> Any:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.ca.pem.decode())
        context.load_cert_chain(self.file(party or self.client))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    ca = Party("A CA", ca=True)
    return World(
        tmp_path_factory.mktemp("world"),
        ca,
        ca.issue(x509.DNSName("localhost")),
        ca.issue(x509.DNSName("client.internal")),
    )
