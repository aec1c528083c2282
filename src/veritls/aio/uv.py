"""The same `SSLTransport` on uvloop, where that is installed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from asyncio import base_events, selector_events
from contextvars import Context
from typing import TYPE_CHECKING, Any

from veritls.aio.accepting import Acceptor
from veritls.aio.handover import refuse_unread, take_over
from veritls.aio.loop import default_context, drives
from veritls.aio.poller import Poller
from veritls.aio.transport import SSLTransport

if TYPE_CHECKING:
    from asyncio.base_events import BaseEventLoop as Loop

    MISSING: ImportError | None
else:
    try:
        from uvloop import Loop

        MISSING = None
    except ImportError as _error:
        Loop, MISSING = object, _error

_Unix: Any = asyncio.SelectorEventLoop
_Selector: Any = selector_events.BaseSelectorEventLoop
_Base: Any = base_events.BaseEventLoop


def _is_address(family: int, address: Any) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        socket.inet_pton(family, address[0].partition("%")[0])
    except (OSError, TypeError, AttributeError, IndexError):
        return False
    return isinstance(address[1], int)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class UvloopEventLoop(Loop):
    """A uvloop; a veritls context, or ``ssl=True``, gets an `SSLTransport`.

    TCP and Unix connections and servers of such a context are made by asyncio's own code over uvloop's
    primitives, so that their arguments, errors and `Server` are asyncio's. Everything else is uvloop's own, a
    context of the module `ssl` included. Takes no arguments. Raises ImportError where uvloop is not
    installed. Source: https://docs.python.org/3/library/asyncio-eventloop.html; docs/decisions/0015.
    """

    def __init__(self) -> None:
        if MISSING is not None:
            raise ImportError("UvloopEventLoop needs uvloop: pip install uvloop") from MISSING
        super().__init__()
        self._unix_server_sockets: dict[Any, int] = {}
        self._poller: Poller | None = None

    # The names that asyncio's own code calls on a loop.

    @property
    def _debug(self) -> bool:
        debug: bool = self.get_debug()
        return debug

    def _watching(self) -> Poller:
        if self._poller is None:
            self._poller = Poller(self)
        return self._poller

    def _add_reader(self, fd: int, callback: Any, *args: Any, context: Context | None = None) -> None:
        """As asyncio's: `callback` is called for as long as there is something to read, an error included.

        `context`: where it is called; asyncio's own code names one from Python 3.15 on.
        """
        self._watching().add_reader(fd, callback, args, context)

    def _remove_reader(self, fd: int) -> bool:
        return self._poller is not None and self._poller.remove_reader(fd)

    def _add_writer(self, fd: int, callback: Any, *args: Any, context: Context | None = None) -> None:
        self._watching().add_writer(fd, callback, args, context)

    def _remove_writer(self, fd: int) -> bool:
        return self._poller is not None and self._poller.remove_writer(fd)

    def close(self) -> None:
        """As `asyncio.loop.close`."""
        super().close()
        if self._poller is not None:
            self._poller.close()

    _ensure_resolved = _Base._ensure_resolved
    _connect_sock = _Base._connect_sock
    _create_server_getaddrinfo = _Base._create_server_getaddrinfo
    _create_connection_transport = _Base._create_connection_transport
    _accept_connection2 = _Selector._accept_connection2
    _sendfile_fallback = _Base._sendfile_fallback

    def _start_serving(
        self,
        protocol_factory: Any,
        sock: Any,
        sslcontext: Any,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        **more: Any,
    ) -> None:
        timeouts = ssl_handshake_timeout, ssl_shutdown_timeout
        otherwise = functools.partial(
            _Selector._accept_connection,
            *(self, protocol_factory, sock, sslcontext, server, backlog, *timeouts),
            **more,
        )
        self._add_reader(
            sock.fileno(),
            Acceptor(otherwise, self, protocol_factory, sock, sslcontext, server, *timeouts),
            **more,
        )

    def _stop_serving(self, sock: Any) -> None:
        self._remove_reader(sock.fileno())
        inode = self._unix_server_sockets.pop(sock, None)
        path = sock.getsockname() if inode is not None else None
        sock.close()
        if path is not None:
            # From 3.13 on a server removes its path, unless another server has taken it.
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == inode:
                    os.unlink(path)

    def _make_ssl_transport(
        self, rawsock: Any, protocol: Any, sslcontext: Any, waiter: Any = None, **options: Any
    ) -> SSLTransport:
        if sslcontext is None:
            sslcontext = default_context(options.get("server_hostname"))
        return SSLTransport(self, rawsock, protocol, sslcontext, waiter, **options)

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """As `asyncio.loop.sock_connect`. An address is not looked up."""
        if not _is_address(sock.family, address):
            await super().sock_connect(sock, address)
            return
        if self.get_debug() and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")
        try:
            sock.connect(address)
        except (BlockingIOError, InterruptedError):
            pass
        else:
            return
        # On the same machine the kernel has connected by now, and getpeername costs less than a poll.
        with contextlib.suppress(OSError):
            sock.getpeername()
            return
        connected = self.create_future()
        self._add_writer(sock.fileno(), _resolve, connected)
        try:
            await connected
        finally:
            self._remove_writer(sock.fileno())
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, f"Connect call failed {address}")

    # The methods that take a context.

    async def create_connection(
        self, protocol_factory: Any, *args: Any, ssl: Any = None, **options: Any
    ) -> Any:
        """As `asyncio.loop.create_connection`."""
        if ssl is True or drives(ssl):
            return await _Base.create_connection(self, protocol_factory, *args, ssl=ssl, **options)
        return await super().create_connection(protocol_factory, *args, ssl=ssl, **options)

    async def create_server(self, protocol_factory: Any, *args: Any, ssl: Any = None, **options: Any) -> Any:
        """As `asyncio.loop.create_server`."""
        if drives(ssl):
            return await _Base.create_server(self, protocol_factory, *args, ssl=ssl, **options)
        return await super().create_server(protocol_factory, *args, ssl=ssl, **options)

    async def create_unix_connection(
        self, protocol_factory: Any, *args: Any, ssl: Any = None, **options: Any
    ) -> Any:
        """As `asyncio.loop.create_unix_connection`."""
        if ssl is True or drives(ssl):
            return await _Unix.create_unix_connection(self, protocol_factory, *args, ssl=ssl, **options)
        return await super().create_unix_connection(protocol_factory, *args, ssl=ssl, **options)

    async def create_unix_server(
        self, protocol_factory: Any, *args: Any, ssl: Any = None, **options: Any
    ) -> Any:
        """As `asyncio.loop.create_unix_server`."""
        if drives(ssl):
            return await _Unix.create_unix_server(self, protocol_factory, *args, ssl=ssl, **options)
        return await super().create_unix_server(protocol_factory, *args, ssl=ssl, **options)

    async def connect_accepted_socket(
        self, protocol_factory: Any, sock: Any, *, ssl: Any = None, **options: Any
    ) -> Any:
        """As `asyncio.loop.connect_accepted_socket`."""
        if drives(ssl):
            return await _Base.connect_accepted_socket(self, protocol_factory, sock, ssl=ssl, **options)
        return await super().connect_accepted_socket(protocol_factory, sock, ssl=ssl, **options)

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **options: Any) -> Any:
        """As `EventLoop.start_tls`, with the same errors."""
        if isinstance(transport, SSLTransport):
            refuse_unread(transport, protocol, sslcontext)
            return await _Base.start_tls(self, transport, protocol, sslcontext, **options)
        plain = getattr(transport, "get_extra_info", None) and transport.get_extra_info("sslcontext") is None
        if plain and drives(sslcontext):
            # libuv lets only one transport watch a file descriptor.
            return await take_over(self, transport, protocol, sslcontext, duplicate=True, **options)
        refuse_unread(transport, protocol, sslcontext)
        return await super().start_tls(transport, protocol, sslcontext, **options)

    async def sendfile(
        self, transport: Any, file: Any, offset: int = 0, count: int | None = None, *, fallback: bool = True
    ) -> Any:
        """As `asyncio.loop.sendfile`, for an `SSLTransport`; uvloop has none for its own transports."""
        if isinstance(transport, SSLTransport):
            return await _Base.sendfile(self, transport, file, offset, count, fallback=fallback)
        return await super().sendfile(transport, file, offset, count, fallback=fallback)

    async def _sendfile_native(self, transp: SSLTransport, file: Any, offset: int, count: int | None) -> int:
        return await transp._send_file(file, offset, count)
