"""`max_stale`: new handshakes are refused when a source was last read too long ago, and never before."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

import veritls
from tests.operate.rotating import CA, Memory, Told, followed, own, until, watchers
from tests.operate.test_follow import client, load, served, server
from tests.operate.ways import ask, serving, ways
from tests.support.connections import SECONDS, in_thread, raw_pair, tls_pair
from tests.support.memory import handshake, memory_pair
from veritls import events
from veritls._context import following, material_log, watching
from veritls._report.limiter import Limiter


@pytest.fixture(autouse=True)
def no_watcher_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(material_log, "_limiter", Limiter())
    yield
    until(lambda: not watchers())


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0
        self._clock = watching.clock

    def __call__(self) -> float:
        return self._clock() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of sources, which a test can put forward."""
    clock = Clock()
    monkeypatch.setattr(watching, "clock", clock)
    monkeypatch.setattr(following, "clock", clock)
    return clock


LIMIT = 3600.0


@contextmanager
def failing(context: Any, source: Memory) -> Iterator[Told]:
    """Follows with a limit a source that fails from then on: only the clock decides."""
    with followed(context, source, max_stale=LIMIT) as told:
        source.put(OSError("gone"))
        told.outcome("failed")
        yield told


def plain_server() -> Any:
    context = server()
    load(context, own()[0])
    return context


@ways
def test_a_server_refuses_new_handshakes_with_an_alert(clock: Clock, way: str) -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    with followed(context, source, max_stale=LIMIT) as told, serving(way, context) as port:
        assert ask("sockets", port, client()) == b"x"
        source.put(OSError("gone"))
        told.outcome("failed")
        clock.ahead = LIMIT - 30
        assert ask("sockets", port, client()) == b"x"
        clock.ahead = LIMIT + 30
        with pytest.raises(OSError) as refused:
            ask("sockets", port, client())
        if way not in ("asyncio", "uvloop"):  # their own TLS drops the alert
            assert isinstance(refused.value, ssl.SSLError)
            assert refused.value.reason == "TLSV1_ALERT_INTERNAL_ERROR"
        event = told.outcome("stale")
        assert event.kind == "stale" and event.sentence and "max_stale (1 hour)" in event.sentence
        source.put(identity=own()[0])
        told.outcome("loaded")
        assert ask("sockets", port, client()) == b"x"


@ways
def test_a_client_refuses_before_it_sends_anything(clock: Clock, way: str) -> None:
    source, context = Memory("trust", trust=CA.pem), client()
    with (
        followed(context, source, max_stale=timedelta(hours=1)) as told,
        serving("sockets", plain_server()) as port,
    ):
        assert ask(way, port, context) == b"x"
        source.put(OSError("gone"))
        told.outcome("failed")
        clock.ahead = LIMIT + 30
        with pytest.raises(ssl.SSLError, match="material stale: memory was last read") as refused:
            ask(way, port, context)
        assert refused.value.reason == "MATERIAL_STALE"
        told.outcome("stale")
        source.put(trust=CA.pem)
        told.outcome("loaded")
        assert ask(way, port, context) == b"x"


@ways
def test_a_client_that_refuses_so_tells_of_its_handshake(clock: Clock, way: str) -> None:
    context, heard = client(), events.Queue(10)
    with failing(context, Memory("trust", trust=CA.pem)), serving("sockets", plain_server()) as port:
        clock.ahead = LIMIT + 30
        with context.on_handshake(heard), pytest.raises(ssl.SSLError, match="material stale"):
            ask(way, port, context)
        event = heard.get(SECONDS)
    assert isinstance(event, events.HandshakeEvent)
    assert (event.side, event.outcome, event.kind) == ("client", "refused", "material_stale")
    assert len(heard) == 0


def test_a_limit_of_less_than_a_second_is_told_as_it_is(clock: Clock) -> None:
    context, source = client(), Memory("trust", trust=CA.pem)
    with followed(context, source, max_stale=0.25) as told:
        source.put(OSError("gone"))
        told.outcome("failed")
        clock.ahead = 30
        with pytest.raises(ssl.SSLError, match=r"max_stale \(0\.25 seconds\)"):
            memory_pair(plain_server(), context)[1].do_handshake()


def test_the_error_of_a_server_says_why_and_its_handshake_is_told_of(clock: Clock) -> None:
    context, heard = server(), events.Queue(10)
    context.on_handshake(heard)
    with failing(context, Memory("identity", identity=own()[0])):
        clock.ahead = LIMIT + 30
        ours, theirs = raw_pair()
        with ours, theirs:
            serving_one = in_thread(context.wrap_socket, ours, server_side=True)
            with pytest.raises(ssl.SSLError):
                client().wrap_socket(theirs, server_hostname="localhost").recv(1)
            error = serving_one.exception(SECONDS)
        assert isinstance(error, ssl.SSLError) and error.reason == "MATERIAL_STALE"
        event = heard.get(SECONDS)
        assert isinstance(event, events.HandshakeEvent)
        assert (event.outcome, event.kind) == ("refused", "material_stale")
        assert event.sentence and event.sentence.startswith("material stale: memory")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumptions_are_refused_as_well(clock: Clock, version: ssl.TLSVersion) -> None:
    context, asking = server(), client()
    asking.maximum_version = version
    with failing(context, Memory("identity", identity=own()[0])):
        with tls_pair(context, asking) as (end, mine):
            end.sendall(b"x")
            assert mine.recv(1) == b"x"
            kept = mine.session
        with tls_pair(context, asking, session=kept) as (_, mine):
            assert mine.session_reused
        clock.ahead = LIMIT + 30
        with pytest.raises(ssl.SSLError), tls_pair(context, asking, session=kept) as (_, mine):
            mine.recv(1)


def test_connections_that_exist_go_on(clock: Clock) -> None:
    context = server()
    with (
        failing(context, Memory("identity", identity=own()[0])),
        tls_pair(context, client()) as (end, mine),
    ):
        clock.ahead = LIMIT + 30
        end.sendall(b"x")
        assert mine.recv(1) == b"x"


def test_a_socket_that_was_wrapped_before_is_refused_when_its_handshake_begins(clock: Clock) -> None:
    context = client()
    with failing(context, Memory("trust", trust=CA.pem)):
        ours, theirs = raw_pair()
        with ours, theirs:
            end = context.wrap_socket(theirs, server_hostname="localhost", do_handshake_on_connect=False)
            tls = context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname="localhost")
            clock.ahead = LIMIT + 30
            for each in (end, tls):
                with pytest.raises(ssl.SSLError, match="material stale"):
                    each.do_handshake()
            end.close()


def test_an_unchanged_set_that_was_read_again_is_fresh(clock: Clock) -> None:
    identity, serial = own()
    source, context = Memory("identity", identity=identity), server()
    with followed(context, source, max_stale=LIMIT):
        for _ in range(3):
            clock.ahead += LIMIT - 30
            loads = len(source.loads)
            source.put(identity=identity)
            until(lambda before=loads: len(source.loads) > before)  # type: ignore[misc]
            until(lambda: not context._settings.fresh[0].refusal())
            assert served(context) == serial
        assert context.generation == 1


def test_a_set_is_as_old_as_the_beginning_of_its_load(clock: Clock) -> None:
    identity, _ = own()
    source, context = Memory("identity"), server()

    def slow() -> Any:
        clock.ahead += LIMIT + 30
        return veritls.sources.Material(identity=identity)

    source.put(slow)
    with followed(context, source, max_stale=LIMIT), pytest.raises(ssl.SSLError):
        served(context)


def test_a_set_that_could_not_be_taken_over_does_not_count_as_read(clock: Clock) -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    with followed(context, source, max_stale=LIMIT) as told:
        clock.ahead = LIMIT + 30
        source.put(identity=veritls.sources.Identity(own()[0].cert, own()[0].key))
        told.outcome("failed")
        with pytest.raises(ssl.SSLError):
            served(context)


def test_it_is_told_once_until_the_set_is_fresh_again(clock: Clock) -> None:
    context = server()
    with failing(context, Memory("identity", identity=own()[0])) as told:
        clock.ahead = LIMIT + 30
        for _ in range(5):
            with pytest.raises(ssl.SSLError):
                served(context)
        assert [event.outcome for event in told.events].count("stale") == 1


@pytest.mark.parametrize("limited", ["first", "second"])
def test_the_limits_of_both_contexts_hold_where_the_callback_chooses(clock: Clock, limited: str) -> None:
    first, second = server(), server()
    load(first, own()[0])
    load(second, own()[0])
    first.sni_callback = lambda connection, name, context: setattr(connection, "context", second)
    source = Memory("identity", identity=own()[0])
    with failing(first if limited == "first" else second, source):
        assert served(first)
        clock.ahead = LIMIT + 30
        with pytest.raises(ssl.SSLError) as refused:
            served(first)
        assert refused.value.reason == "TLSV1_ALERT_INTERNAL_ERROR"


def test_a_callback_that_chooses_nothing_is_no_way_around_the_limit(clock: Clock) -> None:
    context, calls = server(), []
    context.sni_callback = lambda connection, name, context: calls.append(name)
    with failing(context, Memory("identity", identity=own()[0])):
        clock.ahead = LIMIT + 30
        with pytest.raises(ssl.SSLError):
            served(context)
    assert calls == []


def test_the_end_of_following_is_the_end_of_the_limit(clock: Clock) -> None:
    context = server()
    with failing(context, Memory("identity", identity=own()[0])):
        pass
    clock.ahead = LIMIT + 30
    assert served(context)


def test_without_a_limit_the_last_set_serves_for_ever(clock: Clock) -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    with followed(context, source) as told:
        source.put(OSError("gone"))
        told.outcome("failed")
        clock.ahead = 1e9
        assert served(context)


def test_a_source_that_is_limited_is_read_often_enough() -> None:
    """Three times within the limit; otherwise the pace alone would make it stale."""
    source, context = Memory("identity", identity=own()[0]), server()
    with followed(context, source, max_stale=0.6):
        until(lambda: len(source.loads) >= 4)
        assert served(context)


def test_the_log_has_a_line(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    context = server()
    with (
        caplog.at_level(logging.WARNING, "veritls.material"),
        failing(context, Memory("identity", identity=own()[0])),
    ):
        clock.ahead = LIMIT + 30
        with pytest.raises(ssl.SSLError):
            served(context)
    lines = [each.getMessage() for each in caplog.records if each.name == "veritls.material"]
    (line,) = [each for each in lines if not each.startswith("could not renew")]
    assert line.startswith("refuses new handshakes, with memory: material stale: ")


def test_an_sslobject_of_a_server_sends_the_alert(clock: Clock) -> None:
    context = server()
    with failing(context, Memory("identity", identity=own()[0])):
        ends = memory_pair(context, client())
        clock.ahead = LIMIT + 30
        with pytest.raises(ssl.SSLError):
            handshake(*ends)


def test_that_a_set_is_not_too_old_any_more_is_told_though_it_is_the_same(clock: Clock) -> None:
    identity = own()[0]
    source, context = Memory("identity", identity=identity), server()
    with followed(context, source, max_stale=LIMIT) as told:
        told.outcome("loaded")
        clock.ahead = LIMIT + 30
        with pytest.raises(ssl.SSLError):
            handshake(*memory_pair(context, client()))
        told.outcome("stale")
        source.put(identity=identity)
        assert told.outcome("loaded").generation == context.generation
