"""get_verified_chain and get_unverified_chain: both sides, every transport, both versions."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

import veritls
from tests.support.connections import SECONDS, tls_pair
from tests.support.memory import handshake, memory_pair
from veritls._loading.pem import pem_certificates

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
Chains = tuple[list[bytes], list[bytes]]


class Parties:
    """A server and a client, each below an intermediate of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = trustme.CA()
        self.files: dict[str, Path] = {}
        self.sent: dict[str, list[bytes]] = {}
        for side, name in (("server", "localhost"), ("client", "client@example.org")):
            issued = self.root.create_child_ca().issue_cert(name)
            path = folder / f"{side}.pem"
            path.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
            self.files[side] = path
            self.sent[side] = pem_certificates(path.read_bytes(), side)
        self.anchor = pem_certificates(self.root.cert_pem.bytes(), "root")

    def context(self, side: str, version: ssl.TLSVersion, mode: ssl.VerifyMode) -> Any:
        server = side == "server"
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER if server else veritls.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(self.files[side])
        context.load_verify_locations(cadata=self.anchor[0])
        context.minimum_version = context.maximum_version = version
        context.check_hostname = mode != ssl.CERT_NONE and not server
        context.verify_mode = mode
        return context


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    return Parties(tmp_path_factory.mktemp("chains"))


def both(end: Any) -> Chains:
    return end.get_verified_chain(), end.get_unverified_chain()


def over_sockets(server: Any, client: Any) -> tuple[Chains, Chains]:
    with tls_pair(server, client) as (server_end, client_end):
        client_end.sendall(b"x")
        assert server_end.recv(1) == b"x"
        return both(server_end), both(client_end)


def in_memory(server: Any, client: Any) -> tuple[Chains, Chains]:
    server_end, client_end = memory_pair(server, client)
    handshake(server_end, client_end)
    return both(server_end), both(client_end)


def on_asyncio(server: Any, client: Any) -> tuple[Chains, Chains]:
    async def run() -> tuple[Chains, Chains]:
        seen: asyncio.Future[Chains] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.set_result(both(writer.get_extra_info("ssl_object")))
            writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
        host, port = listening.sockets[0].getsockname()
        async with listening:
            _, writer = await asyncio.open_connection(host, port, ssl=client, server_hostname="localhost")
            clients = both(writer.get_extra_info("ssl_object"))
            servers = await asyncio.wait_for(seen, SECONDS)
            writer.close()
        return servers, clients

    return asyncio.run(run())


TRANSPORTS = [over_sockets, in_memory, on_asyncio]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_both_sides_know_what_was_sent_and_the_path_that_convinced_them(
    transport: Any, version: ssl.TLSVersion, parties: Parties
) -> None:
    server = parties.context("server", version, ssl.CERT_REQUIRED)
    client = parties.context("client", version, ssl.CERT_REQUIRED)
    of_client, of_server = transport(server, client)
    assert of_client == (parties.sent["client"] + parties.anchor, parties.sent["client"])
    assert of_server == (parties.sent["server"] + parties.anchor, parties.sent["server"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_where_nothing_is_validated_the_verified_chain_is_what_was_sent(
    transport: Any, version: ssl.TLSVersion, parties: Parties
) -> None:
    server = parties.context("server", version, ssl.CERT_NONE)
    client = parties.context("client", version, ssl.CERT_NONE)
    of_client, of_server = transport(server, client)
    assert of_client == ([], [])
    assert of_server == (parties.sent["server"], parties.sent["server"])
