"""What a client may send before and within its hello: nothing of it gets a server past its sni_callback."""

from __future__ import annotations

import ssl
import sys
import threading
from typing import Any

import pytest

import veritls
from tests.deciding.conftest import World
from tests.support.connections import SECONDS, in_thread, raw_pair
from tests.support.memory import connect

WARNING = bytes([21, 3, 3, 0, 2, 1, 0])
CHANGE_CIPHER_SPEC = bytes([20, 3, 3, 0, 1, 1])


def nameless(world: World) -> Any:
    """A client's context without a certificate."""
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=world.ca.pem.decode())
    return context


def hello_in_records(client: Any, size: int) -> bytes:
    """A hello in records that carry `size` bytes each."""
    wire = veritls.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        client.wrap_bio(veritls.MemoryBIO(), wire, server_hostname="localhost").do_handshake()
    records, message = wire.read(), b""
    while records:
        length = int.from_bytes(records[3:5], "big")
        message, records = message + records[5 : 5 + length], records[5 + length :]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(bytes([22, 3, 1]) + len(piece).to_bytes(2, "big") + piece for piece in pieces)


@pytest.mark.parametrize("before", [WARNING, CHANGE_CIPHER_SPEC, WARNING + CHANGE_CIPHER_SPEC], ids=bytes.hex)
@pytest.mark.parametrize("size", [1, 16_384])
def test_a_record_before_the_hello_is_refused_not_passed_on(world: World, before: bytes, size: int) -> None:
    server, called = world.server_context(ssl.CERT_NONE), []
    server.sni_callback = lambda *args: called.append(args)
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    end = server.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(before + hello_in_records(nameless(world), size))
    for _ in range(2):
        with pytest.raises(ssl.SSLError) as refused:
            end.do_handshake()
        assert not isinstance(refused.value, ssl.SSLWantReadError)
    assert not called
    assert outgoing.read()[:1] in (b"", b"\x15"), "an alert at most"


@pytest.mark.parametrize("size", [1, 10, 100, 16_384])
@pytest.mark.parametrize("names", [0, 40, 200, 255])
def test_a_hello_in_many_records_is_decided_on_or_refused(world: World, size: int, names: int) -> None:
    server, client, called = world.server_context(ssl.CERT_NONE), nameless(world), []
    client.set_alpn_protocols([f"{number:x<250}" for number in range(names)])
    server.sni_callback = lambda *args: called.append(args)
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    end = server.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello_in_records(client, size))
    with pytest.raises(ssl.SSLError) as error:
        end.do_handshake()
    went_on = isinstance(error.value, ssl.SSLWantReadError)
    assert went_on == (len(called) == 1)
    assert went_on or outgoing.read()[:1] in (b"", b"\x15"), "an alert at most"


@pytest.mark.parametrize("answer", [ssl.ALERT_DESCRIPTION_ACCESS_DENIED, "not an alert", LookupError()])
def test_a_context_set_by_a_callback_that_refuses_is_dropped(
    world: World, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda report: None)
    server, other = world.server_context(ssl.CERT_NONE), world.server_context()

    def refuse(end: Any, name: str | None, context: Any) -> Any:
        end.context = other
        if isinstance(answer, Exception):
            raise answer
        return answer

    server.sni_callback = refuse
    outcome = connect(server, nameless(world))
    assert getattr(outcome.server_error, "reason", None) == "CALLBACK_FAILED"
    assert outcome.server.context is server
    with pytest.raises(ValueError, match="only be set within its sni_callback"):
        outcome.server.context = other


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_refusal_comes_out_of_the_handshake(world: World, kind: type[BaseException]) -> None:
    server = world.server_context(ssl.CERT_NONE)

    def interrupted(*_: Any) -> None:
        raise kind

    server.sni_callback = interrupted
    outcome = connect(server, nameless(world))
    assert isinstance(outcome.server_error, kind)
    assert getattr(outcome.client_error, "reason", None) == "SSLV3_ALERT_HANDSHAKE_FAILURE"
    with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
        outcome.server.do_handshake()


def test_a_context_is_set_from_within_the_callback_only(world: World) -> None:
    server, strict, loose = (
        world.server_context(ssl.CERT_NONE),
        world.server_context(),
        world.server_context(),
    )
    client, asked, tried = nameless(world), threading.Event(), threading.Event()
    ends: list[Any] = []

    def decide(end: Any, name: str | None, context: Any) -> None:
        end.context = strict
        ends.append(end)
        asked.set()
        assert tried.wait(SECONDS)

    server.sni_callback = decide
    meeting = in_thread(connect, server, client)
    assert asked.wait(SECONDS)
    with pytest.raises(ValueError, match="only be set within its sni_callback"):
        ends[0].context = loose
    tried.set()
    outcome = meeting.result(SECONDS)
    assert getattr(outcome.server_error, "reason", None) == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert outcome.server.context is strict


def test_the_context_cannot_be_set_between_the_callback_and_the_end_of_the_handshake(world: World) -> None:
    server = world.server_context(ssl.CERT_NONE)
    server.sni_callback = lambda *_: None
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    end = server.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello_in_records(nameless(world), 16_384))
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    with pytest.raises(ValueError, match="only be set within its sni_callback"):
        end.context = world.server_context()


def test_a_session_set_within_a_callback_changes_nothing(world: World) -> None:
    server, client = world.server_context(ssl.CERT_NONE), world.client_context()
    strict = world.server_context()

    def renew(end: Any, name: str | None, context: Any) -> None:
        end.context = strict
        end.session = None

    server.sni_callback = renew
    outcome = connect(server, client)
    assert not outcome.refused
    assert outcome.server.get_verified_chain()[0] == world.client.der


def test_a_session_is_offered_before_the_handshake_has_begun_or_not_at_all(world: World) -> None:
    server, client = world.server_context(), world.client_context()
    ends: list[Any] = []
    tried: list[bool] = []

    def offer(report: Any) -> None:
        for end in ends:
            with pytest.raises(ValueError, match="begun"):
                end.session = session
            tried.append(True)

    client.set_verify_callback(offer)
    session = connect(server, client).client.session
    server_raw, client_raw = raw_pair()
    serving = in_thread(server.wrap_socket, server_raw, server_side=True)
    with client.wrap_socket(client_raw, server_hostname="localhost", do_handshake_on_connect=False) as end:
        end.session = session
        ends.append(end)
        end.do_handshake()
        assert (end.session_reused, tried) == (True, [True])
        serving.result(SECONDS).close()
