"""Resumption: a session is resumed only where both sides would still accept each other."""

from __future__ import annotations

import copy
import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import client_context, server_context, tls_pair

V = ssl.TLSVersion


def contexts(files: Files, version: ssl.TLSVersion, certificate: Path | None = None) -> tuple[Any, Any]:
    server, client = server_context(certificate or files.server), client_context(files.ca)
    client.minimum_version = client.maximum_version = version
    return server, client


def connect(server: Any, client: Any, session: Any = None, name: str = "localhost") -> tuple[Any, bool, bool]:
    """One connection with a byte each way: (the client's session, reused at the client, at the server)."""
    with tls_pair(server, client, name, session=session) as (server_end, client_end):
        server_end.sendall(b"s")
        assert client_end.recv(1) == b"s"
        client_end.sendall(b"c")
        assert server_end.recv(1) == b"c"
        return client_end.session, client_end.session_reused, server_end.session_reused


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_session_is_resumed_on_both_sides(files: Files, version: ssl.TLSVersion) -> None:
    server, client = contexts(files, version)
    session, *reused = connect(server, client)
    assert reused == [False, False]
    assert session.has_ticket
    again, *reused = connect(server, client, session)
    assert reused == [True, True]
    assert again == session and again.id == session.id and len(session.id) == 32
    assert client.session_stats()["hits"] == server.session_stats()["hits"] == 1
    for context, kind in ((server, "accept"), (client, "connect")):
        assert (context.session_stats()[kind], context.session_stats()[f"{kind}_good"]) == (2, 2)
    assert connect(server, client)[1:] == (False, False)


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_the_standard_librarys_client_resumes_with_our_server(files: Files, version: ssl.TLSVersion) -> None:
    server, _ = contexts(files, version)
    client = client_context(files.ca, ssl)
    client.minimum_version = client.maximum_version = version
    session, *reused = connect(server, client)
    assert reused == [False, False]
    assert connect(server, client, session)[1:] == (True, True)


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_our_client_resumes_with_the_standard_librarys_server(files: Files, version: ssl.TLSVersion) -> None:
    _, client = contexts(files, version)
    server = server_context(files.server, ssl)
    session, *_ = connect(server, client)
    assert connect(server, client, session)[1:] == (True, True)


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_resumed_connection_still_knows_its_clients_certificate(
    files: Files, version: ssl.TLSVersion
) -> None:
    server, client = contexts(files, version)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(files.ca)
    client.load_cert_chain(files.client)
    session, *_ = connect(server, client)
    with tls_pair(server, client, session=session) as (server_end, client_end):
        assert client_end.session_reused and server_end.session_reused
        assert server_end.getpeercert()["subjectAltName"] == (("email", "client@example.org"),)
        assert len(server_end.get_verified_chain()) == 2


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_session_is_not_offered_where_the_name_is_another(files: Files, version: ssl.TLSVersion) -> None:
    server, client = contexts(files, version)
    session, *_ = connect(server, client, name="localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for .elsewhere\.example"):
        connect(server, client, session, name="elsewhere.example")


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize("side", ["server", "client"])
def test_a_change_of_settings_ends_every_session(files: Files, version: ssl.TLSVersion, side: str) -> None:
    server, client = contexts(files, version)
    session, *_ = connect(server, client)
    changed = server if side == "server" else client
    changed.load_verify_locations(files.stranger)
    assert connect(server, client, session)[1:] == (False, False)


def test_a_server_that_came_to_require_a_certificate_takes_no_old_session_up(files: Files) -> None:
    server, client = contexts(files, V.TLSv1_2)
    session, *_ = connect(server, client)
    server.load_verify_locations(files.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(ssl.SSLError):
        connect(server, client, session)


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_op_no_ticket_turns_resumption_off(files: Files, version: ssl.TLSVersion) -> None:
    server, client = contexts(files, version)
    server.options |= ssl.OP_NO_TICKET
    session, *_ = connect(server, client)
    assert not session.has_ticket and session.ticket_lifetime_hint == 0
    assert connect(server, client, session)[1:] == (False, False)


@pytest.mark.parametrize("refused", [False, True])
def test_a_client_under_op_no_ticket_does_not_ask_for_one_with_tls12(refused: bool) -> None:
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.options |= ssl.OP_NO_TICKET if refused else 0
    outgoing = veritls.MemoryBIO()
    connection = client.wrap_bio(veritls.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    session_ticket = b"\x00\x23\x00\x00"  # an empty extension (RFC 5077, section 3.2)
    assert (session_ticket in outgoing.read()) is not refused


@pytest.mark.parametrize("count", [-1, 256, 2**63, 2**64])
def test_num_tickets_is_bounded(count: int) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    with pytest.raises(ValueError, match="value must be"):
        server.num_tickets = count
    assert server.num_tickets == 2


def test_num_tickets_is_how_many_tls13_tickets_a_server_sends(files: Files) -> None:
    server, client = contexts(files, V.TLSv1_3)
    server.num_tickets = 0
    assert not connect(server, client)[0].has_ticket
    server.num_tickets = 1
    session, *_ = connect(server, client)
    assert connect(server, client, session)[1] is True
    assert connect(server, client, session)[1] is False  # a ticket is used once
    with pytest.raises(ValueError):
        server.num_tickets = -1
    with pytest.raises(ValueError):
        client.num_tickets = 1


def test_a_session_that_cannot_be_used_is_refused(files: Files) -> None:
    server, client = contexts(files, V.TLSv1_2)
    session, *_ = connect(server, client)
    other = client_context(files.ca)
    with tls_pair(server, client) as (server_end, end):
        with pytest.raises(TypeError, match="not a SSLSession"):
            end.session = object()
        with pytest.raises(ValueError, match="after handshake"):
            end.session = session
        with pytest.raises(ValueError, match="server-side"):
            server_end._context = client
            server_end.session = session
    with pytest.raises(ValueError, match="different SSLContext"):
        connect(server, other, session)
    with pytest.raises(TypeError):
        veritls.SSLSession()
    with pytest.raises(TypeError):
        pickle.dumps(session)
    with pytest.raises(TypeError):
        copy.copy(session)
