"""Servers for `veritls check`: TLS at once or after a scripted dialogue, and some that misbehave."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.connections import SECONDS

Dialogue = Callable[[socket.socket], None]


def line(sock: socket.socket) -> bytes:
    """One line of the client's, without its end."""
    data = b""
    while not data.endswith(b"\n"):
        more = sock.recv(1)
        if not more:
            raise ConnectionError("the client is gone")
        data += more
    return data.rstrip(b"\r\n")


def smtp(sock: socket.socket) -> None:
    sock.sendall(b"220 mail.internal ready\r\n")
    assert line(sock).startswith(b"ehlo")
    sock.sendall(b"250-mail.internal\r\n250 STARTTLS\r\n")
    assert line(sock) == b"STARTTLS"
    sock.sendall(b"220 go on\r\n")


def imap(sock: socket.socket) -> None:
    sock.sendall(b"* OK ready\r\n")
    tag, command = line(sock).split(maxsplit=1)
    assert command == b"CAPABILITY"
    sock.sendall(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n" + tag + b" OK done\r\n")
    tag, command = line(sock).split(maxsplit=1)
    assert command == b"STARTTLS"
    sock.sendall(tag + b" OK go on\r\n")


def pop3(sock: socket.socket) -> None:
    sock.sendall(b"+OK ready\r\n")
    assert line(sock) == b"CAPA"
    sock.sendall(b"+OK\r\nSTLS\r\n.\r\n")
    assert line(sock) == b"STLS"
    sock.sendall(b"+OK go on\r\n")


def ftp(sock: socket.socket) -> None:
    sock.sendall(b"220 ready\r\n")
    assert line(sock) == b"AUTH TLS"
    sock.sendall(b"234 go on\r\n")


def postgres(sock: socket.socket) -> None:
    assert sock.recv(8) == bytes.fromhex("0000000804d2162f")
    sock.sendall(b"S")


def at_once(sock: socket.socket) -> None:
    pass


DIALOGUES: dict[str, Dialogue] = {
    "smtp": smtp,
    "imap": imap,
    "pop3": pop3,
    "ftp": ftp,
    "postgres": postgres,
}


def says(data: bytes, then: str = "close") -> Dialogue:
    """A server that sends `data` and closes, or says no more ("wait")."""

    def dialogue(sock: socket.socket) -> None:
        sock.sendall(data)
        while then == "wait" and sock.recv(100):
            pass
        raise ConnectionError("done")

    return dialogue


class Server:
    """What one server saw: data after the handshake, certificates of clients, how many came."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.data = b""
        self.clients: list[Any] = []
        self.errors: list[str] = []
        self.talking: list[threading.Thread] = []

    def finish(self) -> None:
        """Waits until it is done with the clients that came."""
        for thread in self.talking:
            thread.join(SECONDS)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@contextmanager
def serving(context: Any, dialogue: Dialogue = at_once, host: str = "127.0.0.1") -> Iterator[Server]:
    """A server on a port of its own, for any number of clients."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    server = Server(host, listener.getsockname()[1])

    def talk(raw: socket.socket) -> None:
        raw.settimeout(SECONDS)
        try:
            with raw:
                dialogue(raw)
                with context.wrap_socket(raw, server_side=True) as tls:
                    server.clients.append(tls.getpeercert(True))
                    server.data += tls.recv(100)
        except (OSError, ssl.SSLError) as why:
            server.errors.append(str(why))

    def accept() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            server.talking.append(threading.Thread(target=talk, args=(raw,), daemon=True))
            server.talking[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(SECONDS)
