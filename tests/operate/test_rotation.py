"""Rotation under load: no handshake fails, and no connection has parts of two sets.

Three seconds for each way; `VERITLS_ROTATION_SECONDS=60 python -m pytest tests/operate/test_rotation.py` is a
minute.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from typing import Any

import pytest

import veritls
from tests.operate.rotating import CA, OTHER_CA, followed
from tests.operate.ways import Heard, ask, serving
from tests.support.certificates import Party, new_key
from tests.support.connections import SECONDS, in_thread
from veritls import events
from veritls._connection import telling
from veritls.sources import Identity, Material

LENGTH = float(os.environ.get("VERITLS_ROTATION_SECONDS", "3"))
EVERY = 0.01
CLIENTS = 2
SETS = 20
POOL = [(CA, OTHER_CA)[number % 2].issue("localhost") for number in range(SETS)]
CLIENT_KEY = new_key()
CLIENT_ROOTS = [Party("Client root", ca=True, key=CLIENT_KEY) for _ in range(SETS)]
"""Certificates of one CA: each vouches for the client, and the verified path says which of them did."""
CLIENT = CLIENT_ROOTS[0].issue("client.example")

pytestmark = pytest.mark.timeout(LENGTH + 60)


class Rotation:
    """Another set each hundredth of a second: an identity, of one CA or the other, and an anchor."""

    name = "rotation"
    provides = frozenset({"identity", "trust"})

    def __init__(self, also: bytes = b"") -> None:
        self.sets = 0
        self._due = time.monotonic()
        self._also = also
        """Anchors that are in each set."""

    def load(self) -> Material:
        party, root = POOL[self.sets % SETS], CLIENT_ROOTS[self.sets % SETS]
        self.sets += 1
        return Material(identity=Identity(party.pem, party.key_pem), trust=root.pem + self._also)

    def wait(self, stop: threading.Event, timeout: float) -> None:
        self._due = max(self._due + EVERY, time.monotonic() - 10 * EVERY)
        stop.wait(max(0.0, self._due - time.monotonic()))


def asking() -> Any:
    """A client that knows both CAs."""
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=(CA.pem + OTHER_CA.pem).decode())
    context.load_cert_chain(bytearray(CLIENT.pem), bytearray(CLIENT.key_pem))
    return context


Seen = tuple[events.HandshakeEvent, bytes | None, list[bytes]]
"""An event, the certificate that the server sent, and the path by which it verified the client."""


def seen_by(context: Any, monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """What is seen of a server's handshakes, while they are told of."""
    seen: list[Seen] = []
    here = threading.local()
    make = telling._event

    def noting(connection: Any, stream: Any, *args: Any) -> events.HandshakeEvent:
        here.found = stream.own_certificate, stream.verified_chain or []
        return make(connection, stream, *args)

    monkeypatch.setattr(telling, "_event", noting)
    context.on_handshake(lambda event: seen.append((event, *here.found)))
    return seen


@pytest.mark.parametrize("way", ["sockets", "memory", "asyncio", "veritls", "veritls-uvloop"])
def test_no_handshake_fails_and_no_connection_has_parts_of_two_sets(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    source, seen = Rotation(), seen_by(server, monkeypatch)
    end = time.monotonic() + LENGTH

    def keep_asking(port: int) -> None:
        context = asking()
        while time.monotonic() < end:
            assert ask("sockets", port, context) == b"x"

    began = time.monotonic()
    with followed(server, source), serving(way, server) as port:
        for each in [in_thread(keep_asking, port) for _ in range(CLIENTS)]:
            each.result(LENGTH + SECONDS)
    rate = source.sets / (time.monotonic() - began)
    print(f"{way}: {len(seen)} handshakes, {source.sets} sets, {rate:.0f} a second")

    assert {event.outcome for event, *_ in seen} == {"completed"}
    assert len({event.generation for event, *_ in seen}) > 10
    for event, sent, path in seen:
        number = (event.generation - 1) % SETS
        assert sent == POOL[number].der
        assert path == [CLIENT.der, CLIENT_ROOTS[number].der]


@pytest.mark.parametrize("way", ["sockets", "veritls", "veritls-uvloop"])
def test_clients_that_rotate_have_no_failed_handshake_either(way: str) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=(CA.pem + OTHER_CA.pem).decode())
    party = CA.issue("localhost")
    server.load_cert_chain(bytearray(party.pem), bytearray(party.key_pem))
    context, source, heard = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT), Rotation(CA.pem), Heard()
    context.on_handshake(heard)
    end = time.monotonic() + LENGTH
    with followed(context, source), serving("sockets", server) as port:
        while time.monotonic() < end:
            assert ask(way, port, context) == b"x"
    assert set(heard.outcomes()) == {"completed"}
    assert len({event.generation for event in heard.events}) > 10
