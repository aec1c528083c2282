"""A server and the OCSP responses that it sends: given to it, or renewed in the background."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import ssl
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import veritls
from tests.revocation.answers import clients, code_in_handshake, serving
from tests.revocation.responses import REVOKED, UNKNOWN, response, unsuccessful
from tests.support.certificates import DAY, HOUR, NOW, Party, new_key
from tests.support.connections import SECONDS, tls_pair
from veritls._context import ocsp_renewal as renewal
from veritls._context.ocsp_renewal import Due, due_after

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF = Party("localhost", MIDDLE)
NEEDED = 73


def demanding() -> veritls.SSLContext:
    context = clients(ROOT.certificate)
    context.require_ocsp = True
    return context


def staples(server: veritls.SSLContext) -> bool:
    number = code_in_handshake(demanding(), server)
    assert number in (0, NEEDED)
    return number == 0


class TestGiven:
    def test_each_certificate_gets_the_response_that_is_about_it(self) -> None:
        server = serving(LEAF, MIDDLE)
        other = Party("other", MIDDLE, names=["other.example"], key=new_key("RSA"))
        server.load_cert_chain([other.certificate, MIDDLE.certificate], other.key)
        client = demanding()
        server.set_ocsp_response(response(other))
        assert not staples(server)
        with tls_pair(server, client, "other.example"):
            pass
        server.set_ocsp_response(response(LEAF))
        assert staples(server)
        with tls_pair(server, client, "other.example"):
            pass

    def test_the_issuer_may_stand_in_the_trust_set(self) -> None:
        server = serving(LEAF)
        server.load_verify_locations(cadata=MIDDLE.certificate)
        server.set_ocsp_response(response(LEAF))
        assert staples(server)

    def test_a_renewed_one_is_sent_by_settings_that_were_made_before(self) -> None:
        server, client = serving(LEAF, MIDDLE), clients(ROOT.certificate)
        with tls_pair(server, client) as (server_end, client_end):
            server_end.sendall(b"x")
            client_end.recv(1)
            session = client_end.session
        server.set_ocsp_response(response(LEAF))
        assert staples(server)
        with tls_pair(server, client, session=session) as (_, client_end):
            assert client_end.session_reused

    def test_an_expired_one_is_not_sent(self) -> None:
        server = serving(LEAF, MIDDLE)
        server.set_ocsp_response(response(LEAF))
        (identity,) = server._identities()
        identity.staple(response(LEAF), int(time.time()) - 1)
        assert not staples(server)
        identity.staple(response(LEAF), int(time.time()) + 60)
        assert staples(server)

    def test_none_takes_it_back(self) -> None:
        server = serving(LEAF, MIDDLE)
        server.set_ocsp_response(response(LEAF))
        server.set_ocsp_response(None)
        assert not staples(server)

    def test_a_client_context_takes_one_and_has_no_use_for_it(self) -> None:
        client = clients(ROOT.certificate)
        client.load_cert_chain([LEAF.certificate, MIDDLE.certificate], LEAF.key)
        client.set_ocsp_response(response(LEAF))
        assert code_in_handshake(client, serving(LEAF, MIDDLE)) == 0

    @pytest.mark.parametrize(
        ("given", "kind", "words"),
        [
            (response(Party("localhost", MIDDLE)), ssl.SSLError, "none of the loaded certificates"),
            (response(LEAF, issuer=ROOT), ssl.SSLError, "none of the loaded certificates"),
            (response(LEAF, REVOKED), ssl.SSLError, "was revoked"),
            (response(LEAF, UNKNOWN), ssl.SSLError, "does not know the certificate"),
            (response(LEAF, since=NOW - DAY, until=NOW - HOUR), ssl.SSLError, "out of date"),
            (response(LEAF, since=NOW - DAY, until=NOW - HOUR / 30), ssl.SSLError, "out of date"),
            (response(LEAF, since=NOW + HOUR, until=NOW + DAY), ssl.SSLError, "not valid yet"),
            (response(LEAF, signer=Party("any", MIDDLE)), ssl.SSLError, "not a valid OCSP responder"),
            (response(LEAF)[:-1], ssl.SSLError, "cannot be parsed"),
            (unsuccessful(), ssl.SSLError, "TryLater"),
            (b"", ssl.SSLError, "cannot be parsed"),
            (bytes(10), ssl.SSLError, "cannot be parsed"),
            ("response.der", TypeError, "bytes"),
            (7, TypeError, "bytes"),
        ],
    )
    def test_what_a_client_would_refuse_is_refused_and_changes_nothing(
        self, given: Any, kind: type[Exception], words: str
    ) -> None:
        server = serving(LEAF, MIDDLE)
        server.set_ocsp_response(response(LEAF))
        with pytest.raises(kind, match=words):
            server.set_ocsp_response(given)
        assert staples(server)

    def test_without_a_certificate_there_is_nothing_it_could_be_about(self) -> None:
        with pytest.raises(ssl.SSLError, match="none of the loaded certificates"):
            veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER).set_ocsp_response(response(LEAF))


class Responder:
    """A callable that fetches responses, and keeps count; its answer may be changed."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any]] = []
        self.answer: Any = lambda certificate: response(LEAF)
        self.called = threading.Condition()

    def __call__(self, certificate: Any, issuer: Any) -> Any:
        with self.called:
            self.calls.append((certificate, issuer))
            self.called.notify_all()
        return self.answer(certificate)

    def wait_for(self, count: int) -> None:
        with self.called:
            assert self.called.wait_for(lambda: len(self.calls) >= count, SECONDS)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is renewed, or failed, is due again at once."""
    monkeypatch.setattr(renewal, "due_after", lambda period, now: Due(now + 0.01, 0.01))
    monkeypatch.setattr(renewal, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(renewal, "LAST_RETRY", 0.02)


@pytest.fixture
def server() -> Iterator[veritls.SSLContext]:
    context = serving(LEAF, MIDDLE)
    yield context
    context.set_ocsp_response(None)


class TestRenewed:
    def test_is_fetched_at_once_for_each_certificate_with_its_issuer(
        self, server: veritls.SSLContext
    ) -> None:
        responder = Responder()
        server.set_ocsp_response(responder)
        assert responder.calls == [(LEAF.certificate, MIDDLE.certificate)]
        assert staples(server)

    def test_is_fetched_for_a_certificate_before_that_is_shown(self, server: veritls.SSLContext) -> None:
        renewed = Party("localhost", MIDDLE)
        parties = {each.certificate: each for each in (LEAF, renewed)}
        responder = Responder()
        responder.answer = lambda certificate: response(parties[certificate])
        server.set_ocsp_response(responder)
        server.load_cert_chain([renewed.certificate, MIDDLE.certificate], renewed.key)
        assert staples(server)
        assert [certificate for certificate, _ in responder.calls] == [LEAF.certificate, renewed.certificate]

    @pytest.mark.usefixtures("often")
    def test_is_fetched_again_in_the_background(self, server: veritls.SSLContext) -> None:
        responder = Responder()
        server.set_ocsp_response(responder)
        responder.wait_for(4)
        assert staples(server)

    @pytest.mark.usefixtures("often")
    def test_is_never_waited_for_in_a_handshake(self, server: veritls.SSLContext) -> None:
        responder, go_on = Responder(), threading.Event()
        server.set_ocsp_response(responder)
        responder.answer = lambda certificate: go_on.wait(SECONDS) and response(LEAF)
        responder.wait_for(len(responder.calls) + 1)
        assert staples(server)
        assert not go_on.is_set()
        go_on.set()

    @pytest.mark.usefixtures("often")
    @pytest.mark.parametrize(
        "answer", [lambda _: 1 / 0, lambda _: response(LEAF, REVOKED), lambda _: "text", lambda _: b"damaged"]
    )
    def test_that_fails_is_logged_keeps_the_old_one_and_is_tried_again(
        self, answer: Any, server: veritls.SSLContext, caplog: pytest.LogCaptureFixture
    ) -> None:
        responder = Responder()
        server.set_ocsp_response(responder)
        with caplog.at_level(logging.ERROR, "veritls.ocsp"):
            responder.answer = answer
            responder.wait_for(len(responder.calls) + 4)
        assert staples(server)
        failures = [record for record in caplog.records if record.name == "veritls.ocsp"]
        assert failures and all(record.exc_info for record in failures)

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (lambda _: 1 / 0, ZeroDivisionError),
            (lambda _: response(LEAF, REVOKED), ssl.SSLError),
            (lambda _: response(Party("localhost", MIDDLE)), ssl.SSLError),
            (lambda _: "text", TypeError),
        ],
    )
    def test_that_fails_at_once_is_raised_and_changes_nothing(
        self, answer: Any, kind: type[Exception], server: veritls.SSLContext
    ) -> None:
        server.set_ocsp_response(response(LEAF))
        responder = Responder()
        responder.answer = answer
        before = threading.active_count()
        with pytest.raises(kind):
            server.set_ocsp_response(responder)
        assert staples(server)
        assert threading.active_count() <= before

    @pytest.mark.usefixtures("often")
    def test_that_is_not_there_yet_is_asked_for_again(self, server: veritls.SSLContext) -> None:
        responder = Responder()
        responder.answer = lambda _: None
        server.set_ocsp_response(responder)
        assert not staples(server)
        responder.answer = lambda _: response(LEAF)
        responder.wait_for(len(responder.calls) + 3)
        assert staples(server)

    @pytest.mark.usefixtures("often")
    def test_ends_with_the_context_with_none_and_with_another(self) -> None:
        def started(context: veritls.SSLContext) -> threading.Thread:
            before = set(threading.enumerate())
            context.set_ocsp_response(Responder())
            (thread,) = {*threading.enumerate()} - before
            return thread

        server = serving(LEAF, MIDDLE)
        first = started(server)
        second = started(server)
        server.set_ocsp_response(None)
        third = started(server)
        reference = weakref.ref(server)
        del server
        gc.collect()
        for thread in (first, second, third):
            thread.join(SECONDS)
            assert not thread.is_alive()
        assert reference() is None

    @pytest.mark.usefixtures("often")
    @pytest.mark.parametrize("given", [None, Responder()])
    def test_that_was_being_fetched_when_it_was_taken_back_is_not_sent(
        self, given: Responder | None, server: veritls.SSLContext
    ) -> None:
        responder, go_on = Responder(), threading.Event()
        before = set(threading.enumerate())
        server.set_ocsp_response(responder)
        (thread,) = {*threading.enumerate()} - before
        responder.answer = lambda certificate: go_on.wait(SECONDS) and response(LEAF)
        responder.wait_for(len(responder.calls) + 1)
        if given is not None:
            given.answer = lambda certificate: None
        server.set_ocsp_response(given)
        for identity in server._identities():
            identity.staple(None, 0)
        go_on.set()
        thread.join(SECONDS)
        assert not thread.is_alive()
        assert not staples(server)

    @pytest.mark.usefixtures("often")
    def test_that_a_signal_handler_took_back_half_ends_all_the_same(
        self, server: veritls.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def raising(*_: object) -> None:
            raise KeyboardInterrupt

        before = set(threading.enumerate())
        server.set_ocsp_response(Responder())
        (thread,) = {*threading.enumerate()} - before
        with monkeypatch.context() as patch:
            patch.setattr(renewal.Renewal, "wake", raising)
            with pytest.raises(KeyboardInterrupt):
                server.set_ocsp_response(None)
        thread.join(SECONDS)
        assert not thread.is_alive()

    @pytest.mark.usefixtures("often")
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_goes_on_in_a_process_that_is_forked(self, server: veritls.SSLContext) -> None:
        read, write = os.pipe()

        def answer(certificate: Any) -> bytes:
            os.write(write, f"{os.getpid()}\n".encode())
            return response(LEAF)

        responder = Responder()
        responder.answer = answer
        server.set_ocsp_response(responder)
        child = os.fork()
        if not child:
            signal.pause()
        try:
            seen = b""
            while f"{child}\n".encode() not in seen:
                assert select.select([read], [], [], SECONDS)[0]
                seen += os.read(read, 65536)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            server.set_ocsp_response(None)
            os.close(read)

    def test_is_due_at_half_of_what_remains_and_at_most_about_once_a_minute(self) -> None:
        week = 7 * 24 * 3600
        assert due_after((0, week), 0) == Due(week / 2, 60)
        assert due_after((0, week), week / 2) == Due(week * 3 / 4, 60)
        assert due_after((0, week), week - 100) == Due(week - 40, 60)
        assert due_after((0, week), week) == Due(week + 60, 60)
        assert due_after((0, 40), 0) == Due(20, 10)
        assert due_after((0, 2), 0) == Due(1, 1)
