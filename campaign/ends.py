"""One end of a short conversation, over a blocking socket or on an event loop, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from campaign.credentials import NAME

PING, PONG = b"from the client!", b"from the server!"
OK, END = "ok", "end of stream"
_USUAL = (ssl.SSLError, ConnectionError, TimeoutError)


class Ended(Exception):
    """The stream ended before all had come."""


@dataclass
class Side:
    """`outcome`: OK, END, or the class of the error; `usual`: it is one that users of `ssl` expect."""

    handshaken: bool = False
    received: bytes = b""
    outcome: str = OK
    words: str = ""
    usual: bool = True

    def failed(self, error: BaseException) -> None:
        if isinstance(error, Ended | asyncio.IncompleteReadError):
            self.outcome = END
            return
        self.outcome, self.words = type(error).__name__, str(error)
        self.usual = isinstance(error, _USUAL)


def blocking(context: Any, raw: socket.socket, *, server: bool, seconds: float) -> Side:
    """The whole life of one end over `raw`, which is closed."""
    side = Side()
    said, expected = (PONG, PING) if server else (PING, PONG)
    raw.settimeout(seconds)
    try:
        name = None if server else NAME
        with context.wrap_socket(raw, server_side=server, server_hostname=name) as tls:
            side.handshaken = True
            if not server:
                tls.sendall(said)
            while len(side.received) < len(expected):
                piece = tls.recv(len(expected) - len(side.received))
                if not piece:
                    raise Ended
                side.received += piece
            if server:
                tls.sendall(said)
    except Exception as error:
        side.failed(error)
    finally:
        raw.close()
    return side


async def on_loop(context: Any, raw: socket.socket, *, server: bool, seconds: float) -> Side:
    """The same with asyncio's streams."""
    side = Side()
    said, expected = (PONG, PING) if server else (PING, PONG)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport = None
    try:
        limits = {"ssl": context, "ssl_handshake_timeout": seconds, "ssl_shutdown_timeout": seconds}
        if server:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, raw, **limits)
        else:
            transport, _ = await loop.create_connection(
                lambda: protocol, sock=raw, server_hostname=NAME, **limits
            )
        side.handshaken = True
        if not server:
            transport.write(said)
        async with asyncio.timeout(seconds):
            try:
                side.received = await reader.readexactly(len(expected))
            except asyncio.IncompleteReadError as short:
                side.received = short.partial
                raise
        if server:
            transport.write(said)
    except Exception as error:
        side.failed(error)
        # The protocol keeps the error, and its traceback this frame, which has the protocol: where the
        # collector takes such a circle apart, asyncio may call the error one that nobody looked at.
        error.__traceback__ = None
    finally:
        if transport is not None and side.outcome != OK:
            transport.abort()
        elif transport is not None:
            with contextlib.suppress(Exception):
                transport.close()
    return side
