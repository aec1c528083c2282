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
from tests.operate.rotating import CA, OTHER_CA, until, watchers
from tests.operate.ways import Heard, ask, serving
from tests.support.certificates import new_key
from tests.support.connections import SECONDS, in_thread
from veritls import events
from veritls._connection import telling
from veritls.sources import Identity, Material

LENGTH = float(os.environ.get("VERITLS_ROTATION_SECONDS", "3"))
EVERY = 0.01
CLIENTS = 2
ROOTS = [CA, OTHER_CA]
POOL = [ROOTS[number % 2].issue("localhost") for number in range(20)]
CLIENT_NAMES = ["one.example", "two.example"]
KEYS = ["ECDSA", "ED25519"]
"""Of two kinds: a client keeps one identity of each."""
CLIENT_PARTIES = [
    root.issue(name, key=new_key(kind)) for root, name, kind in zip(ROOTS, CLIENT_NAMES, KEYS, strict=True)
]
SERVER_PARTIES = [root.issue("localhost", key=new_key(kind)) for root, kind in zip(ROOTS, KEYS, strict=True)]

pytestmark = pytest.mark.timeout(LENGTH + 60)


class Rotation:
    """Another set each hundredth of a second: an identity of one CA, and trust in the same CA alone."""

    name = "rotation"
    provides = frozenset({"identity", "trust"})

    def __init__(self, *, both: bool = False) -> None:
        self.sets = 0
        self._both = both
        """Trust in both CAs instead."""

    def load(self) -> Material:
        party, root = POOL[self.sets % len(POOL)], ROOTS[self.sets % 2].pem
        self.sets += 1
        trust = ROOTS[0].pem + ROOTS[1].pem if self._both else root
        return Material(identity=Identity(party.pem, party.key_pem), trust=trust)

    def wait(self, stop: threading.Event, timeout: float) -> None:
        stop.wait(EVERY)


def asking() -> Any:
    """A client that knows both CAs, and has a certificate of each."""
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    for root, party in zip(ROOTS, CLIENT_PARTIES, strict=True):
        context.load_verify_locations(cadata=root.pem.decode())
        context.load_cert_chain(bytearray(party.pem), bytearray(party.key_pem))
    return context


def serve_with_listeners(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[events.HandshakeEvent, bytes | None]]:
    """The events of a server's handshakes, each with the certificate that it sent."""
    seen: list[tuple[events.HandshakeEvent, bytes | None]] = []
    sent = threading.local()
    make = telling._event

    def noting(connection: Any, stream: Any, *args: Any) -> events.HandshakeEvent:
        sent.certificate = stream.own_certificate
        return make(connection, stream, *args)

    monkeypatch.setattr(telling, "_event", noting)
    context.on_handshake(lambda event: seen.append((event, sent.certificate)))
    return seen


@pytest.mark.parametrize("way", ["sockets", "memory", "asyncio", "veritls", "veritls-uvloop"])
def test_no_handshake_fails_and_no_connection_has_parts_of_two_sets(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    source, seen = Rotation(), serve_with_listeners(server, monkeypatch)
    end = time.monotonic() + LENGTH

    def keep_asking(port: int) -> None:
        context = asking()
        while time.monotonic() < end:
            assert ask("sockets", port, context) == b"x"

    server.follow(source)
    began = time.monotonic()
    with serving(way, server) as port:
        for each in [in_thread(keep_asking, port) for _ in range(CLIENTS)]:
            each.result(LENGTH + SECONDS)
    rate = source.sets / (time.monotonic() - began)
    server.follow(None)
    until(lambda: not watchers())
    print(f"{way}: {len(seen)} handshakes, {source.sets} sets, {rate:.0f} a second")

    assert {event.outcome for event, _ in seen} == {"completed"}
    assert len({event.generation for event, _ in seen}) > 10
    for event, certificate in seen:
        number = event.generation - 1
        assert certificate == POOL[number % len(POOL)].der
        # The trust of this set is one CA; the client has a certificate of each.
        assert event.peer_identity is not None
        assert event.peer_identity.names == (("DNS", CLIENT_NAMES[number % 2]),)


@pytest.mark.parametrize("way", ["sockets", "veritls", "veritls-uvloop"])
def test_clients_that_rotate_have_no_failed_handshake_either(way: str) -> None:
    """The client's set changes all the time; its server knows both CAs, and has a certificate of each."""
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    for root, party in zip(ROOTS, SERVER_PARTIES, strict=True):
        server.load_verify_locations(cadata=root.pem.decode())
        server.load_cert_chain(bytearray(party.pem), bytearray(party.key_pem))
    context, source, heard = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT), Rotation(both=True), Heard()
    context.on_handshake(heard)
    end = time.monotonic() + LENGTH
    context.follow(source)
    with serving("sockets", server) as port:
        while time.monotonic() < end:
            assert ask(way, port, context) == b"x"
    context.follow(None)
    until(lambda: not watchers())
    assert set(heard.outcomes()) == {"completed"}
    assert len({event.generation for event in heard.events}) > 10
