"""A server's connections on uvloop: asyncio's own code makes a task and a future of each."""

from __future__ import annotations

import socket
from contextvars import copy_context
from typing import Any

from veritls.aio.transport import SSLTransport


class Acceptor:
    """What is called when a listening socket has a connection: takes one, as libuv does for each event.

    Whatever is not the plain case is left to `otherwise`, asyncio's own code: what to do and to say where
    there are no more descriptors, and in debug mode.
    """

    __slots__ = ("_factory", "_kind", "_loop", "_otherwise", "_server", "_settings", "_sock")

    def __init__(
        self,
        otherwise: Any,
        loop: Any,
        protocol_factory: Any,
        sock: socket.socket,
        context: Any,
        server: Any,
        handshake: float | None,
        shutdown: float | None,
    ) -> None:
        """`handshake`, `shutdown`: the timeouts of a connection."""
        self._otherwise = otherwise
        self._loop = loop
        self._factory = protocol_factory
        self._sock: Any = sock
        self._kind = (int(sock.family), int(sock.type), sock.proto)
        self._server = server
        self._settings = context, handshake, shutdown

    def __call__(self) -> None:
        if self._loop.get_debug():
            self._otherwise()
            return
        try:
            number, address = self._sock._accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._otherwise()
            return
        sock = socket.socket(*self._kind, fileno=number)
        sock.setblocking(False)
        copy_context().run(self._serve, sock, address)

    def _serve(self, sock: socket.socket, address: Any) -> None:
        context, handshake, shutdown = self._settings
        try:
            SSLTransport(
                self._loop,
                sock,
                self._factory(),
                context,
                None,
                server_side=True,
                ssl_handshake_timeout=handshake,
                ssl_shutdown_timeout=shutdown,
                extra={"peername": address},
                server=self._server,
            )
        except (SystemExit, KeyboardInterrupt):
            sock.close()
            raise
        except BaseException:
            sock.close()  # asyncio tells of it in debug mode only
