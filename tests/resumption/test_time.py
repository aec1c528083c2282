"""What time alone does to a session: its peer's certificates, or the CRL, expire meanwhile."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.resumption.attacks import World, attacker, careless_server, our_client, serving
from tests.resumption.meeting import Met, meet
from tests.support.certificates import Party, pem

V = ssl.TLSVersion
VERSIONS, TRANSPORTS = [V.TLSv1_2, V.TLSv1_3], ["sockets", "asyncio"]
CASES = {
    "a client's certificate": ("server", 10),
    "a client's intermediate": ("server", 10),
    "a server's certificate": ("client", 10),
    "a CRL": ("server", 12),
}
"""What expires -> the side that refuses then, and its verify_code."""


@dataclass
class Begun:
    """Two contexts that connected once, before it expired."""

    server: Any
    client: Any
    session: Any
    first: Met


class Brief(World):
    """A world in which some certificates are good for seconds."""

    def __init__(self, folder: Path, seconds: int) -> None:
        super().__init__(folder)
        self.until = datetime.now(UTC) + timedelta(seconds=seconds)
        dates: dict[str, Any] = {"end": self.until}
        self.brief_client = self.ca.issue(x509.DNSName("one.internal"), **dates)
        self.intermediate = Party("Between", self.ca, ca=True, **dates)
        self.below = self.intermediate.issue(x509.DNSName("three.internal"))
        self.brief_server = self.ca.issue(x509.DNSName("a.example"), **dates)
        self.crl = folder / "crl.pem"
        self.crl.write_bytes(pem(self.ca.crl(until=self.until)))

    def contexts(self, case: str) -> tuple[Any, Any]:
        """(server's context, client's context)."""
        if case == "a server's certificate":
            server = careless_server(self)
            server.load_cert_chain(self.file(self.brief_server))
            return server, our_client(self)
        server = serving(self, self.ca)
        if case == "a CRL":
            server.load_verify_locations(self.crl)
            server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            return server, attacker(self, self.client)
        return server, attacker(self, self.brief_client if "certificate" in case else self.below)

    def begin(self, case: str, version: V, transport: str, *, reverify: bool = True) -> Begun:
        server, client = self.contexts(case)
        victim = server if CASES[case][0] == "server" else client
        victim.reverify_on_resumption = reverify
        client.minimum_version = client.maximum_version = version
        first = meet(transport, server, client, "a.example")
        for side in (first.server, first.client):
            if side.error is not None:
                raise side.error
        return Begun(server, client, first.client.session, first)

    def is_over(self, party: Party) -> bool:
        try:
            serving(self, self.ca).verify_chain([party.der, *self.above(party)])
        except ssl.SSLCertVerificationError as error:
            return error.verify_code == 10
        return False

    def above(self, party: Party) -> list[bytes]:
        return [self.intermediate.der] if party is self.below else []


Key = tuple[str, V, str, bool]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Key, Begun]]:
    """Every pair that met in time, once nothing of it is good any more."""
    keys = [(c, v, t, r) for c in CASES for v in VERSIONS for t in TRANSPORTS for r in (True, False)]
    for seconds in (4, 20, 60):  # a slow machine gets more of them
        world = Brief(tmp_path_factory.mktemp("brief"), seconds)
        try:
            pairs = {
                (case, version, transport, reverify): world.begin(case, version, transport, reverify=reverify)
                for case, version, transport, reverify in keys
            }
            break
        except ssl.SSLError:
            continue
    tick = threading.Event()
    while not all(map(world.is_over, (world.brief_client, world.brief_server, world.below))):
        tick.wait(0.05)
    yield pairs


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_what_ran_out_since_is_refused(
    begun: dict[Key, Begun], case: str, version: V, transport: str
) -> None:
    pair = begun[case, version, transport, True]
    met = meet(transport, pair.server, pair.client, "a.example", pair.session)
    victim, code = CASES[case]
    assert getattr(met, victim).error.verify_code == code
    assert not met.resumed
    if victim == "server" and transport == "sockets":
        assert "alert" in str(met.client.error)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_without_reverification_a_session_outlives_the_dates(
    begun: dict[Key, Begun], case: str, version: V, transport: str
) -> None:
    pair = begun[case, version, transport, False]
    met = meet(transport, pair.server, pair.client, "a.example", pair.session)
    assert met.resumed
    victim = CASES[case][0]
    assert getattr(met, victim).path == getattr(pair.first, victim).path != []
    assert getattr(met, victim).peer == getattr(pair.first, victim).peer
    # What comes of it is as old as what it came from.
    assert meet(transport, pair.server, pair.client, "a.example", met.client.session).resumed


def test_reverification_is_on_by_default(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert serving(world).reverify_on_resumption is True
    assert our_client(world).reverify_on_resumption is True
