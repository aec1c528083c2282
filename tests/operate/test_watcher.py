"""The thread that watches a source: one for each source and process, whatever the source does to it."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.operate.rotating import CA, Memory, followed, own, serial_of, until, watchers
from tests.operate.test_follow import client, load, served, server
from tests.support.certificates import Party, pem
from tests.support.connections import SECONDS, in_thread, tls_pair
from tests.support.der import tlv
from veritls._context import watching
from veritls.sources import Identity, Material

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_watcher_is_left() -> Iterator[None]:
    yield
    until(lambda: not watchers())
    assert not watching._watchers


def test_there_is_no_thread_where_nobody_follows() -> None:
    before = set(threading.enumerate())
    context = server()
    load(context, own()[0])
    served(context)
    assert context.material_status
    new = {each.name for each in set(threading.enumerate()) - before}
    assert not {name for name in new if "veritls" in name}


def test_two_sources_have_a_watcher_each() -> None:
    one, two = server(), server()
    with (
        followed(one, Memory("identity", identity=own()[0])),
        followed(two, Memory("identity", identity=own()[0])),
    ):
        assert len(watchers()) == 2
        assert all(each.daemon for each in watchers())


def test_contexts_that_follow_different_kinds_of_one_source_each_have_theirs() -> None:
    """What a source says that it provides is read by each `follow`."""
    identity, serial = own()
    source = Memory("identity", "trust", identity=identity, trust=CA.pem)
    one, two = server(), server()
    load(two, own()[0])
    with followed(one, source) as told:
        source.provides = frozenset({"trust"})
        with followed(two, source) as heard:
            assert served(one) == serial
            assert served(two) != serial
            identity, serial = own()
            source.put(identity=identity, trust=CA.pem)
            told.wait(lambda event: event.generation == 2)
            assert served(one) == serial
            source.put(trust=CA.issue("x", ca=True).pem + CA.pem, identity=identity)
            heard.wait(lambda event: event.generation > 2)
            assert served(two) != serial


def test_a_source_that_declares_a_kind_and_then_lacks_it_keeps_the_last_set() -> None:
    identity, serial = own()
    source, context = Memory("identity", "trust", identity=identity, trust=CA.pem), server()
    with followed(context, source) as told:
        for missing in ({"identity": own()[0]}, {"trust": CA.pem}, {"identity": [], "trust": CA.pem}):
            source.put(Material(**missing))
            event = told.outcome("failed")
            assert event.kind == "unusable" and event.sentence
            assert served(context) == serial
            assert [entry.der for entry in context.list_trust()] == [CA.der]


BAD: dict[str, Callable[[], Any]] = {
    "raises an error": lambda: OSError(5, "no disk"),
    "raises a KeyboardInterrupt": KeyboardInterrupt,
    "raises a SystemExit": lambda: SystemExit(3),
    "raises a GeneratorExit": GeneratorExit,
    "gives None": lambda: lambda: None,
    "gives rubbish": lambda: lambda: "rubbish",
    "gives an identity that is none": lambda: Material(identity=5),  # type: ignore[arg-type]
    "gives a key that does not fit": lambda: Material(identity=Identity(own()[0].cert, own()[0].key)),
    "gives half a certificate": lambda: Material(
        identity=Identity(CA.issue("localhost").pem[:200], own()[0].key)
    ),
    "gives a path": lambda: Material(identity=Identity(b"/etc/passwd", b"/etc/shadow")),
    "gives endless identities": lambda: Material(identity=iter(lambda: own()[0], None)),
}


@pytest.mark.parametrize("what", BAD)
def test_a_source_that_misbehaves_keeps_the_last_set_and_may_recover(what: str) -> None:
    identity, serial = own()
    source, context = Memory("identity", identity=identity), server()
    with followed(context, source) as told:
        source.put(BAD[what]())
        event = told.outcome("failed")
        assert event.kind and event.sentence and event.sentence.isprintable()
        assert event.generation == 1
        assert served(context) == serial
        identity, serial = own()
        source.put(identity=identity)
        told.outcome("loaded")
        assert served(context) == serial


class Waits(Memory):
    """A source whose `wait` does something else."""

    def __init__(self, wait: Callable[..., Any], **material: Any) -> None:
        super().__init__("identity", **material)
        self.other_wait: Callable[..., Any] | None = wait

    def wait(self, stop: threading.Event, timeout: float) -> Any:
        if self.other_wait is not None:
            return self.other_wait(stop, timeout)
        return super().wait(stop, timeout)


@pytest.mark.parametrize("fault", [RuntimeError("no"), KeyboardInterrupt(), TypeError()])
def test_a_wait_that_raises_is_a_failure_and_no_busy_loop(fault: BaseException) -> None:
    def raises(*_: Any) -> Any:
        raise fault

    source, context = Waits(raises, identity=own()[0]), server()
    with followed(context, source) as told:
        told.outcome("failed")
        told.outcome("failed")  # after a second
        assert len(source.loads) <= 4
        identity, serial = own()
        source.put(identity=identity)
        told.wait(lambda event: event.generation == 2)
        assert served(context) == serial
        source.other_wait = None
        told.outcome("loaded")


def test_a_wait_that_always_returns_at_once_is_no_busy_loop() -> None:
    source, context = Waits(lambda *_: None, identity=own()[0]), server()
    with followed(context, source):
        until(lambda: len(source.loads) >= 3)
        before, spent = len(source.loads), time.process_time()
        end = time.monotonic() + 1
        until(lambda: time.monotonic() > end)
        assert len(source.loads) - before <= 10
        assert time.process_time() - spent < 0.9


def test_it_waits_for_news_only_of_what_was_loaded_before() -> None:
    """A source that has loaded nothing may not know what to wait for, and would miss what comes meanwhile."""
    order: list[str] = []

    class Slow(Memory):
        def load(self) -> Material:
            until(lambda: bool(watchers()))
            time.sleep(0.05)  # a watcher that did not wait would be in `wait` by now
            order.append("loaded")
            return super().load()

        def wait(self, stop: threading.Event, timeout: float) -> None:
            order.append("waits")
            super().wait(stop, timeout)

    with followed(server(), Slow("identity", identity=own()[0])):
        until(lambda: "waits" in order)
    assert order[:2] == ["loaded", "waits"]


def test_what_one_context_loads_when_it_begins_the_others_get_too() -> None:
    entered, gate = threading.Event(), threading.Event()

    class Stream(Memory):
        """It waits for what differs from what was loaded last."""

        newest = known = 1

        def load(self) -> Material:
            self.known = self.newest
            return super().load()

        def wait(self, stop: threading.Event, timeout: float) -> None:
            entered.set()
            gate.wait(SECONDS)
            while self.known == self.newest and not stop.wait(0.01):
                pass

    source = Stream("identity", identity=own()[0])
    with followed(server(), source) as told:
        told.outcome("loaded")
        assert entered.wait(SECONDS)
        source.newest = 2
        source.put(identity=own()[0])
        with followed(server(), source) as other:
            other.outcome("loaded")
            gate.set()
            assert told.outcome("loaded").generation == 2


def test_a_wait_that_never_returns_holds_up_neither_follow_nor_its_end() -> None:
    go_on = threading.Event()
    source, context = Waits(lambda *_: go_on.wait(SECONDS), identity=own()[0]), server()
    context.follow(source)
    assert served(context)
    other = server()
    other.follow(source)
    assert served(other)
    context.follow(None)
    other.follow(None)
    go_on.set()


def test_a_source_that_raises_where_nobody_asks_does_not_end_its_watcher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    class Odd(Memory):
        @property
        def patience(self) -> float:
            raise SystemExit("no patience")

    source, context = Odd("identity", identity=own()[0]), server()
    with followed(context, source) as told:
        source.put(OSError("gone"))
        until(lambda: bool(reported))
        identity, serial = own()
        source.put(identity=identity)
        told.wait(lambda event: event.generation == 2)
        assert served(context) == serial


def test_a_source_that_has_something_new_all_the_time_is_no_busy_loop() -> None:
    parties = [own()[0] for _ in range(2)]
    source, context = Waits(lambda *_: None), server()
    source.put(lambda: Material(identity=parties[len(source.loads) % 2]))
    with followed(context, source):
        before, began = len(source.loads), time.monotonic()
        until(lambda: time.monotonic() > began + 1)
        assert len(source.loads) - before <= 2 + (time.monotonic() - began) / watching.SHORTEST


def test_a_source_that_sets_stop_itself_is_no_busy_loop() -> None:
    source, context = Waits(lambda stop, timeout: stop.set(), identity=own()[0]), server()
    with followed(context, source):
        before, began = len(source.loads), time.monotonic()
        until(lambda: time.monotonic() > began + 1)
        assert len(source.loads) - before <= 2 + (time.monotonic() - began) / watching.SHORTEST


def test_what_is_raised_of_a_set_holds_no_frame_with_its_keys() -> None:
    identity = Identity(own()[0].cert, own()[0].key)
    with pytest.raises(ssl.SSLError) as caught:
        server().follow(Memory("identity", identity=identity))
    seen: list[object] = []
    trace, error = caught.value.__traceback__, caught.value
    while trace is not None:
        seen += [trace.tb_frame.f_code.co_name]
        trace = trace.tb_next
    assert "load_identity" not in seen and "_identities" not in seen
    assert error.__context__ is None and error.__cause__ is None


def test_a_source_without_weak_references_and_hash_can_be_followed() -> None:
    class Bare:
        __slots__ = ("given",)
        given: Identity
        __hash__ = None  # type: ignore[assignment]
        provides = ("identity",)

        def load(self) -> Material:
            return Material(identity=self.given)

        def wait(self, stop: threading.Event, timeout: float) -> bool:
            return stop.wait(timeout)

    source = Bare()
    source.given, serial = own()
    context = server()
    with followed(context, source) as told:
        assert served(context) == serial
        assert told.outcome("loaded").source == "Bare"


def test_failures_are_retried_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    timeouts: list[float] = []

    def wait(stop: threading.Event, timeout: float) -> None:
        timeouts.append(timeout)
        if len(timeouts) > 20:
            stop.wait(timeout)

    monkeypatch.setattr(watching, "MOST", 0.001)
    monkeypatch.setattr(source, "wait", wait)
    with followed(context, source) as told:
        source.put(OSError("gone"))
        until(lambda: len(timeouts) >= 20)
        told.outcome("failed")
        first = timeouts.index(1.0)
        assert timeouts[:first] == [watching.PERIOD] * first
        assert timeouts[first : first + 8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def long_crl(issuer: Party, serials: list[int]) -> bytes:
    """As `Party.crl`, which takes a minute for so many."""

    def number(value: int) -> bytes:
        return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))

    then, later = tlv(0x17, b"200101000000Z"), tlv(0x17, b"490101000000Z")
    algorithm = tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))
    entries = b"".join(tlv(0x30, number(serial), then) for serial in serials)
    name = issuer.name.public_bytes()
    above = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    extensions = tlv(
        0x30,
        tlv(0x30, bytes.fromhex("0603551d23"), tlv(0x04, tlv(0x30, tlv(0x80, above)))),
        tlv(0x30, bytes.fromhex("0603551d14"), tlv(0x04, number(1))),
    )
    signed = tlv(0x30, number(1), algorithm, name, then, later, tlv(0x30, entries), tlv(0xA0, extensions))
    signature = issuer.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, signed, algorithm, tlv(0x03, b"\0" + signature))


def test_a_crl_of_100_000_entries_is_taken() -> None:
    party = CA.issue("localhost")
    context = client()
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    peer = server()
    peer.load_cert_chain(bytearray(party.pem), bytearray(party.key_pem))
    crl = long_crl(CA, [*range(1, 100_000), party.certificate.serial_number])
    with (
        followed(context, Memory("crls", crls=crl)),
        pytest.raises(ssl.SSLCertVerificationError, match="revoked"),
        tls_pair(peer, context),
    ):
        pass


def test_a_crl_that_is_older_does_not_bring_back_who_was_revoked() -> None:
    party = CA.issue("localhost")
    context = client()
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    peer = server()
    peer.load_cert_chain(bytearray(party.pem), bytearray(party.key_pem))
    source = Memory("crls", crls=pem(CA.crl(party, number=7)))
    with followed(context, source) as told:
        source.put(crls=pem(CA.crl(number=6)))
        told.wait(lambda event: event.generation > 2)
        with pytest.raises(ssl.SSLCertVerificationError, match="revoked"), tls_pair(peer, context):
            pass
        source.put(crls=pem(CA.crl(number=8)))
        told.wait(lambda event: event.generation > 3)
        with tls_pair(peer, context):
            pass


def test_an_ocsp_response_stays_with_an_identity_that_stays() -> None:
    from tests.revocation.responses import response

    party = CA.issue("localhost")
    source = Memory("identity", "trust", identity=Identity(party.pem + CA.pem, party.key_pem), trust=CA.pem)
    one, two, asking = server(), server(), client()
    asking.require_ocsp = True

    def staples(context: Any) -> bool:
        try:
            with tls_pair(context, asking):
                return True
        except ssl.SSLCertVerificationError:
            return False

    with followed(one, source) as told, followed(two, source):
        one.set_ocsp_response(response(party, issuer=CA))
        assert staples(one) and not staples(two)
        source.put(
            identity=Identity(party.pem + CA.pem, party.key_pem), trust=CA.pem + CA.issue("x", ca=True).pem
        )
        told.wait(lambda event: event.generation == 2)
        assert staples(one)


def test_an_ocsp_callback_is_asked_about_a_new_identity_before_it_is_used() -> None:
    from tests.revocation.responses import response

    first, second = CA.issue("localhost"), CA.issue("localhost")
    parties = {serial_of(each): each for each in (first, second)}
    source = Memory("identity", identity=Identity(first.pem + CA.pem, first.key_pem))
    context, asking = server(), client()
    asking.require_ocsp = True

    def fetch(certificate: Any, issuer: Any) -> bytes:
        (party,) = [each for each in parties.values() if each.certificate == certificate]
        return response(party, issuer=CA)

    with followed(context, source) as told:
        context.set_ocsp_response(fetch)
        source.put(identity=Identity(second.pem + CA.pem, second.key_pem))
        told.wait(lambda event: event.generation == 2)
        with tls_pair(context, asking) as (_, end):
            assert end.getpeercert()["serialNumber"] == serial_of(second)
        context.set_ocsp_response(None)


def test_what_ends_following_amid_a_swap_ends_it() -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    asked = threading.Event()

    def fetch(certificate: Any, issuer: Any) -> None:
        if threading.current_thread() in watchers():
            context.follow(None)
            asked.set()

    context.follow(source)
    context.set_ocsp_response(fetch)
    generation = context.generation
    source.put(identity=own()[0])
    assert asked.wait(SECONDS)
    until(lambda: not watchers())
    assert context.generation == generation
    context.set_ocsp_response(None)


def test_trust_by_domain_does_not_become_trust_for_all() -> None:
    """A source that gave a bundle map must not widen by mistake what each anchor vouches for."""
    source, context = Memory("trust", trust={"a.example": CA.pem}), server()
    with followed(context, source) as told:
        bundles = context.spiffe_bundles
        source.put(trust=CA.pem)
        assert told.outcome("failed").kind == "unusable"
        assert context.spiffe_bundles == bundles


def in_child(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(2 * SECONDS)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@forks
def test_a_forked_process_has_a_watcher_of_its_own() -> None:
    identity, first = own()
    source, context = Memory("identity", identity=identity), server()

    def work() -> None:
        assert len(watchers()) == 1
        assert served(context) == first
        identity, serial = own()
        source.put(identity=identity)
        until(lambda: served(context) == serial)
        context.follow(None)
        until(lambda: not watchers())

    with followed(context, source):
        assert in_child(work) == 0
        assert served(context) == first


@forks
def test_a_fork_amid_a_load_leaves_the_child_no_lock_that_is_held() -> None:
    identity, _ = own()
    source, context = Memory("identity", identity=identity), server()
    inside, go_on = threading.Event(), threading.Event()

    def hangs() -> Material:
        inside.set()
        go_on.wait(SECONDS)
        return Material(identity=identity)

    def work() -> None:
        new, serial = own()
        source.put(identity=new)
        until(lambda: served(context) == serial)
        other = server()
        other.follow(source)
        assert served(other) == serial

    with followed(context, source):
        source.put(hangs)
        assert inside.wait(SECONDS)
        assert in_child(work) == 0
        go_on.set()


@forks
def test_forks_amid_rotation_have_whole_contexts() -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    over = threading.Event()

    def rotate() -> None:
        while not over.wait(0.002):
            source.put(identity=own()[0])

    def use() -> None:
        for _ in range(3):
            served(context)

    with followed(context, source):
        rotating = in_thread(rotate)
        try:
            for _ in range(10):
                assert in_child(use) == 0
        finally:
            over.set()
            rotating.result(SECONDS)


HANGS = """
import sys, threading, veritls
from veritls.sources import Identity, Material

class Hangs:
    provides = ("identity",)
    def __init__(self):
        self.first, self.inside = True, threading.Event()
    def load(self):
        if not self.first:
            self.inside.set()
            threading.Event().wait()
        self.first = False
        data = open(sys.argv[1], "rb").read()
        return Material(identity=Identity(data))
    def wait(self, stop, timeout):
        pass

context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
source = Hangs()
context.follow(source)
source.inside.wait()
if len(sys.argv) > 2:
    context.follow(None)
print("the end")
"""


@pytest.mark.parametrize("more", [[], ["ends"]])
def test_a_load_that_hangs_does_not_keep_the_interpreter_from_its_end(
    tmp_path: Path, more: list[str]
) -> None:
    path = CA.issue("localhost").file(tmp_path)
    command = [sys.executable, "-c", HANGS, str(path), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=6 * SECONDS, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


def test_following_and_ending_at_once_from_many_threads_leaves_nothing() -> None:
    identity, serial = own()
    source = Memory("identity", identity=identity)
    contexts = [server() for _ in range(4)]

    def follow(context: Any) -> None:
        for _ in range(30):
            context.follow(source)
            context.follow(None)

    for each in [in_thread(follow, context) for context in contexts]:
        each.result(3 * SECONDS)
    assert source.most_inside == 1
    assert all(served(context) == serial for context in contexts)
