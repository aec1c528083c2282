"""Full TLS 1.3 handshakes per second over loopback: a server process and a client process of one module.

A connection is counted once the client has read a byte that the server sent after its own handshake: in
TLS 1.3 a client is done before the server has looked at the client's certificate.
"""

import contextlib
import multiprocessing
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import veritls
from bench.certificates import SERVER_NAME, Files

MODULES: dict[str, ModuleType] = {"ssl": ssl, "veritls": veritls}

_TIMEOUT = 10.0
_LOOK_FOR_THE_END = 0.5
_WARM_UP = 20
_RESET = struct.pack("ii", 1, 0)
_WITH, _WITHOUT = b"1", b"0"


def _context(module: str, files: Files, *, server: bool, mutual: bool, tickets: bool) -> Any:
    tls = MODULES[module]
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER if server else tls.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = tls.TLSVersion.TLSv1_3
    if server or mutual:
        context.load_cert_chain(files.server if server else files.client)
    if not server or mutual:
        context.load_verify_locations(files.authority)
        context.verify_mode = tls.CERT_REQUIRED
    if server and not tickets:
        context.num_tickets = 0
    return context


def _prepare(sock: socket.socket) -> None:
    sock.settimeout(_TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _serve(module: str, files: Files, mutual: bool, tickets: bool, parent: Connection) -> None:
    """Answers one connection after the other, until the parent is gone or says so."""
    context = _context(module, files, server=True, mutual=mutual, tickets=tickets)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(_LOOK_FOR_THE_END)
        parent.send(listener.getsockname())
        while True:
            try:
                plain, _ = listener.accept()
            except TimeoutError:
                if parent.poll():
                    return
                continue
            _prepare(plain)
            with context.wrap_socket(plain, server_side=True) as tls:
                assert not tls.session_reused
                tls.sendall(_WITH if tls.getpeercert(binary_form=True) else _WITHOUT)


class Pair:
    """A server in a process of its own, and the client's context here."""

    def __init__(
        self, module: str, files: Files, address: tuple[str, int], *, mutual: bool, tickets: bool
    ) -> None:
        self._context = _context(module, files, server=False, mutual=mutual, tickets=tickets)
        self._address = address
        self._answer = _WITH if mutual else _WITHOUT

    def _connect(self) -> None:
        plain = socket.create_connection(self._address, timeout=_TIMEOUT)
        _prepare(plain)
        # A reset at the end leaves no port waiting: a run needs more of them than there are.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        with self._context.wrap_socket(plain, server_hostname=SERVER_NAME) as tls:
            answer = tls.recv(1)
            if answer != self._answer or tls.version() != "TLSv1.3":
                raise RuntimeError(f"not the handshake that was to be measured: {answer!r}, {tls.version()}")

    def rate(self, seconds: float) -> float:
        """Handshakes per second, measured for `seconds`, after a short warm-up."""
        for _ in range(_WARM_UP):
            self._connect()
        count = 0
        start = time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds:
            self._connect()
            count += 1
        return count / passed


@contextlib.contextmanager
def pair(module: str, files: Files, *, mutual: bool, tickets: bool) -> Iterator[Pair]:
    """A running pair of `module`, "ssl" or "veritls"; `mutual` with a client certificate, required."""
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(target=_serve, args=(module, files, mutual, tickets, there), daemon=True)
    server.start()
    there.close()
    try:
        if not here.poll(_TIMEOUT):
            raise RuntimeError(f"the {module} server did not start")
        yield Pair(module, files, here.recv(), mutual=mutual, tickets=tickets)
    finally:
        here.close()
        server.join(_TIMEOUT)
        if server.is_alive():
            server.kill()
