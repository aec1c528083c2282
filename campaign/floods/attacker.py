"""The end that floods: a library makes the handshake, and then the records are made by hand."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import veritls
from tests.support.connections import client_context, server_context
from tests.support.forger import Forger, Forger12

SECONDS = 20
_SEND_BUFFER = 16 * 1024
V13, V12 = "TLSv1_3", "TLSv1_2"


@dataclass(frozen=True)
class Files:
    """Certificates, PEM: the server's with its key, and its CA's."""

    server: Path
    ca: Path


class Attacker:
    """One raw socket, the victim at its other end.

    `against`: the victim's side. After `handshake` there is a `forger`.
    """

    def __init__(self, files: Files, raw: socket.socket, against: str, version: str) -> None:
        self.files, self.raw, self.against, self.version = files, raw, against, version
        raw.settimeout(SECONDS)
        self.port = raw.getsockname()[1]
        self.forger: Any = None
        self.alert: str | None = None
        self.over = threading.Event()
        self.sent = 0
        self.established = False

    def _end(self, keylog: Path) -> tuple[Any, Any, Any]:
        """Our end of TLS, over memory, with what goes in and out."""
        incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
        if self.against == "server":
            context: Any = client_context(self.files.ca)
            context.set_ciphers("ECDHE+AESGCM+AES128")
            context.set_ciphersuites("TLS_AES_128_GCM_SHA256")
            options: Any = {"server_hostname": "localhost"}
        else:
            context = server_context(self.files.server)
            context.num_tickets = 0
            options = {"server_side": True}
        context.minimum_version = context.maximum_version = ssl.TLSVersion[self.version]
        context.keylog_filename = str(keylog)
        return context.wrap_bio(incoming, outgoing, **options), incoming, outgoing

    def handshake(self) -> None:
        """A handshake to its end."""
        with tempfile.TemporaryDirectory() as folder:
            self._shake_hands(Path(folder) / "keys", to_its_end=True)
        self.established = True

    def half_a_handshake(self) -> bytes:
        """As far as our side is to send its certificate, or would: with the forger for what comes then.

        Against a client the server's flight is returned and not sent.
        """
        with tempfile.TemporaryDirectory() as folder:
            return self._shake_hands(Path(folder) / "keys", to_its_end=False)

    def _shake_hands(self, keylog: Path, *, to_its_end: bool) -> bytes:
        end, incoming, outgoing = self._end(keylog)
        seen = b""
        while True:
            try:
                end.do_handshake()
                over = True
            except ssl.SSLWantReadError:
                over = False
            flight = outgoing.read()
            if not to_its_end and flight and (self.against == "client" or seen):
                if self.version == V13:
                    side = "CLIENT" if self.against == "server" else "SERVER"
                    self.forger = Forger(keylog, side, keys="HANDSHAKE_TRAFFIC_SECRET")
                return bytes(flight)
            self.raw.sendall(flight)
            if self.against == "client" and not seen:
                seen = flight
            if over:
                break
            received = self.raw.recv(65_536)
            if self.against == "server" and not seen:
                seen = received
            if not received:
                raise ConnectionError("the victim ended the handshake")
            incoming.write(received)
        side = "CLIENT" if self.against == "server" else "SERVER"
        if self.version == V13:
            self.forger = Forger(keylog, side)
        else:
            self.forger = Forger12(keylog, side, seen[11:43])
        return b""

    def listen(self) -> None:
        """Reads what the victim says meanwhile, until it ends: its last alert, where that can be read."""

        def read() -> None:
            tail = b""
            try:
                while data := self.raw.recv(65_536):
                    tail = (tail + data)[-64:]
            except OSError:
                pass
            if len(tail) >= 7 and tail[-7] == 21 and tail[-4:-2] == b"\x00\x02":
                self.alert = ssl.AlertDescription(tail[-1]).name.removeprefix("ALERT_DESCRIPTION_").lower()
            self.over.set()

        self.raw.settimeout(None)
        threading.Thread(target=read, daemon=True).start()

    def flood(self, pieces: Iterator[bytes], most: int, until: float) -> bool:
        """Sends until the victim ends, or `most` bytes or the time `until`. Whether the victim ended it."""
        for piece in pieces:
            view = memoryview(piece)
            while view and not self.over.is_set():
                try:
                    count = self.raw.send(view[:16_384])
                except OSError:
                    self.over.wait(SECONDS)
                    return True
                self.sent += count
                view = view[count:]
            if self.over.is_set():
                return True
            if self.sent >= most or time.monotonic() > until:
                return False
        return self.over.wait(1)

    def close(self) -> None:
        # Wakes the thread that reads.
        with contextlib.suppress(OSError):
            self.raw.shutdown(socket.SHUT_RDWR)
        self.raw.close()


@contextmanager
def attacker(files: Files, victim: Any, against: str, version: str) -> Iterator[Attacker]:
    """Connected with the victim: to its port, or by its client."""
    if against == "server":
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        raw.settimeout(SECONDS)
        raw.connect(("127.0.0.1", victim.port))
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS)
            victim.order(f"connect {listener.getsockname()[1]} {version}")
            raw, _ = listener.accept()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    made = Attacker(files, raw, against, version)
    try:
        yield made
    finally:
        made.close()
