"""Records broken on their way, in either direction, in the handshake and after it."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from hypothesis import given, strategies as st

import veritls
from tests.fuzz import RARELY
from tests.fuzz.breaking import Break, breaks
from tests.support.certificates import Party

ROOT = Party("Root", ca=True)
MESSAGE = b"what was really said " * 20
FLIGHTS = 12

pytestmark = pytest.mark.timeout(120)


class End:
    """One end between two MemoryBIOs, driven without blocking."""

    def __init__(self, context: Any, **options: Any) -> None:
        self.incoming, self.outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **options)
        self.done = False
        self.failed = False

    def advance(self) -> None:
        if self.done or self.failed:
            return
        try:
            self.tls.do_handshake()
            self.done = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.failed = True

    def receive(self) -> bytes:
        """What it delivers; nothing where it refuses."""
        try:
            return bytes(self.tls.read(2 * len(MESSAGE)))
        except ssl.SSLError:
            return b""


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[ssl.TLSVersion, tuple[Any, Any]]:
    """By version: (server's, client's), with a certificate demanded of both."""
    folder = tmp_path_factory.mktemp("records")
    identity = Party("leaf", ROOT).file(folder)
    found = {}
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        pair = []
        for protocol in (veritls.PROTOCOL_TLS_SERVER, veritls.PROTOCOL_TLS_CLIENT):
            context = veritls.SSLContext(protocol)
            context.minimum_version = context.maximum_version = version
            context.load_cert_chain(identity)
            context.load_verify_locations(cadata=ROOT.der)
            context.verify_mode = ssl.CERT_REQUIRED
            pair.append(context)
        found[version] = (pair[0], pair[1])
    return found


def both_ends(contexts: tuple[Any, Any]) -> tuple[End, End]:
    server, client = contexts
    return End(server, server_side=True), End(client, server_hostname="localhost")


def carry(source: End, target: End, change: Break | None) -> bool:
    """Takes what `source` has to say to `target`; whether there was anything."""
    data = source.outgoing.read()
    if data:
        target.incoming.write(change(data) if change else data)
    return bool(data)


VERSIONS = st.sampled_from([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@RARELY
@given(version=VERSIONS, flight=st.integers(0, FLIGHTS), change=breaks())
def test_a_handshake_broken_on_its_way_fails_or_comes_to_the_same(
    contexts: dict[ssl.TLSVersion, tuple[Any, Any]], version: ssl.TLSVersion, flight: int, change: Break
) -> None:
    server, client = both_ends(contexts[version])
    moved = True
    count = 0
    while moved and count < FLIGHTS:
        moved = False
        for source, target in ((client, server), (server, client)):
            source.advance()
            moved |= carry(source, target, change if count == flight else None)
            target.advance()
            count += 1
    if server.done and client.done:
        client.tls.write(MESSAGE)
        carry(client, server, None)
        assert server.receive() in (b"", MESSAGE)
        assert client.tls.getpeercert(True) == server.tls.getpeercert(True)


@RARELY
@given(version=VERSIONS, from_client=st.booleans(), change=breaks())
def test_data_broken_on_its_way_is_never_delivered_changed(
    contexts: dict[ssl.TLSVersion, tuple[Any, Any]], version: ssl.TLSVersion, from_client: bool, change: Break
) -> None:
    server, client = both_ends(contexts[version])
    for _ in range(FLIGHTS):
        for source, target in ((client, server), (server, client)):
            source.advance()
            carry(source, target, None)
    assert server.done and client.done
    source, target = (client, server) if from_client else (server, client)
    source.tls.write(MESSAGE)
    carry(source, target, change)
    received = target.receive()
    assert MESSAGE.startswith(received)
