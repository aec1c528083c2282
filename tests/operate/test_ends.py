"""A handshake that is broken off has one end, too: a peer that is gone, a time that is over, a probe."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.operate.ways import KNOW_ADDRESSES, Heard, ask, in_a_loop, serving, ways
from tests.support.certificates import Party
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context
from veritls import events

HELLO = b"\x16\x03\x01\x00\x50\x01\x00"
"""The beginning of a ClientHello."""


def hello(files: Files) -> bytes:
    """A whole one."""
    sent = veritls.MemoryBIO()
    tls = client_context(files.ca).wrap_bio(veritls.MemoryBIO(), sent, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return sent.read()


OURS = ["sockets", "implicit", "memory", "veritls", "veritls-uvloop"]
"""asyncio's and uvloop's own TLS does not say of a handshake how it ended: it lets go of it."""


def collect(context: Any) -> None:
    """Has what was let go of told: the next connection does."""
    gc.collect()
    context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_side=True)


def told(files: Files, way: str, act: Callable[[socket.socket], None], **options: Any) -> Any:
    """The one event of a server whose client does `act` with a plain socket, and closes it."""
    context, heard = server_context(files.server), Heard()
    with context.on_handshake(heard), serving(way, context, **options) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw:
            act(raw)
        if way in ("asyncio", "uvloop"):
            for _ in range(100):  # until the loop has let go of it
                collect(context)
                if len(heard.events) > heard.outcomes().count("completed"):
                    break
                assert ask("sockets", port, client_context(files.ca)) == b"x"
        heard.wait()
    (event,) = [event for event in heard.events if event.outcome != "completed"]
    return event


def reset(raw: socket.socket) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@ways
def test_a_peer_that_sends_no_byte_is_a_probe(files: Files, way: str) -> None:
    event = told(files, way, lambda raw: None)
    assert (event.outcome, event.kind, event.version) == ("probe", "no_byte", None)
    assert (event.peer_address is not None) == (way in KNOW_ADDRESSES)


def test_a_peer_that_resets_before_it_is_accepted_is_a_probe(files: Files) -> None:
    context, heard = server_context(files.server), Heard()
    with context.on_handshake(heard), socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        with socket.create_connection(listening.getsockname(), timeout=SECONDS) as raw:
            reset(raw)
        accepted, _ = listening.accept()
        with accepted, pytest.raises(ConnectionError):
            context.wrap_socket(accepted, server_side=True)
    event = heard.one()
    assert (event.side, event.outcome, event.kind) == ("server", "probe", "no_byte")


@ways
def test_a_peer_that_sends_no_tls_is_a_probe(files: Files, way: str) -> None:
    event = told(files, way, lambda raw: raw.sendall(b"GET / HTTP/1.0\r\n\r\n"))
    assert (event.outcome, event.kind) == ("probe", "http_request")


@pytest.mark.parametrize("way", OURS)
def test_a_peer_that_goes_away_in_the_middle_is_gone(files: Files, way: str) -> None:
    event = told(files, way, lambda raw: raw.sendall(HELLO))
    assert (event.outcome, event.kind) == ("gone", "eof")


@pytest.mark.parametrize("way", OURS)
def test_a_peer_that_resets_in_the_middle_is_gone(files: Files, way: str) -> None:
    def act(raw: socket.socket) -> None:
        raw.sendall(hello(files))
        assert raw.recv(1) == b"\x16"
        reset(raw)

    event = told(files, way, act)
    assert event.outcome == "gone"
    assert event.kind == ("eof" if way == "memory" else "econnreset")
    assert event.server_name == "localhost"
    assert (event.peer_address is not None) == (way in KNOW_ADDRESSES)


@pytest.mark.parametrize("way", ["asyncio", "uvloop"])
@pytest.mark.parametrize("whole", [True, False])
def test_what_a_foreign_loop_lets_go_of_is_closed(files: Files, way: str, whole: bool) -> None:
    event = told(files, way, lambda raw: raw.sendall(hello(files) if whole else HELLO))
    assert (event.outcome, event.kind) == ("closed", "closed")


@pytest.mark.parametrize("way", ["veritls", "veritls-uvloop"])
@pytest.mark.parametrize(("sent", "outcome"), [(HELLO, "timeout"), (b"", "probe")])
def test_a_handshake_that_takes_too_long_on_a_loop_is_told(
    files: Files, way: str, sent: bytes, outcome: str
) -> None:
    def act(raw: socket.socket) -> None:
        raw.sendall(sent)
        assert raw.recv(1) == b""

    event = told(files, way, act, ssl_handshake_timeout=0.2)
    assert event.outcome == outcome


def test_a_timeout_is_the_end_only_if_the_socket_is_closed(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()
    server.on_handshake(heard)
    ours, theirs = raw_pair()
    with server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False) as tls:
        tls.settimeout(0.05)
        with pytest.raises(TimeoutError):
            tls.do_handshake()
        assert heard.events == []
        tls.settimeout(SECONDS)
        asking = in_thread(client.wrap_socket, theirs, server_hostname="localhost")
        tls.do_handshake()
        asking.result(SECONDS).close()
        assert heard.one().outcome == "completed"
    ours, theirs = raw_pair()
    with theirs, server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False) as tls:
        theirs.sendall(HELLO)
        tls.settimeout(0.05)
        with pytest.raises(TimeoutError):
            tls.do_handshake()
    assert heard.events[1].outcome == "timeout"
    assert len(heard.events) == 2


def test_a_socket_that_is_closed_by_another_thread_within_its_handshake_is_closed(files: Files) -> None:
    context, heard = server_context(files.server), Heard()
    context.on_handshake(heard)
    ours, theirs = raw_pair()
    with theirs:
        tls = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
        shaking: Future[Any] = in_thread(tls.do_handshake)
        theirs.sendall(HELLO)
        while tls._stream is not None and tls._stream.idle():
            pass
        tls.close()
        assert isinstance(shaking.exception(SECONDS), OSError)
    assert [event.outcome for event in heard.events] == ["closed"]


def test_a_socket_whose_handshake_never_began_has_no_event(files: Files) -> None:
    context, heard = server_context(files.server), Heard()
    context.on_handshake(heard)
    ours, theirs = raw_pair()
    with theirs:
        context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False).close()
    assert heard.events == []


@pytest.mark.parametrize("way", ["veritls", "veritls-uvloop"])
def test_a_transport_that_is_aborted_within_its_handshake_is_closed(files: Files, way: str) -> None:
    context, heard = client_context(files.ca), Heard()
    context.on_handshake(heard)
    ours, theirs = raw_pair()
    ours.setblocking(False)

    async def connect() -> None:
        await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=ours, ssl=context, server_hostname="localhost"
        )

    with theirs, in_a_loop(way) as loop:
        connecting = asyncio.run_coroutine_threadsafe(connect(), loop)
        assert theirs.recv(1) == b"\x16"
        connecting.cancel()
        event = heard.one()
        assert (event.side, event.outcome) == ("client", "closed")
        assert event.peer_address == theirs.getsockname()


def test_an_sslobject_that_is_let_go_of_is_told_of_with_the_next_connection(files: Files) -> None:
    context, heard = client_context(files.ca), Heard()
    with events.subscribe(heard):
        tls = context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        del tls
        gc.collect()
        assert heard.events == []
        collect(server_context(files.server))
    event = heard.one()
    assert (event.side, event.outcome, event.server_name) == ("client", "closed", "localhost")


def test_an_error_is_told_once_however_often_it_is_raised(files: Files) -> None:
    context, heard = server_context(files.server), Heard()
    context.on_handshake(heard)
    ours, theirs = raw_pair()
    with theirs, ours:
        theirs.sendall(b"no TLS at all")
        tls = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
        for step in (tls.do_handshake, lambda: tls.recv(1), lambda: tls.sendall(b"x"), tls.do_handshake):
            with pytest.raises(ssl.SSLError):
                step()
        tls.close()
    assert len(heard.events) == 1


def test_an_error_after_the_handshake_is_no_end_of_one(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()
    ours, theirs = raw_pair()
    serving_one = in_thread(server.wrap_socket, ours, server_side=True)
    with client.wrap_socket(theirs, server_hostname="localhost") as tls:
        end = serving_one.result(SECONDS)
        with events.subscribe(heard):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
            with pytest.raises(OSError):
                for _ in range(100):
                    tls.sendall(b"x" * 1000)
    assert heard.events == []


def test_an_interrupt_within_a_callback_is_told_once(files: Files) -> None:
    def interrupt(report: Any) -> None:
        raise KeyboardInterrupt

    server, client = server_context(files.server), client_context(files.ca)
    client.set_verify_callback(interrupt)
    heard = Heard()
    client.on_handshake(heard)
    ours, theirs = raw_pair()
    in_thread(server.wrap_socket, ours, server_side=True)
    with pytest.raises(KeyboardInterrupt):
        client.wrap_socket(theirs, server_hostname="localhost")
    event = heard.one()
    assert (event.outcome, event.kind) == ("refused", "callback")


def test_a_socket_that_is_closed_within_a_callback_is_closed(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()
    server.on_handshake(heard)
    server.sni_callback = lambda connection, name, context: connection.close()
    ours, theirs = raw_pair()
    asking = in_thread(client.wrap_socket, theirs, server_hostname="localhost")
    with pytest.raises(OSError):
        server.wrap_socket(ours, server_side=True)
    theirs.close()
    asking.exception(SECONDS)
    assert heard.one().outcome == "closed"


@pytest.mark.parametrize("name", ["veritls", "veritls-uvloop"])
def test_bytes_before_the_handshake_of_start_tls_refuse_the_peer(files: Files, name: str) -> None:
    context, heard = client_context(files.ca), Heard()
    context.on_handshake(heard)
    ours, theirs = raw_pair()
    ours.setblocking(False)

    async def upgrade() -> None:
        reader, writer = await asyncio.open_connection(sock=ours)
        theirs.sendall(b"220 go\r\nand more")
        await reader.readline()
        while not reader._buffer:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        await writer.start_tls(context, server_hostname="localhost")

    with theirs, in_a_loop(name) as loop, pytest.raises(ssl.SSLError, match="data before handshake"):
        asyncio.run_coroutine_threadsafe(upgrade(), loop).result(SECONDS)
    event = heard.one()
    assert (event.outcome, event.kind) == ("refused", "data_before_handshake")


def test_a_refusal_is_one_of_ssl_where_the_process_cannot_read_its_code_any_more(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a chroot: what else were raised there, few servers would catch."""
    monkeypatch.setitem(sys.modules, "veritls._explaining.refusals", None)
    other = veritls.create_default_context(cadata=Party("Other", ca=True).pem.decode())
    with (
        serving("sockets", server_context(files.server)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw,
        pytest.raises(ssl.SSLCertVerificationError) as refused,
    ):
        other.wrap_socket(raw, server_hostname="localhost")
    assert (refused.value.reason, refused.value.verify_code) == ("CERTIFICATE_VERIFY_FAILED", 1)
