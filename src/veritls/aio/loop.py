"""asyncio's own selector loop, with an `SSLTransport` wherever a veritls context is given."""

from __future__ import annotations

import asyncio
from asyncio import selector_events
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from veritls._compat.functions import create_default_context
from veritls._connection.sslobject import SSLObject
from veritls._context.context import SSLContext
from veritls.aio.handover import refuse_unread, take_over
from veritls.aio.transport import SSLTransport

_T = TypeVar("_T")

_selector_events: Any = selector_events
"""asyncio's private names are no part of its types; docs/decisions/0015 says why some are used."""


def drives(context: object) -> bool:
    """Whether connections with this context get an `SSLTransport`.

    A context whose `sslobject_class` or `wrap_bio` the program has replaced does not: asyncio's transport
    calls both.
    """
    return (
        isinstance(context, SSLContext)
        and context.sslobject_class is SSLObject
        and type(context).wrap_bio is SSLContext.wrap_bio
    )


def default_context(server_hostname: str | None) -> SSLContext:
    """What ``ssl=True`` means; the name is not checked where `server_hostname` is empty, as with asyncio."""
    context = create_default_context()
    if not server_hostname:
        context.check_hostname = False
    return context


class EventLoop(asyncio.SelectorEventLoop):
    """A standard selector event loop; a veritls context, or ``ssl=True``, gets an `SSLTransport`.

    ``EventLoop(selector=None)``: takes the arguments of `asyncio.SelectorEventLoop`; its default selector is
    the best of the system. Its methods take the arguments and raise the errors that asyncio documents;
    ``ssl=True`` means `veritls.create_default_context()`. A context of the module `ssl` gets asyncio's own
    transport. Source: https://docs.python.org/3/library/asyncio-eventloop.html.
    """

    _transports: Any

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        **options: Any,
    ) -> Any:
        """Called by asyncio for every TLS connection but those of `start_tls`."""
        if sslcontext is None and not server_side:
            sslcontext = default_context(server_hostname)
        sides: dict[str, Any] = {"server_side": server_side, "server_hostname": server_hostname}
        if not drives(sslcontext):
            parent: Any = super()
            return parent._make_ssl_transport(rawsock, protocol, sslcontext, waiter, **sides, **options)
        transport = SSLTransport(self, rawsock, protocol, sslcontext, waiter, **sides, **options)
        self._transports[rawsock.fileno()] = transport
        return transport

    async def start_tls(
        self, transport: Any, protocol: Any, sslcontext: Any, *, server_side: bool = False, **options: Any
    ) -> Any:
        """TLS on an open connection; returns the new `SSLTransport`. TLS within TLS is asyncio's own layer.


        `options`: `server_hostname` (default None), `ssl_handshake_timeout` (seconds, default 60) and
        `ssl_shutdown_timeout` (seconds, default 30), as asyncio documents them.

        Bytes that arrive before the handshake are not delivered after it: a server takes what its
        StreamReader holds as the client's hello, a client refuses. Raises ssl.SSLError
        (DATA_BEFORE_HANDSHAKE, or what is wrong with the hello) and closes the connection then. The buffer of
        any other protocol is not seen: empty it before this is called. Raises ConnectionResetError for a
        transport that is closing, ValueError and TypeError for wrong arguments, and what the handshake
        raises: see `SSLTransport`.
        """
        plain = isinstance(transport, _selector_events._SelectorSocketTransport)
        if plain and drives(sslcontext):
            return await take_over(
                self, transport, protocol, sslcontext, server_side=server_side, duplicate=False, **options
            )
        refuse_unread(transport, protocol, sslcontext)
        return await super().start_tls(transport, protocol, sslcontext, server_side=server_side, **options)

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> int:
        if isinstance(transp, SSLTransport):
            return await transp._send_file(file, offset, count)
        parent: Any = super()
        sent: int = await parent._sendfile_native(transp, file, offset, count)
        return sent


def run(
    main: Coroutine[Any, Any, _T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = EventLoop,
) -> _T:
    """`asyncio.run`, on an `EventLoop` or another loop of this package. Returns what `main` returns.

    `debug`: asyncio's debug mode; None, the default, leaves it to PYTHONASYNCIODEBUG and ``-X dev``.
    `loop_factory`: makes the loop; default `EventLoop`. Raises RuntimeError within a running loop, ValueError
    where `main` is not a coroutine, and what `main` raises.
    Source: https://docs.python.org/3/library/asyncio-runner.html.
    """
    with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)
