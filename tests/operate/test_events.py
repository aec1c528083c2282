"""Each handshake's end is told once, on every transport and either side, with what is known of it."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from tests.conftest import Files
from tests.operate.ways import KNOW_ADDRESSES, SEND_ALERTS, Heard, ask, mutual, serving, ways
from tests.support.connections import SECONDS, client_context, server_context
from veritls import events


def met(
    files: Files, server_way: str, client_way: str, server: Any, client: Any
) -> tuple[Heard, Heard, BaseException | None]:
    """What the two sides heard of one connection, and what the client raised."""
    heard = Heard(), Heard()
    error: BaseException | None = None
    with (
        server.on_handshake(heard[0]),
        client.on_handshake(heard[1]),
        serving(server_way, server) as port,
    ):
        try:
            ask(client_way, port, client)
        except OSError as raised:
            error = raised
        heard[0].wait()
        heard[1].wait()
    return *heard, error


@ways
def test_a_server_hears_of_a_handshake_that_is_completed(files: Files, way: str) -> None:
    server, client = mutual(files)
    event = met(files, way, "sockets", server, client)[0].one()
    assert (event.side, event.outcome, event.kind, event.sentence) == ("server", "completed", None, None)
    assert event.server_name == "localhost"
    assert (event.version, event.suite) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    assert event.group == "X25519MLKEM768"
    assert event.resumed is False
    assert event.duration is not None and event.duration > 0
    assert event.peer_identity is not None
    assert "CN=client" in event.peer_identity.subject
    assert event.peer_identity.names == (("email", "client@example.org"),)
    assert event.generation == server.generation > 0
    if way in KNOW_ADDRESSES:
        assert event.peer_address[0] == "127.0.0.1" and isinstance(event.peer_address[1], int)
    else:
        assert event.peer_address is None


@ways
def test_a_client_hears_of_a_handshake_that_is_completed(files: Files, way: str) -> None:
    server, client = mutual(files)
    event = met(files, "sockets", way, server, client)[1].one()
    assert (event.side, event.outcome, event.kind, event.sentence) == ("client", "completed", None, None)
    assert event.server_name == "localhost"
    assert (event.version, event.suite) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    assert event.peer_identity is not None
    assert ("DNS", "localhost") in event.peer_identity.names
    assert (event.peer_address is not None) == (way in KNOW_ADDRESSES)


@ways
@pytest.mark.parametrize(
    ("own", "kind"),
    [
        ("stranger", "unknown_issuer"),
        ("expired", "expired"),
        (None, "peer_did_not_return_a_certificate"),
    ],
)
def test_a_server_hears_whom_it_refused_and_why(files: Files, way: str, own: str | None, kind: str) -> None:
    server, client = mutual(files, own)
    event = met(files, way, "sockets", server, client)[0].one()
    assert (event.side, event.outcome, event.kind) == ("server", "refused", kind)
    assert event.sentence
    assert event.peer_identity is None
    assert event.version == "TLSv1.3"
    assert event.resumed is None
    assert (event.peer_address is not None) == (way in KNOW_ADDRESSES)


@ways
def test_a_client_hears_whom_it_refused_and_why(files: Files, way: str) -> None:
    server, client = server_context(files.stranger), client_context(files.ca)
    _, heard, error = met(files, "sockets", way, server, client)
    event = heard.one()
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert (event.side, event.outcome) == ("client", "refused")
    assert event.kind == error.report.kind  # type: ignore[attr-defined]
    assert event.sentence == error.report.sentence  # type: ignore[attr-defined]


@pytest.mark.parametrize("client_way", SEND_ALERTS)
@ways
def test_a_server_hears_by_which_alert_it_was_refused(files: Files, way: str, client_way: str) -> None:
    server, client = server_context(files.stranger), client_context(files.ca)
    event = met(files, way, client_way, server, client)[0].one()
    assert (event.side, event.outcome, event.kind) == ("server", "refused_by_peer", "unknown_ca")
    assert event.sentence and event.sentence.startswith("alert unknown_ca (48): ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@ways
def test_a_client_hears_by_which_alert_it_was_refused(
    files: Files, way: str, version: ssl.TLSVersion
) -> None:
    """In TLS 1.3 its own handshake is over by then: that is an event of its own, and no second handshake."""
    server, client = mutual(files, "stranger")
    client.maximum_version = version
    _, heard, error = met(files, "sockets", way, server, client)
    if version == ssl.TLSVersion.TLSv1_2:
        event = heard.one()
        assert (event.outcome, event.kind) == ("refused_by_peer", "unknown_ca")
    else:
        completed, refused = heard.wait(2)
        assert (completed.outcome, completed.kind) == ("completed", None)
        assert (refused.outcome, refused.kind) == ("refused_late", "unknown_ca")
        assert refused.duration and completed.duration and refused.duration > completed.duration
    assert isinstance(error, ssl.SSLError) or way in ("asyncio", "uvloop")


@ways
def test_a_resumed_handshake_says_so(files: Files, way: str) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()
    with server.on_handshake(heard), serving(way, server) as port:
        session = None
        for _ in range(2):
            raw = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
            with client.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
                tls.sendall(b"x")
                assert tls.recv(1) == b"x"
                session = tls.session
    assert [event.resumed for event in heard.wait(2)] == [False, True]


def test_the_whole_process_is_heard_by_one_subscription(files: Files) -> None:
    heard = Heard()
    with events.subscribe(heard), serving("veritls", server_context(files.server)) as port:
        ask("sockets", port, client_context(files.ca))
        assert sorted(event.side for event in heard.wait(2)) == ["client", "server"]
    with serving("sockets", server_context(files.server)) as port:
        ask("sockets", port, client_context(files.ca))
    assert len(heard.events) == 2
