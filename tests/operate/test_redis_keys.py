"""`TicketKeys.from_redis`: salts of epochs in a real Redis, which opens nothing and stops nothing."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from tests.ecosystem.daemons import daemon, program
from tests.ecosystem.parties import library
from tests.operate.fleet import member
from tests.operate.stores import Store, impostor
from tests.operate.test_ticket_keys import SECRET, resumes, shared
from tests.resumption.attacks import World, attacker
from tests.resumption.meeting import meet
from tests.resumption.sealing import Keys
from tests.resumption.test_workers import CONNECTIONS, across_workers
from tests.resumption.theft import ticket
from tests.support.connections import SECONDS
from tests.support.waiting import until
from veritls.tickets import TicketKeys

V = ssl.TLSVersion
VERSIONS = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
PERIOD = 7200


@pytest.fixture(autouse=True)
def client_of_redis() -> None:
    library("redis")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("fleet"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.start()
    yield store
    store.stop()


def of_redis(url: str, secret: bytes = SECRET, period: int = PERIOD) -> TicketKeys:
    """Ticket keys whose rounds the test makes itself: there is no thread."""
    from veritls.tickets._redis import RedisRefresher
    from veritls.tickets._salts import Salts
    from veritls.tickets._secrets import hidden

    keys = TicketKeys._made(period, None)
    salts = Salts(url, "veritls:tickets", period)
    keys._refresher = RedisRefresher(keys._keyring, salts, hidden(secret), period)
    return keys


def look(*several: TicketKeys) -> None:
    for keys in several:
        assert keys._refresher is not None
        keys._refresher.round()


@VERSIONS
def test_members_with_one_redis_and_one_secret_resume_each_others_sessions(
    world: World, store: Store, version: V
) -> None:
    one = shared(world, TicketKeys.from_redis(store.url, secret=SECRET))
    other = shared(world, TicketKeys.from_redis(store.url, secret=SECRET))
    assert resumes(world, one, other, version) and resumes(world, other, one, version)
    stranger = shared(world, TicketKeys.from_redis(store.url, secret=bytes(32)))
    assert not resumes(world, one, stranger, version)
    faster = shared(world, TicketKeys.from_redis(store.url, secret=SECRET, rotate_every=3600))
    assert not resumes(world, one, faster, version)


def test_redis_holds_salts_of_this_epoch_and_the_next_with_a_time_to_live(store: Store) -> None:
    keys = of_redis(store.url)
    look(keys)
    now = int(time.time()) // PERIOD
    assert sorted(store.salts()) == [b"veritls:tickets:7200:%d" % each for each in (now, now + 1)]
    assert all(len(salt) == 32 for salt in store.salts().values())
    with store.client() as client:
        for key in store.salts():
            assert 4 * PERIOD <= client.ttl(key) <= 6 * PERIOD


def test_members_that_start_at_once_agree_on_one_salt(store: Store) -> None:
    several = [of_redis(store.url) for _ in range(8)]
    barrier = threading.Barrier(len(several))

    def start(keys: TicketKeys) -> None:
        barrier.wait(SECONDS)
        look(keys)

    threads = [threading.Thread(target=start, args=(keys,)) for keys in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    held = [keys._refresher._held for keys in several]  # type: ignore[union-attr]
    assert all(each == held[0] for each in held) and len(held[0]) == 2


@VERSIONS
def test_a_dump_of_redis_and_every_ticket_on_the_wire_open_nothing(
    world: World, store: Store, version: V
) -> None:
    secret = os.urandom(32)
    keys = of_redis(store.url, secret)
    look(keys)
    server, client = shared(world, keys), attacker(world, world.client)
    client.maximum_version = version
    seen = [meet("sockets", server, client, "a.example").client.session for _ in range(3)]
    tickets = [ticket(session) for session in seen]
    dump, salts = store.dump(), store.salts()
    assert secret not in dump and all(salt in dump for salt in salts.values())
    # The real thing opens them; whatever else is derived from what is in the dump does not.
    fingerprint = server._settings.frozen(True).settings.fingerprint
    epoch = int.from_bytes(tickets[0][1:5], "big")
    salt = salts[b"veritls:tickets:7200:%d" % epoch]
    assert Keys.of_epoch(secret, salt, PERIOD, epoch, fingerprint).open(tickets[0])
    pieces = {dump[start : start + 32] for start in range(len(dump) - 31)}
    for guess in pieces | set(salts.values()) | {bytes(32)}:
        for tried in (
            Keys(guess, fingerprint),
            Keys.of_epoch(guess, salt, PERIOD, epoch, fingerprint),
            Keys.of_epoch(guess, None, PERIOD, 0, fingerprint),
        ):
            for each in tickets:
                with pytest.raises(InvalidTag):
                    tried.open(each)


@VERSIONS
def test_the_secret_without_the_salts_opens_nothing(world: World, store: Store, version: V) -> None:
    keys = of_redis(store.url)
    look(keys)
    server, client = shared(world, keys), attacker(world, world.client)
    client.maximum_version = version
    seen = ticket(meet("sockets", server, client, "a.example").client.session)
    fingerprint = server._settings.frozen(True).settings.fingerprint
    epoch = int.from_bytes(seen[1:5], "big")
    for salt in (None, bytes(32), SECRET):
        for number in (0, epoch):
            with pytest.raises(InvalidTag):
                Keys.of_epoch(SECRET, salt, PERIOD, number, fingerprint).open(seen)
    assert not resumes(world, server, shared(world, TicketKeys.from_secret(SECRET)), version)


def test_a_redis_that_was_flushed_gets_its_salts_back_from_a_member(world: World, store: Store) -> None:
    one, other = of_redis(store.url), of_redis(store.url)
    look(one, other)
    before = store.salts()
    with store.client() as client:
        client.flushall()
    look(other)
    assert store.salts() == before
    look(one)
    assert resumes(world, shared(world, one), shared(world, other))


def test_a_member_that_is_new_to_a_flushed_redis_meets_the_others_after_their_next_look(
    world: World, store: Store
) -> None:
    old = of_redis(store.url)
    look(old)
    server = shared(world, old)
    client = attacker(world, world.client)
    session = meet("sockets", server, client, "a.example").client.session
    with store.client() as connection:
        connection.flushall()
    new = of_redis(store.url)
    look(new, old)
    assert resumes(world, server, shared(world, new)) and resumes(world, shared(world, new), server)
    # What was sealed before still opens where it was sealed.
    assert meet("sockets", server, client, "a.example", session).resumed


def test_without_redis_a_process_has_keys_of_its_own_until_there_is_one(
    world: World, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.stop()
    one, other = of_redis(store.url), of_redis(store.url)
    with caplog.at_level(logging.INFO, "veritls.tickets"):
        for _ in range(3):
            look(one)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "open in no other" in caplog.text
    look(other)
    first, second = shared(world, one), shared(world, other)
    assert resumes(world, first, first) and not resumes(world, first, second)
    client = attacker(world, world.client)
    session = meet("sockets", first, client, "a.example").client.session
    store.start()
    caplog.clear()
    with caplog.at_level(logging.INFO, "veritls.tickets"):
        for _ in range(3):
            look(one)
        assert [record.levelname for record in caplog.records] == ["INFO"]
    look(other)
    assert resumes(world, first, second)
    assert meet("sockets", first, client, "a.example", session).resumed


def test_a_redis_that_is_gone_is_asked_after_twice_the_time_up_to_a_minute(store: Store) -> None:
    refresher = of_redis(store.url)._refresher
    assert refresher is not None
    assert 225 <= refresher.round() <= 300
    store.stop()
    assert [refresher.round() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    store.start()
    assert 225 <= refresher.round() <= 300


@VERSIONS
def test_without_redis_workers_that_were_forked_share_keys_of_their_own(
    world: World, tmp_path: Path, version: V
) -> None:
    server, client = shared(world, of_redis(f"unix://{tmp_path}/none.sock")), attacker(world, world.client)
    look(server.ticket_keys)
    client.maximum_version = version
    assert sum(reused for reused, _ in across_workers(server, client)) == CONNECTIONS - 1


def test_keys_at_hand_go_on_without_redis(
    world: World, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = of_redis(store.url), of_redis(store.url)
    look(one, other)
    store.stop()
    with caplog.at_level(logging.INFO, "veritls.tickets"):
        for _ in range(3):
            look(one)
        look(other)
    assert len(caplog.records) == 2 and "those at hand go on" in caplog.text
    assert resumes(world, shared(world, one), shared(world, other))


@VERSIONS
@pytest.mark.parametrize(("hours", "shares"), [(0, True), (-1, True), (1, True), (-9, False), (9, False)])
def test_a_member_whose_clock_is_hours_off_fails_no_handshake(
    world: World, store: Store, version: V, hours: int, shares: bool
) -> None:
    anchors = store.folder / "anchors.pem"
    anchors.write_bytes(world.ca.pem)
    client = attacker(world, world.client)
    client.maximum_version = version
    keys = f"TicketKeys.from_redis({store.url!r}, secret={SECRET!r})"
    off = [program("faketime", "/usr/bin"), "-f", f"{hours:+}h"]
    with contextlib.ExitStack() as members:
        # The one that is behind first: a salt that comes later is known from the next look on.
        begun = {
            late: members.enter_context(member(world, keys, anchors=anchors, under=off if late else ()))
            for late in (hours < 0, hours >= 0)
        }
        wrong, right = begun[True], begun[False]
        # A session that began in a member's future is none: it would never get old.
        assert right.connect(client, wrong.connect(client).session).resumed is (shares and hours <= 0)
        assert wrong.connect(client, right.connect(client).session).resumed is (shares and hours >= 0)


def test_epochs_change_and_tickets_of_the_one_before_still_open(world: World, store: Store) -> None:
    keys = [TicketKeys.from_redis(store.url, secret=SECRET, rotate_every=2) for _ in range(2)]
    servers = [shared(world, each) for each in keys]
    client = attacker(world, world.client)

    def begun() -> tuple[Any, int]:
        session = meet("sockets", servers[0], client, "a.example").client.session
        return session, int.from_bytes(ticket(session)[1:5], "big")

    session, epoch = begun()
    until(lambda: begun()[1] > epoch, "the epoch changes")
    assert meet("sockets", servers[1], client, "a.example", session).resumed
    until(lambda: begun()[1] > epoch + 4, "the epoch is over")
    assert not meet("sockets", servers[1], client, "a.example", begun()[0]).client.error
    assert not meet("sockets", servers[0], client, "a.example", session).resumed
    assert meet("sockets", servers[1], client, "a.example", begun()[0]).resumed


def _long(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"$536870912\r\n")
    while True:
        connection.sendall(bytes(65536))


def _deep(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"*1\r\n" * 10_000)


def _wide(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"*2000000000\r\n" + b":1\r\n" * 100_000)


def _garbage(connection: socket.socket) -> None:
    connection.sendall(b"\xff\x00HTTP/1.1 200 OK\r\n\r\n" * 100)


def _numbers(connection: socket.socket) -> None:
    while connection.recv(1000):
        connection.sendall(b":7\r\n" * 40)


def _words(connection: socket.socket) -> None:
    while connection.recv(1000):
        connection.sendall((b"-ERR \x1b[31mforged\nline " + b"x" * 2000 + b"\r\n") * 20)


def _closes(connection: socket.socket) -> None:
    connection.recv(1)


ANSWERS = {
    "a string without end": _long,
    "arrays in arrays": _deep,
    "an array of two thousand million": _wide,
    "garbage": _garbage,
    "numbers": _numbers,
    "errors with escapes": _words,
    "nothing": _closes,
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_whatever_a_redis_answers_costs_little_and_ends_in_one_line(
    world: World, tmp_path: Path, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    import tracemalloc

    with impostor(tmp_path, ANSWERS[answer]) as url:
        keys = of_redis(url)
        tracemalloc.start()
        try:
            with caplog.at_level(logging.INFO, "veritls.tickets"):
                look(keys)
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()
    (record,) = caplog.records
    line = record.getMessage()
    assert line.isprintable() and len(line) < 700
    server = shared(world, keys)
    assert resumes(world, server, server)


def test_no_handshake_and_no_start_waits_for_a_redis_that_does_not_answer(
    world: World, tmp_path: Path
) -> None:
    answered = threading.Event()

    def silent(connection: socket.socket) -> None:
        answered.wait(SECONDS)

    with impostor(tmp_path, silent) as url:
        keys = TicketKeys.from_redis(url, secret=SECRET)
        server = shared(world, keys)
        assert resumes(world, server, server)
        assert not answered.is_set()
        answered.set()


WRITTEN: dict[str, Callable[[Any, bytes], None]] = {
    "a value of 1 MiB": lambda client, key: client.set(key, bytes(1 << 20)),
    "an empty value": lambda client, key: client.set(key, b""),
    "a value of 31 bytes": lambda client, key: client.set(key, bytes(31)),
    "a value of 33 bytes": lambda client, key: client.set(key, bytes(33)),
    "a list": lambda client, key: (client.delete(key), client.lpush(key, b"x")),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("written", WRITTEN)
def test_what_a_writer_puts_into_redis_is_not_taken_for_a_salt(
    world: World, store: Store, written: str
) -> None:
    one, other = of_redis(store.url), of_redis(store.url)
    look(one, other)
    with store.client() as client:
        for key in list(store.salts()):
            WRITTEN[written](client, key)
    look(one, other)
    assert resumes(world, shared(world, one), shared(world, other))  # with what they have at hand
    held = one._refresher._held  # type: ignore[union-attr]
    assert {len(salt) for salts in held.values() for salt in salts} == {32}
    new = shared(world, of_redis(store.url))
    look(new.ticket_keys)
    assert resumes(world, new, new)


def test_epochs_that_redis_has_beyond_those_that_count_are_not_read(world: World, store: Store) -> None:
    now = int(time.time()) // PERIOD
    with store.client() as client:
        for epoch in (*range(now - 500, now - 3), *range(now + 2, now + 500)):
            client.set(f"veritls:tickets:{PERIOD}:{epoch}", bytes(32))
    keys = of_redis(store.url)
    look(keys)
    assert set(keys._refresher._held) == {now, now + 1}  # type: ignore[union-attr]


def test_an_old_salt_that_is_played_again_opens_no_old_ticket(world: World, store: Store) -> None:
    now = int(time.time()) // PERIOD
    old, again = bytes(range(32)), of_redis(store.url)
    with store.client() as client:
        client.set(f"veritls:tickets:{PERIOD}:{now}", old)
    look(again)
    server, client_ = shared(world, again), attacker(world, world.client)
    seen = ticket(meet("sockets", server, client_, "a.example").client.session)
    fingerprint = server._settings.frozen(True).settings.fingerprint
    assert Keys.of_epoch(SECRET, old, PERIOD, now, fingerprint).open(seen)
    with pytest.raises(InvalidTag):
        Keys.of_epoch(SECRET, old, PERIOD, now - 1, fingerprint).open(seen)


def test_a_salt_of_redis_own_choice_is_no_key(world: World, store: Store) -> None:
    now = int(time.time()) // PERIOD
    with store.client() as client:
        for epoch in (now, now + 1):
            client.set(f"veritls:tickets:{PERIOD}:{epoch}", bytes(32))
    keys = of_redis(store.url)
    look(keys)
    server, client_ = shared(world, keys), attacker(world, world.client)
    seen = ticket(meet("sockets", server, client_, "a.example").client.session)
    fingerprint = server._settings.frozen(True).settings.fingerprint
    for guess in (bytes(32), b"\1" * 32):
        with pytest.raises(InvalidTag):
            Keys.of_epoch(guess, bytes(32), PERIOD, now, fingerprint).open(seen)


def test_the_rights_that_docs_deploying_names_are_enough(tmp_path: Path) -> None:
    rules = tmp_path / "users.acl"
    rules.write_text(
        "user default off\nuser veritls on >word ~veritls:tickets:* -@all +getrange +set +ping\n"
    )
    store = Store(tmp_path, "--aclfile", str(rules))
    store.start()
    try:
        keys = of_redis(f"unix://veritls:word@{store.path}")
        look(keys)
        assert len(keys._refresher._held) == 2  # type: ignore[union-attr]
    finally:
        store.stop()


def test_a_redis_is_reached_over_tls(world: World, tmp_path: Path) -> None:
    executable, anchors = program("redis-server"), tmp_path / "anchors.pem"
    anchors.write_bytes(world.ca.pem)
    identity = world.ca.issue("localhost").file(tmp_path)

    def command(port: int) -> list[str]:
        options = {"port": "0", "tls-port": str(port), "bind": "127.0.0.1", "save": "", "dir": str(tmp_path)}
        options |= {"tls-cert-file": str(identity), "tls-key-file": str(identity)}
        options |= {"tls-ca-cert-file": str(anchors), "tls-auth-clients": "no"}
        return [executable, *(word for key, value in options.items() for word in (f"--{key}", value))]

    with daemon(command, b"Ready to accept connections") as port:
        trusting = of_redis(f"rediss://localhost:{port}/0?ssl_ca_certs={anchors}")
        look(trusting)
        assert len(trusting._refresher._held) == 2  # type: ignore[union-attr]
        doubting = of_redis(f"rediss://localhost:{port}/0")
        look(doubting)
        assert not doubting._refresher._held  # type: ignore[union-attr]


def test_nothing_shows_the_secret_or_the_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = os.urandom(32)
    url = f"unix://somebody:hunter2@{tmp_path}/none.sock"
    with caplog.at_level(logging.DEBUG):
        keys = of_redis(url, secret)
        look(keys)
    shown = caplog.text + repr(keys) + repr(keys._refresher) + repr(vars(keys._refresher))
    try:
        keys._refresher.look()  # type: ignore[union-attr]
    except Exception as error:
        assert error.__traceback__ is not None
        inside = error.__traceback__.tb_next  # without the frame of this test, which knows it
        trace = traceback.TracebackException(type(error), error, inside, capture_locals=True)
        shown += "".join(trace.format())
    assert secret.hex() not in shown and repr(secret)[2:-1] not in shown
    assert "hunter2" not in caplog.text + repr(keys) + repr(keys._refresher)


def test_the_thread_ends_with_the_ticket_keys(store: Store) -> None:
    def threads() -> int:
        return sum(thread.name == "veritls ticket keys" for thread in threading.enumerate())

    before = threads()
    keys = TicketKeys.from_redis(store.url, secret=SECRET)
    assert threads() == before + 1
    del keys
    gc.collect()
    until(lambda: threads() == before, "the thread ends")


FORKS = """
import os, sys, threading, time
from veritls.tickets import TicketKeys
keys = TicketKeys.from_redis(sys.argv[1], secret=bytes(range(32)), rotate_every=1)
child = os.fork()
if child == 0:
    deadline = time.monotonic() + 10
    before = max(keys._refresher._held)
    while max(keys._refresher._held) < before + 2 and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    os._exit(0 if max(keys._refresher._held) >= before + 2 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_goes_on_renewing(store: Store) -> None:
    subprocess.run([sys.executable, "-c", FORKS, store.url], timeout=60, check=True)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"url": "http://localhost"}, ValueError, "Redis URL"),
        ({"url": b"redis://localhost"}, TypeError, "url"),
        ({"secret": b"short"}, ValueError, "at least 32"),
        ({"secret": "x" * 32}, TypeError, "must be bytes"),
        ({"rotate_every": 0}, ValueError, "rotate_every"),
        ({"rotate_every": 1.5}, TypeError, "rotate_every"),
        ({"rotate_every": True}, TypeError, "rotate_every"),
        ({"policy_version": ""}, ValueError, "policy_version"),
    ],
)
def test_arguments_that_cannot_be_used_are_errors(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        TicketKeys.from_redis(**{"url": "redis://localhost", "secret": SECRET, **arguments})


def test_redis_is_imported_only_where_it_is_asked_for() -> None:
    text = (
        "import sys, veritls; loaded = lambda *names: [name for name in names if name in sys.modules]\n"
        "assert not loaded('redis', 'veritls.tickets')\n"
        "veritls.tickets.TicketKeys.from_secret(bytes(32))\n"
        "assert not loaded('redis', 'logging', 'threading')\n"
    )
    subprocess.run([sys.executable, "-c", text], timeout=60, check=True)


def test_without_its_package_an_error_names_the_extra_that_brings_it() -> None:
    text = (
        "import sys; sys.modules['redis'] = None\n"
        "from veritls.tickets import TicketKeys; TicketKeys.from_redis('redis://localhost', secret=bytes(32))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ") and last.endswith("pip install 'veritls[redis]'")
