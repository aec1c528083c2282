"""What becomes of material is told: by events and lines of the log, ahead of an expiry; never a key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import veritls
from tests.operate.rotating import CA, OTHER_CA, Memory, Told, followed, own, until, watchers
from tests.operate.test_follow import client, load, served, server
from tests.support.certificates import DAY, HOUR, NOW, Party, just_now, pem
from tests.support.connections import SECONDS
from veritls import events
from veritls._context import material_log
from veritls._context.material_status import MOST_ITEMS
from veritls._report.limiter import BURST, Limiter
from veritls.sources import Identity, Material


@pytest.fixture(autouse=True)
def no_watcher_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(material_log, "_limiter", Limiter())
    yield
    until(lambda: not watchers())


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "veritls.material"]


def test_process_wide_listeners_hear_of_material_and_of_handshakes() -> None:
    queue = events.Queue(100)
    context = server()
    with events.subscribe(queue), followed(context, Memory("identity", identity=own()[0])):
        event = queue.get(SECONDS)
        assert isinstance(event, events.MaterialEvent)
        assert (event.outcome, event.source, event.generation) == ("loaded", "memory", 1)
        served(context)
        assert isinstance(queue.get(SECONDS), events.HandshakeEvent)


def test_a_listener_of_one_context_hears_of_it_alone() -> None:
    one, two, heard = server(), server(), Told()
    one.on_material(heard)
    with followed(two, Memory("identity", identity=own()[0])):
        pass
    assert heard.events == []
    with followed(one, Memory("identity", identity=own()[0])):
        assert heard.outcome("loaded")


def test_a_listener_that_is_taken_back_hears_nothing() -> None:
    context, heard = server(), Told()
    with context.on_material(heard):
        pass
    with followed(context, Memory("identity", identity=own()[0])):
        assert heard.events == []


def test_what_is_no_listener_is_refused() -> None:
    with pytest.raises(TypeError):
        server().on_material(5)
    with pytest.raises(AttributeError):
        server().on_material = 5


@pytest.mark.parametrize("fault", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_a_listener_that_raises_hurts_nothing(fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    source, context = Memory("identity", identity=own()[0]), server()
    with followed(context, source) as told:

        def raises(event: Any) -> None:
            raise fault

        context.on_material(raises)
        for _ in range(2):
            identity, serial = own()
            source.put(identity=identity)
            until(lambda: len(told.events) >= 1)
            told.outcome("loaded")
            until(lambda expected=serial: served(context) == expected)  # type: ignore[misc]
    until(lambda: len(reported) >= 2)


def test_a_log_handler_that_raises_keeps_the_event_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ValueError("from the handler")

    reported: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: reported.append(args.exc_value))
    handler, logger = Raises(), logging.getLogger("veritls.material")
    source = Memory("identity", identity=own()[0])
    with followed(server(), source) as told:
        logger.addHandler(handler)
        try:
            source.put(OSError("gone"))
            assert told.outcome("failed").kind == "os_error"
        finally:
            logger.removeHandler(handler)
    assert {type(each) for each in reported} == {ValueError}


def test_an_event_can_be_a_member_of_a_set() -> None:
    told = Told()
    with events.subscribe(told), followed(server(), Memory("identity", identity=own()[0])):
        event = told.outcome("loaded")
    assert len({event, event.status}) == 2


def test_a_listener_that_blocks_stops_no_handshake_and_no_end() -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    inside, go_on = threading.Event(), threading.Event()

    def blocks(event: Any) -> None:
        if threading.current_thread() in watchers():
            inside.set()
            go_on.wait(SECONDS)

    with followed(context, source):
        context.on_material(blocks)
        identity, serial = own()
        source.put(identity=identity)
        assert inside.wait(SECONDS)
        assert served(context) == serial  # it is told of what is done
    go_on.set()


def test_a_listener_may_subscribe_follow_and_end_following_within_itself() -> None:
    context, other, heard = server(), server(), Told()
    source = Memory("identity", identity=own()[0])
    done = threading.Event()

    def listener(event: Any) -> None:
        context.on_material(heard)
        other.follow(source)
        context.follow(None)
        other.follow(None)
        done.set()

    context.on_material(listener)
    context.follow(source)
    assert done.wait(SECONDS)


def test_a_failure_is_an_event_and_a_warning_and_recovery_another_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    identity, _ = own()
    source, context = Memory("identity", identity=identity), server()
    with caplog.at_level(logging.INFO, "veritls.material"), followed(context, source) as told:
        told.outcome("loaded")
        source.put(RuntimeError("no vault"))
        event = told.outcome("failed")
        assert (event.kind, event.sentence, event.generation) == ("error", "RuntimeError: no vault", 1)
        assert event.status.failures == 1 and event.status.sentence == event.sentence
        source.put(identity=identity)
        event = told.outcome("loaded")
        assert (event.generation, event.status.failures, event.status.sentence) == (1, 0, None)
    assert lines(caplog) == [
        "took over a new set from memory: generation 1",
        "could not renew from memory, and keeps what it has: RuntimeError: no vault [error]",
        "can use memory again, which has nothing new: generation 1",
    ]
    assert [each.levelname for each in caplog.records] == ["INFO", "WARNING", "INFO"]
    assert isinstance(caplog.records[0].material, events.MaterialEvent)  # type: ignore[attr-defined]


def test_what_a_stranger_wrote_is_escaped_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    source.name = "\x1b[31mred\n" * 1000
    with caplog.at_level(logging.INFO, "veritls.material"), followed(context, source) as told:
        source.put(ValueError("\x1b]0;owned\x07\nWARNING forged line" * 1000))
        event = told.outcome("failed")
        assert event.sentence and event.sentence.isprintable() and len(event.sentence) <= 500
        assert event.source.isprintable() and len(event.source) <= 120
    assert all(line.isprintable() and len(line) < 800 for line in lines(caplog))


def test_what_cannot_even_be_printed_is_told_all_the_same() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    source, context = Memory("identity", identity=own()[0]), server()
    with followed(context, source) as told:
        source.put(Odd())
        assert told.outcome("failed").sentence == "Odd"


def test_lines_of_one_kind_are_held_back_by_rate(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(material_log, "_limiter", Limiter(lambda: now))
    source, context = Memory("identity", identity=own()[0]), server()
    with caplog.at_level(logging.WARNING, "veritls.material"), followed(context, source) as told:
        follower = context._settings.followed
        for number in range(BURST + 5):
            follower.tell("failed", "error", f"failure {number}")
        assert len(lines(caplog)) == BURST
        now += 6.0
        follower.tell("failed", "error", "the last")
        assert lines(caplog)[-1].endswith("the last [error] (5 more of this kind were not logged)")
        assert len([event for event in told.events if event.outcome == "failed"]) == BURST + 6


@pytest.mark.parametrize(
    ("lifetime", "left", "near"),
    [
        (90 * DAY, 15 * DAY, None),
        (90 * DAY, 13 * DAY, "expires in 13 days"),
        (90 * DAY, 20 * HOUR, "expires in 20 hours"),
        (3 * HOUR, 1.5 * HOUR, None),
        (3 * HOUR, HOUR / 2, "expires in 30 minutes"),
        (3 * HOUR, HOUR / 10, "expires in 6 minutes"),
        (90 * DAY, -DAY, "has expired"),
    ],
)
def test_what_expires_soon_is_told_ahead(lifetime: Any, left: Any, near: str | None) -> None:
    end = just_now() + left + HOUR / 120
    identity, _ = own(start=end - lifetime, end=end)
    context = server()
    with followed(context, Memory("identity", identity=identity)) as told:
        found = [event for event in told.events if event.outcome == "expiring"]
        if near is None:
            assert found == []
        else:
            assert [event.kind for event in found] == ["identity"]
            assert found[0].sentence and near in found[0].sentence
            assert found[0].sentence.startswith("the certificate CN=a peer ")


def test_each_level_is_told_once_and_again_of_a_new_set(monkeypatch: pytest.MonkeyPatch) -> None:
    end = just_now() + 10 * DAY
    identity, _ = own(start=end - 90 * DAY, end=end)
    source, context = Memory("identity", identity=identity), server()
    with followed(context, source) as told:
        assert told.outcome("expiring")
        follower = context._settings.followed
        follower.look()
        assert not [event for event in told.events if event.outcome == "expiring"]
        with monkeypatch.context() as later:
            later.setattr("time.time", lambda: end.timestamp() - 3600)
            follower.look()
            follower.look()
        assert told.outcome("expiring").sentence
        assert not [event for event in told.events if event.outcome == "expiring"]
        source.put(identity=own(start=end - 90 * DAY, end=end)[0])
        told.outcome("loaded")
        assert told.outcome("expiring")


def test_anchors_and_crls_that_expire_are_told_of_too(caplog: pytest.LogCaptureFixture) -> None:
    root = Party("Old root", ca=True, end=NOW + 2 * DAY)
    crl = CA.crl(since=NOW - 10 * DAY, until=just_now() + HOUR)
    context = client()
    source = Memory("trust", "crls", trust=CA.pem + root.pem, crls=pem(crl))
    with caplog.at_level(logging.WARNING, "veritls.material"), followed(context, source) as told:
        assert [event.kind for event in told.events if event.outcome == "expiring"] == ["trust", "crls"]
    found = lines(caplog)
    assert "the trust anchor CN=Old root expires in" in found[0]
    assert "the CRL of CN=Root expires in" in found[1]


def test_the_status_says_since_when_from_where_and_what_expires_when() -> None:
    party, crl = CA.issue("localhost"), CA.crl()
    source = Memory(
        "identity", "trust", "crls",
        identity=Identity(party.pem, party.key_pem), trust=CA.pem + OTHER_CA.pem, crls=pem(crl),
    )  # fmt: skip
    context = server()
    with followed(context, source):
        status = context.material_status
        assert status.source == "memory"
        assert status.generation == context.generation == 1
        assert (
            status.since == status.checked
            and status.since
            and abs(status.since - just_now().timestamp()) < 60
        )
        assert (status.failures, status.sentence, status.left_out) == (0, None, 0)
        assert [(each.kind, each.name, each.source) for each in status.items] == [
            ("identity", "CN=a peer", "memory"),
            ("trust", "CN=Root", "memory"),
            ("trust", "CN=Other root", "memory"),
            ("crls", "CN=Root", "memory"),
        ]
        ends = {
            "identity": party.certificate.not_valid_after_utc,
            "trust": CA.certificate.not_valid_after_utc,
            "crls": crl.next_update_utc,
        }
        assert status.expires == {kind: end.timestamp() for kind, end in ends.items() if end}


def test_an_identity_is_not_said_to_be_of_a_source_that_provides_none() -> None:
    context = server()
    load(context, own()[0])
    with followed(context, Memory("trust", trust=CA.pem)):
        items = context.material_status.items
    assert [(each.kind, each.source) for each in items] == [("identity", ""), ("trust", "memory")]


def test_a_context_that_follows_nothing_has_a_status_too() -> None:
    context = client()
    status = context.material_status
    assert (status.source, status.since, status.checked, status.failures) == (None, None, None, 0)
    assert [(each.kind, each.name, each.source) for each in status.items] == [("trust", "CN=Root", "cadata")]
    load(context, own()[0])
    assert [each.kind for each in context.material_status.items] == ["identity", "trust"]
    assert veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT).material_status.items == ()


def test_the_items_of_a_status_are_bounded() -> None:
    roots = [Party(f"Root {number}", ca=True, key=CA.key) for number in range(MOST_ITEMS + 7)]
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with followed(context, Memory("trust", trust=b"".join(each.pem for each in roots))):
        status = context.material_status
        assert (len(status.items), status.left_out) == (MOST_ITEMS, 7)


def test_no_key_is_in_what_is_told_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    party = CA.issue("localhost")
    secret = party.key_pem.decode().splitlines()[2]
    identity = Identity(party.pem + party.key_pem, party.key_pem, "hunter2")
    source, context = Memory("identity", identity=identity), server()
    with caplog.at_level(logging.DEBUG), followed(context, source) as told:
        source.put(identity=Identity(party.pem, own()[0].key, "hunter2"))
        event = told.outcome("failed")
        shown = [
            repr(event),
            repr(context.material_status),
            repr(identity),
            repr(Material(identity=identity)),
        ]
        shown += [repr(context._settings), caplog.text, str(event.sentence)]
    for text in shown:
        assert secret not in text and "hunter2" not in text and "PRIVATE" not in text


def test_nothing_is_built_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise AssertionError("a status was made")

    monkeypatch.setattr("veritls._context.following.status", fails)
    source, context = Memory("identity", identity=own()[0]), server()
    logging.getLogger("veritls.material").setLevel(logging.ERROR)
    try:
        context.follow(source)
        identity, serial = own()
        source.put(identity=identity)
        until(lambda: served(context) == serial)
        context.follow(None)
    finally:
        logging.getLogger("veritls.material").setLevel(logging.NOTSET)


def test_the_generation_of_a_handshake_is_that_of_its_set() -> None:
    source, context, heard = Memory("identity", identity=own()[0]), server(), events.Queue(10)
    context.on_handshake(heard)
    with followed(context, source) as told:
        served(context)
        source.put(identity=own()[0])
        told.wait(lambda event: event.generation == 2)
        served(context)
    assert [getattr(heard.get(SECONDS), "generation", None) for _ in range(2)] == [1, 2]
