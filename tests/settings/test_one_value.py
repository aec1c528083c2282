"""What a context shows is what it enforces: whatever is raised, whichever thread changes it meanwhile."""

from __future__ import annotations

import contextlib
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.settings.conftest import CLIENT, OTHER_ROOT, ROOT, World
from tests.support.certificates import pem
from tests.support.connections import SECONDS, in_thread
from veritls import _engine

LEAF = ssl.VERIFY_CRL_CHECK_LEAF


class Alarm(Exception):
    """What a signal handler raises."""


@contextmanager
def raising_at(step: int) -> Iterator[list[int]]:
    """Raises `Alarm` before the bytecode number `step` within veritls; gives how many there were."""
    seen = [0]

    def local(frame: Any, event: str, argument: object) -> Any:
        if event == "opcode":
            seen[0] += 1
            if seen[0] == step:
                sys.settrace(None)
                raise Alarm
        return local

    def start(frame: Any, event: str, argument: object) -> Any:
        if "veritls" not in frame.f_code.co_filename or "tests" in frame.f_code.co_filename:
            return None
        frame.f_trace = local  # Python 3.13 looks for it when opcodes are asked for
        frame.f_trace_opcodes = True
        return local

    before = sys.gettrace()
    # Python 3.12 traces opcodes where a frame wanted them when tracing began.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(start)
    try:
        yield seen
    finally:
        sys.settrace(before)


def interrupted(make: Callable[[], Any], change: Callable[[Any], None]) -> Iterator[Any]:
    """Contexts in which `change` was interrupted, once before each of its bytecodes."""
    for step in range(1, 10_000):
        context = make()
        with raising_at(step) as seen, contextlib.suppress(Alarm):
            change(context)
        yield context
        if seen[0] < step:
            return


CHANGES: dict[str, tuple[Callable[[Any], None], Callable[[Any], bool], Callable[[Any], bool]]] = {
    "check_hostname": (
        lambda context: setattr(context, "check_hostname", True),
        lambda context: context.check_hostname,
        lambda demands: demands["check_name"] and demands["validate"],
    ),
    "verify_mode": (
        lambda context: setattr(context, "verify_mode", ssl.CERT_REQUIRED),
        lambda context: context.verify_mode == ssl.CERT_REQUIRED,
        lambda demands: demands["validate"],
    ),
    "verify_flags": (
        lambda context: setattr(context, "verify_flags", LEAF),
        lambda context: bool(context.verify_flags & LEAF),
        lambda demands: demands["revocation"] == "leaf",
    ),
    "allowed_peers": (
        lambda context: setattr(context, "allowed_peers", [veritls.DNSPattern("a.example")]),
        lambda context: context.allowed_peers is not None,
        lambda demands: bool(demands["allowed"]) and demands["validate"],
    ),
    "pinned_keys": (
        lambda context: setattr(context, "pinned_keys", [bytes(32)]),
        lambda context: context.pinned_keys is not None,
        lambda demands: bool(demands["pinned"]),
    ),
    "require_ocsp": (
        lambda context: setattr(context, "require_ocsp", True),
        lambda context: context.require_ocsp,
        lambda demands: demands["require_ocsp"],
    ),
}


@pytest.mark.parametrize("setting", CHANGES)
def test_a_setter_that_is_interrupted_anywhere_leaves_what_is_shown_enforced(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, is_shown, is_enforced = CHANGES[setting]
    made: list[Any] = []

    class Spy:
        def __new__(cls, recipe: Any, demands: Any, *others: Any) -> Any:
            made.append(demands)
            return real(recipe, demands, *others)

    real = _engine.Settings
    monkeypatch.setattr(_engine, "Settings", Spy)

    def connect(context: Any) -> None:
        context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname="localhost")

    def connected_before() -> Any:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connect(context)
        return context

    count = changed = 0
    for context in interrupted(connected_before, change):
        last = made[-1]
        connect(context)
        enforced = made[-1] if made[-1] is not last else last
        assert is_shown(context) == bool(is_enforced(enforced)), f"interrupted at bytecode {count}"
        count, changed = count + 1, changed + is_shown(context)
    assert count > 5 and 0 < changed < count


def test_a_client_whose_setter_was_interrupted_refuses_another_name_if_it_shows_that_it_checks(
    sockets: World,
) -> None:
    server = sockets.server()

    def connected_before() -> Any:
        client = sockets.client()
        client.check_hostname = False
        assert sockets.meet(server, client, "elsewhere.example").client.error is None
        return client

    for client in interrupted(connected_before, lambda context: setattr(context, "check_hostname", True)):
        error = sockets.meet(server, client, "elsewhere.example").client.error
        assert isinstance(error, ssl.SSLCertVerificationError) == client.check_hostname


def test_a_load_of_several_parts_happens_whole_or_not_at_all(world: World, tmp_path: Path) -> None:
    (tmp_path / "crl.pem").write_bytes(pem(ROOT.crl(CLIENT)))
    (tmp_path / "ca.pem").write_bytes(OTHER_ROOT.pem)
    server, client = world.server(ssl.CERT_REQUIRED), world.client()
    server.verify_flags |= LEAF
    server.load_crls(pem(ROOT.crl(number=0)))
    before = server.list_trust()
    for first in ("crl.pem", "ca.pem"):
        with pytest.raises(OSError):
            server.load_verify_locations(cafile=tmp_path / first, capath=tmp_path / "missing")
        assert server.list_trust() == before
        assert world.meet(server, client).server.error is None
    server.load_verify_locations(cafile=tmp_path / "crl.pem")
    assert server.list_trust() != before
    assert world.meet(server, client).server.error is not None


def test_two_threads_that_change_different_settings_lose_neither_change() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    rounds = 300
    start = threading.Barrier(2, timeout=SECONDS)

    def flip(name: str, values: tuple[Any, Any]) -> int:
        lost = 0
        for turn in range(rounds):
            start.wait()
            setattr(context, name, values[turn % 2])
            lost += getattr(context, name) != values[turn % 2]
        return lost

    flags = (LEAF, ssl.VERIFY_X509_STRICT)
    modes = (ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL)
    one, two = in_thread(flip, "verify_flags", flags), in_thread(flip, "verify_mode", modes)
    assert (one.result(6 * SECONDS), two.result(6 * SECONDS)) == (0, 0)


def test_a_form_that_was_made_while_another_thread_changed_the_context_is_not_the_newer_ones(
    sockets: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = sockets.server(), sockets.client(None)
    inside, changed = threading.Event(), threading.Event()
    real = _engine.Settings

    class Slow:
        def __new__(cls, *args: Any) -> Any:
            made = real(*args)
            inside.set()
            assert changed.wait(SECONDS)
            return made

    monkeypatch.setattr(_engine, "Settings", Slow)
    freezing = in_thread(server.wrap_bio, veritls.MemoryBIO(), veritls.MemoryBIO(), True)
    assert inside.wait(SECONDS)
    server.verify_mode = ssl.CERT_REQUIRED
    changed.set()
    freezing.result(SECONDS)
    monkeypatch.setattr(_engine, "Settings", real)
    assert sockets.meet(server, client).server.error is not None


def test_a_change_within_an_iterable_that_a_setter_reads_is_kept() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)

    def peers() -> Iterator[veritls.DNSPattern]:
        context.require_ocsp = True
        yield veritls.DNSPattern("a.example")

    context.allowed_peers = peers()
    assert context.require_ocsp
    assert context.allowed_peers == (veritls.DNSPattern("a.example"),)


def test_a_connection_takes_the_value_that_was_there_when_it_was_made(files: Any) -> None:
    context = veritls.create_default_context(cafile=files.ca)
    end = context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname="localhost")
    before = end._settings
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    assert end._settings is before and before.peer.check_hostname
