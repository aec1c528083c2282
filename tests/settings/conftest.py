"""A server and a client that know each other, as contexts that each test may change."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import pytest

import veritls
from tests.resumption.meeting import Met, OurClient, meet
from tests.support.certificates import Party

ROOT = Party("Root", ca=True)
OTHER_ROOT = Party("Other root", ca=True)
SERVER = Party("server", ROOT, names=["localhost"])
CLIENT = Party("client", ROOT, names=["client.internal"])


@dataclass
class World:
    """`meet` makes one connection and a byte each way, over `transport`."""

    transport: str = "sockets"

    def server(self, mode: ssl.VerifyMode = ssl.CERT_NONE) -> veritls.SSLContext:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(SERVER.pem, SERVER.key_pem)
        context.load_verify_locations(cadata=ROOT.pem.decode())
        context.verify_mode = mode
        return context

    def client(self, party: Party | None = CLIENT) -> Any:
        context = OurClient(veritls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=ROOT.pem.decode())
        if party is not None:
            context.load_cert_chain(party.pem, party.key_pem)
        return context

    def meet(self, server: Any, client: Any, name: str | None = "localhost", session: Any = None) -> Met:
        return meet(self.transport, server, client, name, session)  # type: ignore[arg-type]


@pytest.fixture(params=["sockets", "asyncio"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


@pytest.fixture
def sockets() -> World:
    return World()
