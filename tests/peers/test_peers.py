"""Every cell of the mode table against every peer: veritls as the server, then as the client."""

from __future__ import annotations

import re
import ssl

import pytest
from cryptography import x509

import veritls
from tests.conftest import Files
from tests.peers.cases import (
    NONE,
    OPTIONAL,
    REFUSALS,
    REQUIRED,
    SAID,
    VERIFY_CODES,
    VERSIONS,
    Case,
    Ending,
    Outcome,
    alert_for,
    cases,
)
from tests.peers.ends import as_client, as_server, extra
from tests.peers.peer import Peer, Role, certificate
from tests.peers.registry import PEERS

pytestmark = pytest.mark.timeout(300)  # Go builds its own library first


def against(role: Role, chosen: list[Case]) -> pytest.MarkDecorator:
    """Runs a test with each of its class's peers that has the role, in each case: conftest.py does."""
    return pytest.mark.against(role, chosen)


def shown_der(files: Files, case: Case) -> bytes:
    """The client's certificate."""
    path = certificate(files, case.client)
    assert path
    blocks = re.findall(rb"-+BEGIN CERTIFICATE.*?END CERTIFICATE-+", path.read_bytes(), re.DOTALL)
    return ssl.PEM_cert_to_DER_cert(blocks[0].decode())


def unit(der: bytes) -> str:
    """What tells a test certificate's subject from all others: its organizational unit."""
    value = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(
        x509.OID_ORGANIZATIONAL_UNIT_NAME
    )
    return str(value[0].value)


def assert_client_said(peer: Peer, case: Case, outcome: Outcome) -> None:
    """The peer got no data, and speaks of the alert by which veritls refused its certificate."""
    if case.version is ssl.TLSVersion.TLSv1_3 and not extra(peer, "late_alerts"):
        assert not outcome.established
    else:
        assert_said(outcome, alert_for(case))


def assert_said(outcome: Outcome, alert: str) -> None:
    """The peer got no data, and speaks of the alert."""
    assert not outcome.established
    assert re.search(SAID[alert], outcome.detail, re.IGNORECASE), outcome.detail


class TestServer:
    peers = PEERS
    as_server = staticmethod(as_server)

    @against("client", cases(Ending.WITHOUT))
    def test_goes_on_and_learns_no_certificate(self, peer: Peer, case: Case, files: Files) -> None:
        server = self.as_server(peer, case, files)
        assert server.error is None and server.peer.established, (server.error, server.peer.detail)
        assert server.certificate is None and server.der is None

    @against("client", cases(Ending.WITH))
    def test_goes_on_and_learns_the_certificate(self, peer: Peer, case: Case, files: Files) -> None:
        server = self.as_server(peer, case, files)
        assert server.error is None and server.peer.established, (server.error, server.peer.detail)
        shown = shown_der(files, case)
        assert server.der == shown
        assert (("organizationalUnitName", unit(shown)),) in server.certificate["subject"]

    @against("client", cases(Ending.MISSING))
    def test_refuses_a_client_without_a_certificate(self, peer: Peer, case: Case, files: Files) -> None:
        server = self.as_server(peer, case, files)
        assert isinstance(server.error, ssl.SSLError)
        assert server.error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
        assert server.received == b""
        assert_client_said(peer, case, server.peer)

    @against("client", cases(Ending.INVALID))
    def test_refuses_an_invalid_certificate(self, peer: Peer, case: Case, files: Files) -> None:
        server = self.as_server(peer, case, files)
        assert isinstance(server.error, veritls.SSLCertVerificationError), server.error
        assert server.error.verify_code == VERIFY_CODES[case.client]
        assert server.received == b""
        assert_client_said(peer, case, server.peer)

    @against("client", [Case(version, NONE, "none", "stranger") for version in VERSIONS])
    def test_learns_that_the_client_refuses_its_certificate(
        self, peer: Peer, case: Case, files: Files
    ) -> None:
        server = self.as_server(peer, case, files)
        if "stranger" not in extra(peer, "silent"):
            assert isinstance(server.error, ssl.SSLError), server.error
            assert server.error.reason in REFUSALS, server.error
        assert server.received == b"" and not server.peer.established


class TestClient:
    peers = PEERS
    as_client = staticmethod(as_client)

    @against("server", cases(Ending.WITHOUT))
    def test_goes_on_with_a_server_that_takes_no_certificate(
        self, peer: Peer, case: Case, files: Files
    ) -> None:
        client = self.as_client(peer, case, files, REQUIRED, refused=False)
        assert client.error is None and extra(peer, "reply") in client.received, client.peer.detail
        assert client.peer.established, client.peer.detail

    @against("server", cases(Ending.WITH))
    def test_shows_its_certificate_to_a_server_that_asks(self, peer: Peer, case: Case, files: Files) -> None:
        client = self.as_client(peer, case, files, REQUIRED, refused=False)
        assert client.error is None and extra(peer, "reply") in client.received, client.peer.detail
        assert client.peer.established, client.peer.detail
        if "certificate" in extra(peer, "tells"):
            assert unit(shown_der(files, case)) in client.peer.detail

    @against("server", cases(Ending.MISSING, Ending.INVALID))
    def test_learns_that_the_server_refuses_it(self, peer: Peer, case: Case, files: Files) -> None:
        client = self.as_client(peer, case, files, REQUIRED, refused=True)
        assert not client.peer.established and extra(peer, "reply") not in client.received
        if refusal := extra(peer, "refusal"):
            assert client.error is None and refusal in client.received
        elif case.client not in extra(peer, "silent"):
            assert isinstance(client.error, ssl.SSLError), client.error
            assert client.error.reason in REFUSALS | extra(peer, "odd_refusals"), client.error

    @pytest.mark.parametrize("own", [OPTIONAL, REQUIRED])
    @against("server", [Case(version, NONE, "none", "stranger") for version in VERSIONS])
    def test_refuses_a_server_of_another_ca(
        self, peer: Peer, case: Case, files: Files, own: ssl.VerifyMode
    ) -> None:
        client = self.as_client(peer, case, files, own, refused=True)
        assert isinstance(client.error, veritls.SSLCertVerificationError), client.error
        assert client.error.verify_code == 20
        assert not client.peer.established
        if "which alert" in extra(peer, "tells"):
            assert_said(client.peer, "TLSV1_ALERT_UNKNOWN_CA")
        if "alert" in extra(peer, "tells"):
            assert "alert" in client.peer.detail, client.peer.detail

    @pytest.mark.parametrize("own", [NONE, OPTIONAL, REQUIRED])
    @against("server", [Case(version, NONE, "none") for version in VERSIONS])
    def test_goes_on_with_a_valid_server(
        self, peer: Peer, case: Case, files: Files, own: ssl.VerifyMode
    ) -> None:
        client = self.as_client(peer, case, files, own, refused=False)
        assert client.error is None and client.peer.established, client.peer.detail

    @against("server", [Case(version, NONE, "none", "stranger") for version in VERSIONS])
    def test_that_does_not_verify_goes_on_with_any_server(self, peer: Peer, case: Case, files: Files) -> None:
        client = self.as_client(peer, case, files, NONE, refused=False)
        assert client.error is None and client.peer.established, client.peer.detail
