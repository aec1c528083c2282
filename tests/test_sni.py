"""sni_callback: a server decides on the name that a client asks for, before it answers."""

from __future__ import annotations

import gc
import ssl
import sys
import weakref
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context, tls_pair
from tests.support.memory import handshake, memory_pair

V = ssl.TLSVersion


def refused(server: Any, client: Any, name: str | None = "localhost") -> tuple[ssl.SSLError, ssl.SSLError]:
    """Both sides' errors of a handshake that fails."""
    server_raw, client_raw = raw_pair()
    serving = in_thread(server.wrap_socket, server_raw, server_side=True)
    with client_raw, server_raw:
        with pytest.raises(ssl.SSLError) as at_client:
            client.wrap_socket(client_raw, server_hostname=name).recv(1)
        with pytest.raises(ssl.SSLError) as at_server:
            serving.result(SECONDS)
    return at_server.value, at_client.value


@pytest.mark.parametrize("module", [ssl, veritls], ids=["ssl client", "veritls client"])
@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_the_callback_gets_connection_name_and_context_and_may_switch(
    files: Files, version: ssl.TLSVersion, module: Any
) -> None:
    server, other = server_context(files.stranger), server_context(files.server)
    client = client_context(files.ca, module)
    client.minimum_version = client.maximum_version = version
    calls = []

    def callback(connection: Any, name: str | None, context: Any) -> None:
        calls.append((type(connection), name, context is server))
        connection.context = other

    server.sni_callback = callback
    with tls_pair(server, client) as (server_end, client_end):
        assert client_end.getpeercert()["subjectAltName"][0] == ("DNS", "localhost")
        assert server_end.context is other
    assert calls == [(veritls.SSLSocket, "localhost", True)]


def test_without_a_name_the_callback_gets_none_and_none_goes_on(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    client.check_hostname = False
    names = []
    server.sni_callback = lambda connection, name, context: names.append(name)
    with tls_pair(server, client, None):
        pass
    assert names == [None]


def test_an_alert_that_the_callback_returns_reaches_the_client(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    server.sni_callback = lambda *_: ssl.AlertDescription.ALERT_DESCRIPTION_ACCESS_DENIED
    at_server, at_client = refused(server, client)
    assert at_client.reason == "TLSV1_ALERT_ACCESS_DENIED"
    assert at_server.reason == "CALLBACK_FAILED"


def test_an_alert_that_the_callback_returns_is_a_fatal_one(files: Files) -> None:
    server = server_context(files.server)
    server.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    to_server, to_client = veritls.MemoryBIO(), veritls.MemoryBIO()
    client_end = client_context(files.ca).wrap_bio(
        veritls.MemoryBIO(), to_server, server_hostname="localhost"
    )
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client_end.do_handshake()
    with pytest.raises(ssl.SSLError):
        server_end.do_handshake()
    # One alert record (RFC 8446, sections 5.1 and 6): version, length, level fatal, description.
    assert to_client.read() == bytes([21, 3, 3, 0, 2, 2, 112])


@pytest.mark.parametrize(
    ("answer", "reason", "kind"),
    [
        ("raise", "SSLV3_ALERT_HANDSHAKE_FAILURE", ZeroDivisionError),
        ("foo", "TLSV1_ALERT_INTERNAL_ERROR", TypeError),
        (4711, "TLSV1_ALERT_INTERNAL_ERROR", OverflowError),
    ],
)
def test_what_goes_wrong_in_the_callback_is_reported_and_refuses(
    files: Files, answer: Any, reason: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: seen.append(report.exc_type))
    server.sni_callback = lambda *_: 1 / 0 if answer == "raise" else answer
    _, at_client = refused(server, client)
    assert at_client.reason == reason
    assert seen == [kind]


def test_of_two_contexts_the_stricter_verify_mode_holds(files: Files) -> None:
    strict, loose = server_context(files.server), server_context(files.server)
    strict.load_verify_locations(files.ca)
    strict.verify_mode = ssl.CERT_REQUIRED
    client = client_context(files.ca)
    for first, second in ((strict, loose), (loose, strict)):
        first.sni_callback = lambda connection, *_, second=second: setattr(connection, "context", second)
        at_server, _ = refused(first, client)
        assert at_server.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
        first.sni_callback = None


def test_the_callback_works_between_two_memory_bios(files: Files) -> None:
    server, client = server_context(files.stranger), client_context(files.ca)
    other = server_context(files.server)
    server.sni_callback = lambda connection, *_: setattr(connection, "context", other)
    server_end, client_end = memory_pair(server, client)
    handshake(server_end, client_end)
    assert client_end.getpeercert()["subjectAltName"][0] == ("DNS", "localhost")


def test_a_hello_that_comes_in_small_pieces_is_still_decided_on(files: Files) -> None:
    server, client = server_context(files.stranger), client_context(files.ca)
    other = server_context(files.server)
    server.sni_callback = lambda connection, *_: setattr(connection, "context", other)
    to_server, wire, to_client = veritls.MemoryBIO(), veritls.MemoryBIO(), veritls.MemoryBIO()
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    client_end = client.wrap_bio(to_client, wire, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client_end.do_handshake()
    while wire.pending:
        to_server.write(wire.read(7))
        with pytest.raises(ssl.SSLWantReadError):
            server_end.do_handshake()
    client_end.do_handshake()
    assert server_end.context is other


def test_a_client_that_does_not_speak_tls_does_not_reach_the_callback(files: Files) -> None:
    server = server_context(files.server)
    called: list[Any] = []
    server.sni_callback = lambda *args: called.append(args)
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    end = server.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLError, match="HTTP_REQUEST"):
        end.do_handshake()
    assert not called


def test_a_connection_with_a_callback_is_freed_without_the_collector(files: Files) -> None:
    server = server_context(files.server)
    server.sni_callback = lambda *_: None
    end = server.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_side=True)
    reference = weakref.ref(end)
    gc.disable()
    try:
        del end
        assert reference() is None
    finally:
        gc.enable()


def test_what_cannot_be_a_callback_is_refused(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    wrongs: list[Any] = [4, "", []]
    for wrong in wrongs:
        with pytest.raises(TypeError):
            server.sni_callback = wrong
    with pytest.raises(ValueError):
        client.sni_callback = print
    with tls_pair(server, client) as (server_end, _):
        server_end.context = client  # too late to change anything but this
        assert server_end.context is client
        with pytest.raises(TypeError):
            server_end.context = ""
