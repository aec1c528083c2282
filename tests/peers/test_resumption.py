"""Two connections between veritls and each peer that resumes, the second with the session of the first."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.peers.cases import NONE, OPTIONAL, REQUIRED, VERSIONS, Case
from tests.peers.ends import End, answer, ask, client_context, exempt, extra, require, server_context
from tests.peers.peer import SECONDS, Peer, Role
from tests.peers.registry import PEERS
from tests.peers.test_peers import shown_der, unit
from tests.support.connections import in_thread

pytestmark = pytest.mark.timeout(300)  # Go builds its own library first

KNOWN = [Case(version, mode, "valid") for version in VERSIONS for mode in (OPTIONAL, REQUIRED)]
UNKNOWN = [Case(version, NONE, "none") for version in VERSIONS]


def require_resumption(peer: Peer, role: Role, case: Case) -> None:
    require(peer, role, case)
    exempt(peer, role, case, extra(peer, "cannot_resume"))


def against(role: Role, cases: list[Case]) -> pytest.MarkDecorator:
    every = [(peer, case) for peer in PEERS if role in extra(peer, "resumes") for case in cases]
    return pytest.mark.parametrize(
        ("peer", "case"), [pytest.param(*pair, id=f"{pair[0].name}-{pair[1]}") for pair in every]
    )


def as_server(
    peer: Peer,
    case: Case,
    files: Files,
    context: veritls.SSLContext,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[End]:
    """Two connections of the peer to a veritls server; `meanwhile` is called between them."""
    require_resumption(peer, "client", case)

    def serve() -> list[End]:
        first = answer(listener, context, peer)
        meanwhile()
        return [first, answer(listener, context, peer)]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        serving = in_thread(serve)
        outcomes = peer.connect_twice(case, files, listener.getsockname()[1])
        first, second = serving.result(SECONDS)
    first.peer, second.peer = outcomes
    return [first, second]


def as_client(peer: Peer, case: Case, files: Files) -> list[End]:
    """Two connections of a veritls client to the peer."""
    require_resumption(peer, "server", case)
    context = client_context(case, files, REQUIRED)
    ends: list[End] = []
    with peer.serve_twice(case, files) as (port, finish):
        for _ in range(2):
            ends.append(ask(port, context, peer, session=ends[0].session if ends else None))
            ends[-1].peer = finish()
    return ends


def assert_established(*ends: End) -> None:
    for end in ends:
        assert end.error is None and end.peer.established, (end.error, end.peer.detail)


class TestServer:
    @against("client", KNOWN)
    def test_knows_a_client_that_resumes(self, peer: Peer, case: Case, files: Files) -> None:
        first, second = as_server(peer, case, files, server_context(peer, case, files))
        assert_established(first, second)
        assert (first.resumed, second.resumed) == (False, True)
        assert first.der == second.der == shown_der(files, case)
        assert first.certificate == second.certificate

    @against("client", UNKNOWN)
    def test_resumes_with_a_client_without_a_certificate(self, peer: Peer, case: Case, files: Files) -> None:
        first, second = as_server(peer, case, files, server_context(peer, case, files))
        assert_established(first, second)
        assert (first.resumed, second.resumed) == (False, True)
        assert first.der is None and second.der is None

    @against("client", KNOWN)
    def test_judges_a_client_that_resumes_anew(self, peer: Peer, case: Case, files: Files) -> None:
        reports: list[Any] = []

        def accept_the_first(report: Any) -> None:
            reports.append(report)
            if len(reports) > 1:
                raise ValueError("not twice")

        context = server_context(peer, case, files)
        context.set_verify_callback(accept_the_first)
        first, second = as_server(peer, case, files, context)
        assert_established(first)
        assert isinstance(second.error, veritls.SSLCertVerificationError), second.error
        assert second.received == b"" and not second.peer.established
        assert len(reports) == 2

    @against("client", KNOWN)
    def test_refuses_a_client_that_is_no_longer_allowed(self, peer: Peer, case: Case, files: Files) -> None:
        context = server_context(peer, case, files)

        def allow_another() -> None:
            context.allowed_peers = [veritls.Email("another@example.org")]

        first, second = as_server(peer, case, files, context, allow_another)
        assert_established(first)
        assert isinstance(second.error, ssl.SSLError), second.error
        if extra(peer, "falls_back"):
            assert isinstance(second.error, veritls.SSLCertVerificationError), second.error
        assert second.received == b"" and not second.peer.established


class TestClient:
    @against("server", KNOWN)
    def test_resumes_and_is_known(self, peer: Peer, case: Case, files: Files) -> None:
        first, second = as_client(peer, case, files)
        assert_established(first, second)
        assert (first.resumed, second.resumed) == (False, True)
        assert first.der == second.der and first.der
        if "certificate" in extra(peer, "tells"):
            subject = unit(shown_der(files, case))
            assert subject in first.peer.detail, first.peer.detail
            assert (extra(peer, "of_a_session") or subject) in second.peer.detail, second.peer.detail
