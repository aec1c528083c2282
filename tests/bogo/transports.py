"""One TLS connection of the shim, over each of veritls's public interfaces, all with the same few methods."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from abc import ABC, abstractmethod
from typing import Any

import veritls
from veritls import aio


class Transport(ABC):
    """A connection to the runner. The methods wait, and raise what veritls raises."""

    tls: Any
    """What tells about the connection: an SSLSocket, SSLObject, or what an event loop calls "ssl_object"."""

    @abstractmethod
    def handshake(self) -> None: ...
    @abstractmethod
    def read(self, size: int) -> bytes: ...
    @abstractmethod
    def write(self, data: bytes) -> None: ...
    @abstractmethod
    def end(self, *, wait: bool) -> None:
        """Sends close_notify; `wait`: for the peer's too."""

    def hold_back(self, held: bool) -> None:
        """While `held`, nothing but one byte is sent of what is written."""
        raise NotImplementedError


class Blocking(Transport):
    """`wrap_socket`; with `nonblocking` each call is repeated when the socket is ready, as programs do."""

    def __init__(self, sock: socket.socket, context: Any, *, nonblocking: bool, ragged: bool, **sides: Any):
        sock.setblocking(not nonblocking)
        self.tls = context.wrap_socket(
            sock, do_handshake_on_connect=False, suppress_ragged_eofs=ragged, **sides
        )

    def _repeat(self, operation: Any, *arguments: Any) -> Any:
        while True:
            try:
                return operation(*arguments)
            except ssl.SSLWantReadError:
                select.select([self.tls], [], [])
            except ssl.SSLWantWriteError:
                select.select([], [self.tls], [])

    def handshake(self) -> None:
        self._repeat(self.tls.do_handshake)

    def read(self, size: int) -> bytes:
        data: bytes = self._repeat(self.tls.recv, size)
        return data

    def write(self, data: bytes) -> None:
        self._repeat(self.tls.sendall, data)

    def end(self, *, wait: bool) -> None:
        if wait:
            self._repeat(self.tls.unwrap)
        else:
            self.tls.shutdown(socket.SHUT_WR)


class Buffers(Transport):
    """`wrap_bio`, with a socket that the shim itself reads and writes."""

    def __init__(self, sock: socket.socket, context: Any, *, ragged: bool, **sides: Any):
        self._socket, self._ragged = sock, ragged
        self._held: bool | None = None
        self._incoming, self._outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, **sides)

    def _flush(self) -> None:
        if self._held is None:
            self._socket.sendall(self._outgoing.read())
        elif self._held and self._outgoing.pending:
            self._socket.sendall(self._outgoing.read(1))
            self._held = False

    def _repeat(self, operation: Any, *arguments: Any) -> Any:
        while True:
            try:
                return operation(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                data = self._socket.recv(65536)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            finally:
                self._flush()

    def handshake(self) -> None:
        self._repeat(self.tls.do_handshake)

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._repeat(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            if not self._ragged:
                raise
            return b""
        return data

    def write(self, data: bytes) -> None:
        self._repeat(self.tls.write, data)

    def end(self, *, wait: bool) -> None:
        if wait:
            self._repeat(self.tls.unwrap)
            return
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self._flush()

    def hold_back(self, held: bool) -> None:
        self._held = True if held else None
        if not held:
            self._flush()


class Patient(asyncio.StreamReaderProtocol):
    """Reads nothing until it is told to: an error would end the connection before the shim asks about it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


class Loop(Transport):
    """asyncio's streams on the event loop of veritls.aio."""

    def __init__(self, sock: socket.socket, context: Any, *, ragged: bool, server_side: bool, **sides: Any):
        self._socket, self._context, self._ragged = sock, context, ragged
        self._server_side, self._sides = server_side, sides
        self._loop = aio.EventLoop()
        self._loop.set_exception_handler(lambda *_: None)
        sock.setblocking(False)

    async def _connect(self) -> None:
        self._reader = asyncio.StreamReader()
        protocol = Patient(self._reader)
        if self._server_side:
            made = self._loop.connect_accepted_socket(lambda: protocol, self._socket, ssl=self._context)
        else:
            name = self._sides.get("server_hostname") or ""
            make = self._loop.create_connection
            made = make(lambda: protocol, sock=self._socket, ssl=self._context, server_hostname=name)
        self._transport, _ = await made
        self._writer = asyncio.StreamWriter(self._transport, protocol, self._reader, self._loop)
        self.tls = self._transport.get_extra_info("ssl_object")

    async def _read(self, size: int) -> bytes:
        self._transport.resume_reading()
        data = await self._reader.read(size)
        if not data and not self._ragged and not self._transport.get_extra_info("close_notify"):
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "UNEXPECTED_EOF_WHILE_READING")
        return data

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _end(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    def handshake(self) -> None:
        self._loop.run_until_complete(self._connect())

    def read(self, size: int) -> bytes:
        return self._loop.run_until_complete(self._read(size))

    def write(self, data: bytes) -> None:
        self._loop.run_until_complete(self._write(data))

    def end(self, *, wait: bool) -> None:
        self._loop.run_until_complete(self._end())


TRANSPORTS = ("socket", "bio", "loop")


def connect(
    kind: str, sock: socket.socket, context: Any, *, nonblocking: bool, **arguments: Any
) -> Transport:
    """A transport of one of the three kinds."""
    if kind == "socket":
        return Blocking(sock, context, nonblocking=nonblocking, **arguments)
    return (Buffers if kind == "bio" else Loop)(sock, context, **arguments)
