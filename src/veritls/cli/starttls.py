"""From plain text to where TLS begins, in the protocols that start it by a command.

The standard library's clients hold the dialogue. They are stopped where they would begin TLS: the context
that they are given raises through them, and keeps their socket.
"""

from __future__ import annotations

import ftplib
import imaplib
import poplib
import smtplib
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from veritls.cli.target import Target

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
"""The message that asks a PostgreSQL server for TLS (its manual, section "Message Formats")."""

_MOST_SAID = 64 * 1024

NAME_OF_THIS_HOST = "[127.0.0.1]"
"""Sent to a mail server instead of this machine's name, which it has no need to know."""

_FAILURES = (smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto, ftplib.Error, EOFError)


class StartTLSError(Exception):
    """The server did not start TLS; says why."""


class _BeginsTLSError(Exception):
    """Raised through the dialogue where TLS begins."""


class _SocketCatcher:
    """Stands in the place of a context: keeps the socket that a client wants to wrap."""

    def __init__(self) -> None:
        self.socket: socket.socket | None = None

    def wrap_socket(self, sock: socket.socket, **_: Any) -> Any:
        """Keeps the socket and leaves the dialogue."""
        self.socket = sock
        raise _BeginsTLSError


class _Bounded(socket.socket):
    """Reads `_MOST_SAID` bytes at most: the clients keep every line of an answer that has no end."""

    said = 0

    def recv_into(self, *arguments: Any) -> int:
        """As `socket.recv_into`, which the clients' files call. Raises OSError beyond the bound."""
        read = super().recv_into(*arguments)
        self.said += read
        if self.said > _MOST_SAID:
            raise OSError(f"the server says more than {_MOST_SAID // 1024} KiB before TLS begins")
        return read


def _bounded(host: str, port: int, timeout: float | None) -> socket.socket:
    made = _Bounded(fileno=socket.create_connection((host, port), timeout).detach())
    made.settimeout(timeout)
    return made


class _SMTP(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return _bounded(host, port, timeout)


class _IMAP4(imaplib.IMAP4):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        return _bounded(self.host, self.port, timeout)


class _POP3(poplib.POP3):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        return _bounded(self.host, self.port, timeout)


class _FTP(ftplib.FTP):
    def begin(self, target: Target) -> None:
        """As `connect`, on a socket that is bounded."""
        self.sock = _bounded(target.host, target.port, self.timeout)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()


@contextmanager
def _closed_on_failure(close: Callable[[], object]) -> Iterator[None]:
    try:
        yield
    except _BeginsTLSError:
        raise
    except BaseException:
        close()
        raise


def _smtp(target: Target, timeout: float, context: Any) -> None:
    client = _SMTP(timeout=timeout, local_hostname=NAME_OF_THIS_HOST)
    with _closed_on_failure(client.close):
        code, words = client.connect(target.host, target.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, words)
        client.starttls(context=context)


def _imap(target: Target, timeout: float, context: Any) -> None:
    client = _IMAP4(target.host, target.port, timeout)
    with _closed_on_failure(client.shutdown):
        client.starttls(context)


def _pop3(target: Target, timeout: float, context: Any) -> None:
    client = _POP3(target.host, target.port, timeout)
    with _closed_on_failure(client.close):
        client.stls(context)


def _ftp(target: Target, timeout: float, context: Any) -> None:
    client = _FTP(timeout=timeout)
    with _closed_on_failure(client.close):
        client.begin(target)
        client.voidcmd("AUTH TLS")
        context.wrap_socket(client.sock)


def _postgres(target: Target, timeout: float, context: Any) -> None:
    sock = plain(target, timeout)
    with _closed_on_failure(sock.close):
        sock.sendall(_SSL_REQUEST)
        answer = sock.recv(1)
        if answer != b"S":
            reasons = {b"N": "it does not offer TLS", b"": "it closed the connection"}
            reason = reasons.get(answer, "it does not speak postgres")
            raise StartTLSError(f"the server did not start TLS by postgres: {reason}")
        context.wrap_socket(sock)


DIALOGUES: dict[str, Callable[[Target, float, Any], None]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
    "ftp": _ftp,
    "postgres": _postgres,
}
"""Protocol -> the dialogue up to where TLS begins."""


def plain(target: Target, timeout: float) -> socket.socket:
    """A TCP connection."""
    return socket.create_connection((target.host, target.port), timeout=timeout)


def connected(target: Target, protocol: str | None, timeout: float) -> socket.socket:
    """A TCP connection on which TLS may begin, at once or after the dialogue of `protocol`.

    `timeout`: seconds for each step. Raises OSError; StartTLSError where the server does not start TLS.
    """
    if protocol is None:
        return plain(target, timeout)
    catcher = _SocketCatcher()
    try:
        DIALOGUES[protocol](target, timeout, catcher)
    except _BeginsTLSError:
        pass
    except _FAILURES as why:
        if isinstance(why.__context__, TimeoutError):
            raise why.__context__ from None
        raise StartTLSError(f"the server did not start TLS by {protocol}: {_words(why)}") from None
    except OSError:
        raise
    except (ValueError, LookupError) as why:
        # The clients raise them for malformed answers: bytes that are not text, lines without a number.
        raise StartTLSError(f"the server does not speak {protocol}: {_words(why)}") from None
    if catcher.socket is None:
        raise StartTLSError(f"the server refused to start TLS by {protocol}")
    return catcher.socket


def _words(why: BaseException) -> str:
    if isinstance(why, EOFError):
        return "it closed the connection"
    if isinstance(why, UnicodeError):
        return "what it sent is no text"
    parts = [
        part.decode("utf-8", "backslashreplace") if isinstance(part, bytes) else str(part)
        for part in why.args
    ]
    return " ".join(parts) or type(why).__name__
