"""Certificates that several tests share, made once a run."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.connections import client_context, server_context, tls_pair


@dataclass(frozen=True)
class Files:
    """Paths of PEM files: the CA, and key with chain of each party."""

    ca: Path
    server: Path
    client: Path
    stranger: Path
    expired: Path
    expired_server: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    trusted, other = trustme.CA(), trustme.CA()
    past = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)

    def write(name: str, leaf: trustme.LeafCert) -> Path:
        path = folder / f"{name}.pem"
        path.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
        return path

    ca = folder / "ca.pem"
    ca.write_bytes(trusted.cert_pem.bytes())
    before = datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC)
    return Files(
        ca=ca,
        server=write("server", trusted.issue_cert("localhost", "127.0.0.1")),
        client=write("client", trusted.issue_cert("client@example.org", common_name="client")),
        stranger=write("stranger", other.issue_cert("client@example.org", "localhost")),
        expired=write("expired", trusted.issue_cert("c@example.org", not_before=before, not_after=past)),
        expired_server=write("es", trusted.issue_cert("localhost", not_before=before, not_after=past)),
    )


@pytest.fixture
def ends(files: Files) -> Iterator[tuple[Any, Any]]:
    """Both ends of an established connection over TCP: (server's, client's)."""
    with tls_pair(server_context(files.server), client_context(files.ca)) as ends:
        yield ends
