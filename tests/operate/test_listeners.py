"""What a listener does hurts no connection: it raises, blocks, subscribes, closes; and it is taken back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import queue
import ssl
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.operate.ways import LOOPS, Heard, ask, mutual, serving, ways
from tests.support.connections import (
    SECONDS,
    client_context,
    in_thread,
    raw_pair,
    server_context,
    tls_pair,
)
from veritls import events
from veritls.events import HandshakeEvent, PeerIdentity, Queue, Subscription

OURS = ["veritls", "veritls-uvloop"]


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """(exception, object) of what was reported as unraisable."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: found.append((args.exc_value, args.object)))
    yield found


def met(server: Any, client: Any) -> None:
    with tls_pair(server, client) as (ours, theirs):
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"


@ways
@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, GeneratorExit, RecursionError])
def test_one_that_raises_hurts_no_connection(
    files: Files, way: str, error: type[BaseException], unraisable: list[Any]
) -> None:
    def listener(event: HandshakeEvent) -> None:
        raised.append(event)
        raise error("from the listener")

    raised: list[HandshakeEvent] = []
    server, client = mutual(files)
    heard = Heard()
    server.on_handshake(listener)
    server.on_handshake(heard)
    client.on_handshake(listener)
    with serving(way, server) as port:
        assert ask(way, port, client) == b"x"
        heard.wait()
    assert len(raised) == 2
    assert [(type(each), what) for each, what in unraisable] == [(error, listener)] * 2


def test_an_unraisablehook_that_raises_hurts_no_connection(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: 1 / 0)
    server, client = server_context(files.server), client_context(files.ca)
    client.on_handshake(lambda event: 1 / 0)
    met(server, client)


def test_an_interrupt_in_one_reaches_the_program(files: Files) -> None:
    def listener(event: HandshakeEvent) -> None:
        raise KeyboardInterrupt

    server, client = server_context(files.server), client_context(files.ca)
    subscription = client.on_handshake(listener)
    ours, theirs = raw_pair()
    serving_one = in_thread(server.wrap_socket, ours, server_side=True)
    with theirs:
        tls = client.wrap_socket(theirs, server_hostname="localhost", do_handshake_on_connect=False)
        with pytest.raises(KeyboardInterrupt):
            tls.do_handshake()
        subscription.close()
        with tls, serving_one.result(SECONDS) as end:
            tls.sendall(b"x")
            assert end.recv(1) == b"x"


@ways
def test_one_that_subscribes_and_unsubscribes_within_itself(files: Files, way: str) -> None:
    first, later = Heard(), Heard()
    server, client = server_context(files.server), client_context(files.ca)

    def listener(event: HandshakeEvent) -> None:
        first(event)
        subscription.close()
        server.on_handshake(later)
        events.subscribe(later).close()

    subscription = server.on_handshake(listener)
    with serving(way, server) as port:
        assert ask("sockets", port, client) == b"x"
        first.wait()
        assert ask("sockets", port, client) == b"x"
        later.wait()
    assert (len(first.events), len(later.events)) == (1, 1)
    assert subscription.closed


@pytest.mark.parametrize("way", ["sockets", "implicit"])
def test_one_that_closes_the_socket(files: Files, way: str) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    ours, theirs = raw_pair()
    serving_one = in_thread(server.wrap_socket, ours, server_side=True)
    tls = client.wrap_socket(theirs, server_hostname="localhost", do_handshake_on_connect=False)
    client.on_handshake(lambda event: None)
    heard = Heard()

    def listener(event: HandshakeEvent) -> None:
        heard(event)
        tls.close()

    client.on_handshake(listener)
    tls.close()
    ours2, theirs2 = raw_pair()
    serving_one = in_thread(server.wrap_socket, ours2, server_side=True)
    tls = client.wrap_socket(theirs2, server_hostname="localhost", do_handshake_on_connect=False)
    if way == "sockets":
        tls.do_handshake()
    with pytest.raises((OSError, ValueError)):
        tls.recv(1)
    assert tls.fileno() == -1
    assert heard.one().outcome == "completed"
    serving_one.result(SECONDS).close()


@pytest.mark.parametrize("way", OURS)
@pytest.mark.parametrize("how", ["abort", "close"])
def test_one_that_closes_the_transport(files: Files, way: str, how: str) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    transports: list[Any] = []

    async def connect(port: int) -> None:
        loop = asyncio.get_running_loop()
        make = loop._make_ssl_transport  # type: ignore[attr-defined]

        def noted(*args: Any, **options: Any) -> Any:
            transports.append(make(*args, **options))
            return transports[-1]

        loop._make_ssl_transport = noted  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionAbortedError):
            await loop.create_connection(
                asyncio.Protocol, "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
            pytest.fail("the connection was made")

    heard = Heard()

    def listener(event: HandshakeEvent) -> None:
        heard(event)
        getattr(transports[0], how)()

    client.on_handshake(listener)
    with serving("sockets", server) as port:
        loop = LOOPS[way]()
        try:
            loop.run_until_complete(asyncio.wait_for(connect(port), SECONDS))
        finally:
            loop.close()
    assert heard.one().outcome == "completed"


def test_one_that_blocks_holds_up_its_own_thread_only(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    other = client_context(files.ca)
    go_on, begun = threading.Event(), threading.Event()

    def listener(event: HandshakeEvent) -> None:
        begun.set()
        assert go_on.wait(SECONDS)

    client.on_handshake(listener)
    with serving("veritls", server) as port:
        slow = in_thread(ask, "sockets", port, client)
        assert begun.wait(SECONDS)
        assert ask("sockets", port, other) == b"x"
        assert not slow.done()
        go_on.set()
        assert slow.result(SECONDS) == b"x"


def test_one_is_not_called_for_handshakes_that_it_makes_itself(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()

    def listener(event: events.Event) -> None:
        heard(event)
        assert isinstance(event, HandshakeEvent)
        if event.side == "client":
            assert ask("sockets", port, client) == b"x"

    with serving("veritls", server) as port, events.subscribe(listener):
        assert ask("sockets", port, client) == b"x"
        # The servers' handshakes are those of another thread.
        assert sorted(event.side for event in heard.wait(3)) == ["client", "server", "server"]


def test_both_contexts_listeners_hear_where_sni_callback_chooses_a_second(files: Files) -> None:
    first, second, client = (
        server_context(files.server),
        server_context(files.server),
        client_context(files.ca),
    )
    second.load_cert_chain(files.server)

    def choose(connection: Any, name: str | None, context: Any) -> None:
        connection.context = second

    first.sni_callback = choose
    heard = Heard(), Heard()
    second.on_handshake(heard[1])
    for way in ("sockets", "memory", "veritls"):
        with first.on_handshake(heard[0]), serving(way, first) as port:
            assert ask("sockets", port, client) == b"x"
            heard[0].wait()
        assert heard[0].events == heard[1].events
        assert heard[0].one().generation == second.generation != first.generation
        with serving(way, first) as port:  # only the second is listened to
            assert ask("sockets", port, client) == b"x"
            heard[1].wait(2)
        assert len(heard[0].events) == 1
        heard[0].events.clear()
        heard[1].events.clear()


def test_a_subscription_is_taken_back_once_and_for_all(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()
    with client.on_handshake(heard) as subscription:
        assert isinstance(subscription, Subscription)
        assert subscription.listener is heard and not subscription.closed
        met(server, client)
    subscription.close()
    assert subscription.closed and "closed" in repr(subscription)
    met(server, client)
    assert len(heard.events) == 1


def test_one_that_is_taken_back_within_a_handshake_hears_no_more(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()
    ours, theirs = raw_pair()
    with events.subscribe(heard):
        tls = client.wrap_socket(theirs, server_hostname="localhost", do_handshake_on_connect=False)
    serving_one = in_thread(server.wrap_socket, ours, server_side=True)
    tls.do_handshake()
    tls.close()
    serving_one.result(SECONDS).close()
    assert heard.events == []


def test_one_that_subscribes_twice_is_called_twice(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    heard = Heard()
    with client.on_handshake(heard), client.on_handshake(heard):
        met(server, client)
    assert len(heard.events) == 2


@pytest.mark.parametrize("make", [events.subscribe, client_context])
def test_what_cannot_be_called_is_no_listener(make: Any, files: Files) -> None:
    subscribe: Any = make if make is events.subscribe else client_context(files.ca).on_handshake
    for wrong in (None, 1, "print", [print]):
        with pytest.raises(TypeError, match="listener must be callable"):
            subscribe(wrong)


def test_on_handshake_is_called_and_not_set(files: Files) -> None:
    context: Any = client_context(files.ca)
    for value in (print, None):
        with pytest.raises(AttributeError):
            context.on_handshake = value
    with pytest.raises(AttributeError):
        context.generation = 7


def test_a_context_goes_with_its_listeners(files: Files) -> None:
    context = client_context(files.ca)
    context.on_handshake(Heard())
    reference = weakref.ref(context)
    del context
    gc.collect()
    assert reference() is None


def test_threads_subscribe_and_unsubscribe_while_handshakes_run(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    always, ended = Heard(), threading.Event()

    def come_and_go() -> int:
        rounds = 0
        while not ended.is_set():
            with events.subscribe(lambda event: None), client.on_handshake(lambda event: None):
                rounds += 1
        return rounds

    with events.subscribe(always), serving("veritls", server) as port:
        comers = [in_thread(come_and_go) for _ in range(3)]
        askers = [in_thread(lambda: [ask("sockets", port, client) for _ in range(20)]) for _ in range(3)]
        for asker in askers:
            assert asker.result(SECONDS * 3) == [b"x"] * 20
        ended.set()
        assert all(comer.result(SECONDS) for comer in comers)
        sides = [event.side for event in always.wait(120)]
    assert sides.count("client") == sides.count("server") == 60
    assert veritls._engine.listeners.get() == ()
    assert client._settings.listeners == ()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_process_inherits_listeners(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    kept = Queue(10)
    with events.subscribe(kept), client.on_handshake(kept):
        child = os.fork()
        if not child:
            try:
                met(server, client)
                os._exit(len(kept))
            except BaseException:
                os._exit(99)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3  # both ends, and the client's once more
    assert len(kept) == 0


def test_contexts_that_inject_made_for_others_are_heard(files: Files) -> None:
    heard = Heard()
    veritls.inject()
    try:
        context = ssl.create_default_context(cafile=str(files.ca))
    finally:
        veritls.extract()
    with events.subscribe(heard), serving("veritls", server_context(files.server)) as port:
        ask("sockets", port, context)
        heard.wait(2)


def test_listeners_change_nothing_but_that(files: Files) -> None:
    """Neither generation nor fingerprint: sessions are resumed as before."""
    context = client_context(files.ca)
    before = context.generation, context._settings.frozen(False).settings.fingerprint
    with context.on_handshake(print):
        assert (context.generation, context._settings.frozen(False).settings.fingerprint) == before


def test_the_generation_grows_with_each_change_of_what_is_trusted_or_shown(files: Files) -> None:
    context: Any = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    steps: list[tuple[Callable[[], Any], int]] = [
        (lambda: None, 0),
        (lambda: context.load_cert_chain(files.server), 1),
        (lambda: context.load_verify_locations(files.ca), 1),
        (lambda: setattr(context, "verify_mode", ssl.CERT_REQUIRED), 0),
        (lambda: context.load_verify_locations(files.ca), 0),
    ]
    for step, more in steps[:-1]:
        before = context.generation
        step()
        assert context.generation == before + more
    before = context.generation
    with pytest.raises(OSError):
        context.load_cert_chain(files.ca.with_name("missing"))
    assert context.generation == before


def event(**fields: Any) -> HandshakeEvent:
    usual: dict[str, Any] = dict.fromkeys(HandshakeEvent.__dataclass_fields__)
    return HandshakeEvent(**(usual | {"side": "server", "outcome": "completed", "generation": 1} | fields))


def test_a_queue_keeps_so_many_and_counts_the_others() -> None:
    kept: Any = Queue(2)
    assert not len(kept) and kept
    for number in range(5):
        kept(event(generation=number))
    assert (len(kept), kept.dropped) == (2, 3)
    assert [kept.get().generation, kept.get(0).generation] == [0, 1]
    with pytest.raises(queue.Empty):
        kept.get(0)
    with pytest.raises(events.Empty):
        kept.get(0.01)
    kept(event(generation=9))
    assert (kept.get().generation, kept.dropped) == (9, 3)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="at least 1"):
            Queue(wrong)


def test_a_queue_counts_exactly_whoever_fills_it() -> None:
    kept = Queue(100)

    def fill() -> None:
        for _ in range(500):
            kept(event())

    filling = [in_thread(fill) for _ in range(4)]
    for each in filling:
        each.result(SECONDS)
    assert (len(kept), kept.dropped) == (100, 1900)


def test_an_event_cannot_be_changed_and_its_repr_is_bounded_and_printable() -> None:
    identity = PeerIdentity(
        "CN=" + "\x1b\u202e\n" * 30_000, (("DNS", "x" * 60_000),) * 100, 7, "spiffe://x/\n"
    )
    made = event(peer_identity=identity)
    with pytest.raises(AttributeError):
        made.outcome = "refused"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        identity.subject = ""  # type: ignore[misc]
    assert len(repr(made)) < 700 and repr(made).isprintable()


def test_a_spiffe_id_is_told_where_it_is_the_only_uri(files: Files) -> None:
    from cryptography import x509

    from tests.support.certificates import Party

    ca = Party("Root", ca=True)
    for uris, expected in [
        (["spiffe://example.org/a"], "spiffe://example.org/a"),
        (["spiffe://example.org/a", "https://example.org"], None),
        (["https://example.org"], None),
    ]:
        server, client = mutual(files, None)
        server.load_verify_locations(cadata=ca.der)
        peer = ca.issue(*map(x509.UniformResourceIdentifier, uris), x509.DirectoryName(ca.name))
        client.load_cert_chain(peer.pem + peer.key_pem)
        heard = Heard()
        with server.on_handshake(heard):
            met(server, client)
        identity = heard.one().peer_identity
        assert identity is not None and identity.spiffe_id == expected
        assert identity.names[-1] == ("DirName", "CN=Root")
