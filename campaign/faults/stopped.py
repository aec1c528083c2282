"""SIGSTOP and SIGCONT, of the peer and of ourselves: timeouts go by the clock, and nothing is lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import socket
import threading
import time
from typing import Any

from campaign.faults.running import Seen, certificates, main
from tests.support.connections import SECONDS, client_context, raw_pair, server_context

_SIZE = 3_000_000


def _child(work: Any, *arguments: Any) -> int:
    number = os.fork()
    if number == 0:
        signal.alarm(60)
        try:
            work(*arguments)
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
    return number


def _patiently(call: Any, *arguments: Any) -> Any:
    """As a program does that goes on after a timeout: sendall with the same bytes, recv as it is."""
    while True:
        try:
            return call(*arguments)
        except TimeoutError:
            continue


def _echo(context: Any, raw: socket.socket, timeout: float) -> None:
    """The other process: takes everything, and sends it back, with timeouts that pass."""
    raw.settimeout(timeout)
    tls = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
    _patiently(tls.do_handshake)
    data = b""
    while len(data) < _SIZE:
        piece = _patiently(tls.recv, 65_536)
        assert piece, "an end before the end"
        data += piece
    _patiently(tls.sendall, data)
    with contextlib.suppress(OSError):
        tls.recv(1)


def _stop_and_go(number: int, over: threading.Event, seen: Seen) -> None:
    while not over.wait(random.random() / 10):
        os.kill(number, signal.SIGSTOP)
        over.wait(random.random() / 5)
        os.kill(number, signal.SIGCONT)
        seen.count("stops")


def connection(contexts: Any, seen: Seen, timeout: float) -> None:
    """The child is stopped again and again; timeouts pass at both ends, its own while it is stopped."""
    server_raw, client_raw = raw_pair()
    number = _child(_echo, contexts[0], server_raw, timeout)
    server_raw.close()
    client_raw.settimeout(timeout)
    over = threading.Event()
    stopping = threading.Thread(target=_stop_and_go, args=(number, over, seen))
    stopping.start()
    data, got, timeouts = random.randbytes(_SIZE), hashlib.sha256(), 0
    try:
        end = contexts[1].wrap_socket(client_raw, server_hostname="localhost", do_handshake_on_connect=False)
        with end:
            _patiently(end.do_handshake)
            _patiently(end.sendall, data)
            left = _SIZE
            while left:
                try:
                    piece = end.recv(65_536)
                except TimeoutError:
                    timeouts += 1
                    continue
                seen.expect(piece, "an end before the end")
                if not piece:
                    break
                got.update(piece)
                left -= len(piece)
        seen.expect(got.digest() == hashlib.sha256(data).digest(), "what came back is not what was sent")
    finally:
        over.set()
        stopping.join(SECONDS)
        os.kill(number, signal.SIGCONT)
        status = os.waitpid(number, 0)[1]
    seen.expect(status == 0, f"the process that was stopped ended with {status}")
    seen.count("timeouts", timeouts)
    seen.count("connections")


def never_again(contexts: Any, seen: Seen) -> None:
    """A peer that is stopped for good: each call ends with its timeout."""
    server_raw, client_raw = raw_pair()
    number = _child(_echo, contexts[0], server_raw, SECONDS)
    server_raw.close()
    os.kill(number, signal.SIGSTOP)
    client_raw.settimeout(0.1)
    try:
        end = contexts[1].wrap_socket(client_raw, server_hostname="localhost", do_handshake_on_connect=False)
        with end:
            for call in (end.do_handshake, lambda: end.recv(1), lambda: end.sendall(b"x")):
                try:
                    call()
                    seen.expect(False, "a call went on without its peer")
                except TimeoutError:
                    seen.count("timeouts of a peer that is stopped for good")
    finally:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)


def work(seconds: float, seen: Seen) -> None:
    files = certificates()
    contexts = server_context(files.server), client_context(files.ca)
    until = time.monotonic() + seconds
    never_again(contexts, seen)
    rounds = 0
    while rounds < 1 or time.monotonic() < until:
        for timeout in (0.02, 0.5):
            connection(contexts, seen, timeout)
        rounds += 1


if __name__ == "__main__":
    main(work)
