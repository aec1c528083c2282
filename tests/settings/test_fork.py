"""A forked process has whole contexts, whatever other threads were doing with them."""

from __future__ import annotations

import os
import signal
import ssl
import threading
from collections.abc import Callable

import pytest

import veritls
from tests.settings.conftest import ROOT, World
from tests.support.certificates import pem
from tests.support.connections import SECONDS
from tests.support.memory import handshake, memory_pair

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]

FORKS = 100


def outcome_in_child(work: Callable[[], None]) -> int:
    """The exit code of a child that does `work`: 0 where it came to its end; it is killed after a while."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(SECONDS)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def test_a_child_uses_contexts_that_other_threads_were_changing(sockets: World) -> None:
    server, client = sockets.server(ssl.CERT_REQUIRED), sockets.client()
    crls = [pem(ROOT.crl(number=number)) for number in range(1, 5)]
    done = threading.Event()

    def change() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            server.verify_flags ^= ssl.VERIFY_X509_STRICT
            server.load_crls(crls[turn % len(crls)], allow_older=True)
            server.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_side=True)

    def use() -> None:
        server.verify_mode = ssl.CERT_OPTIONAL
        server.load_crls(crls[0], allow_older=True)
        handshake(*memory_pair(server, client))

    threads = [threading.Thread(target=change, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        outcomes = [outcome_in_child(use) for _ in range(FORKS)]
    finally:
        done.set()
        for thread in threads:
            thread.join(SECONDS)
    assert outcomes == [0] * FORKS
