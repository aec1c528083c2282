"""Callbacks that switch greenlets: two handshakes take turns on one thread, each keeps what is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import greenlet
import pytest
from cryptography import x509

import veritls
from tests.support.certificates import Party
from tests.support.memory import Outcome, connect
from veritls.report import VerificationReport

ORDERS = pytest.mark.parametrize("first", [0, 1], ids=["first in, first out", "last in, first out"])
SIDES = pytest.mark.parametrize("side", ["server", "client"])


class NotToday(Exception):
    pass


class Couple:
    """Two ends that only know each other's CA, and a handshake between them, in a greenlet of its own."""

    def __init__(self, folder: Path, side: str, refuses: bool) -> None:
        self.side, self.ca = side, Party("A CA", ca=True)
        self.party = {
            "server": self.ca.issue(x509.DNSName("localhost")),
            "client": self.ca.issue(x509.DNSName("client.internal")),
        }
        self.refuses = refuses
        self.files = {each: party.file(folder) for each, party in self.party.items()}
        self.main = greenlet.getcurrent()
        self.ends = {"server": self._context("server"), "client": self._context("client")}
        self.greenlet = greenlet.greenlet(lambda: connect(self.ends["server"], self.ends["client"]))

    @property
    def peer(self) -> Party:
        return self.party["client" if self.side == "server" else "server"]

    def _context(self, side: str) -> Any:
        protocol = veritls.PROTOCOL_TLS_SERVER if side == "server" else veritls.PROTOCOL_TLS_CLIENT
        context = veritls.SSLContext(protocol)
        context.load_verify_locations(cadata=self.ca.pem.decode())
        context.load_cert_chain(self.files[side])
        context.verify_mode = veritls.CERT_REQUIRED
        if side == self.side:
            context.set_verify_callback(self._callback)
        return context

    def _callback(self, report: VerificationReport) -> None:
        assert report.request.chain[0] == self.peer.der
        self.main.switch()
        if self.refuses:
            raise NotToday(self.peer.certificate.serial_number)


def in_turns(couples: list[Couple], first: int) -> list[Outcome]:
    """Both get as far as their callbacks; then one after the other goes on to its end."""
    for couple in couples:
        assert not isinstance(couple.greenlet.switch(), Outcome)
    outcomes: dict[int, Outcome] = {}
    for place in (first, 1 - first):
        outcomes[place] = couples[place].greenlet.switch()
    return [outcomes[0], outcomes[1]]


@SIDES
@ORDERS
def test_each_refusal_has_its_own_evidence(tmp_path: Path, side: str, first: int) -> None:
    couples = [Couple(tmp_path, side, refuses=True) for _ in range(2)]
    for couple, outcome in zip(couples, in_turns(couples, first), strict=True):
        error = getattr(outcome, f"{side}_error")
        assert isinstance(error, veritls.SSLCertVerificationError)
        assert isinstance(error.__cause__, NotToday)
        assert error.__cause__.args == (couple.peer.certificate.serial_number,)
        assert error.report.request.chain[0] == couple.peer.der
        assert error.report.refusal is not None
        assert error.report.refusal.path == (couple.ca.der,)


@SIDES
@ORDERS
def test_each_connection_has_its_own_verified_chain(tmp_path: Path, side: str, first: int) -> None:
    couples = [Couple(tmp_path, side, refuses=False) for _ in range(2)]
    for couple, outcome in zip(couples, in_turns(couples, first), strict=True):
        assert not outcome.refused
        end = getattr(outcome, side)
        assert end.getpeercert(True) == couple.peer.der
        assert end.get_verified_chain() == [couple.peer.der, couple.ca.der]


@ORDERS
def test_one_is_refused_and_the_other_accepted(tmp_path: Path, first: int) -> None:
    couples = [Couple(tmp_path, "server", refuses=True), Couple(tmp_path, "server", refuses=False)]
    refused, accepted = in_turns(couples, first)
    assert isinstance(refused.server_error, veritls.SSLCertVerificationError)
    assert refused.server_error.report.request.chain[0] == couples[0].peer.der
    assert not accepted.refused
    assert accepted.server.get_verified_chain()[0] == couples[1].peer.der


@ORDERS
def test_a_session_that_began_in_turns_is_resumed(tmp_path: Path, first: int) -> None:
    couples = [Couple(tmp_path, "server", refuses=False) for _ in range(2)]
    for couple, outcome in zip(couples, in_turns(couples, first), strict=True):
        couple.main = greenlet.getcurrent()
        asked: list[VerificationReport] = []
        couple.ends["server"].set_verify_callback(asked.append)
        again = connect(couple.ends["server"], couple.ends["client"], session=outcome.client.session)
        assert not again.refused
        assert [report.request.chain[0] for report in asked] == [couple.peer.der]


@ORDERS
def test_each_hello_is_decided_on_by_its_own_callback(tmp_path: Path, first: int) -> None:
    couples = [Couple(tmp_path, "server", refuses=False) for _ in range(2)]
    asked: dict[int, Any] = {}
    for place, couple in enumerate(couples):

        def switch(end: Any, name: str | None, context: Any, place: int = place) -> None:
            couples[place].main.switch()
            asked[place] = end

        couple.ends["server"].set_verify_callback(None)
        couple.ends["server"].sni_callback = switch
    for place, outcome in enumerate(in_turns(couples, first)):
        assert not outcome.refused
        assert asked[place] is outcome.server
        assert outcome.server.get_verified_chain()[0] == couples[place].peer.der
