"""asyncio's own selector loop, with our transport wherever a veritls context is given."""

from __future__ import annotations

import asyncio
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from veritls._compat.functions import create_default_context
from veritls._connection.sslobject import SSLObject
from veritls._context.context import SSLContext
from veritls.aio.handover import refuse_unread, take_over
from veritls.aio.transport import SSLTransport

_T = TypeVar("_T")


def drives(context: object) -> bool:
    """Whether connections with this context get our transport.

    Not where somebody has a class of his own for them, or wraps them in his own way: what he expects to
    happen there happens in asyncio's.
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
    """A standard selector event loop; a veritls context, or ``ssl=True``, gets an `SSLTransport`."""

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
        """What asyncio calls for every TLS connection but those of `start_tls`."""
        if sslcontext is None and not server_side:
            sslcontext = default_context(server_hostname)
        sides: dict[str, Any] = {"server_side": server_side, "server_hostname": server_hostname}
        if not drives(sslcontext):
            make = super()._make_ssl_transport  # type: ignore[misc]
            return make(rawsock, protocol, sslcontext, waiter, **sides, **options)
        transport = SSLTransport(self, rawsock, protocol, sslcontext, waiter, **sides, **options)
        self._transports[rawsock.fileno()] = transport  # type: ignore[attr-defined]
        return transport

    async def start_tls(
        self, transport: Any, protocol: Any, sslcontext: Any, *, server_side: bool = False, **options: Any
    ) -> Any:
        """TLS on an open connection, as asyncio documents it. TLS within TLS is asyncio's own, over ours.

        Bytes that came before the handshake are not handed out after it: a server takes what its StreamReader
        holds for the client's hello, a client refuses. Raises ssl.SSLError, and closes the connection, where
        they are not TLS. The buffer of any other protocol is not seen: let it be empty before this is called.
        """
        plain = isinstance(transport, _SelectorSocketTransport)
        if plain and drives(sslcontext):
            return await take_over(
                self, transport, protocol, sslcontext, server_side=server_side, duplicate=False, **options
            )
        refuse_unread(transport, protocol, sslcontext)
        return await super().start_tls(transport, protocol, sslcontext, server_side=server_side, **options)

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> int:
        if isinstance(transp, SSLTransport):
            return await transp._send_file(file, offset, count)
        sent: int = await super()._sendfile_native(transp, file, offset, count)  # type: ignore[misc]
        return sent


def run(
    main: Coroutine[Any, Any, _T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = EventLoop,
) -> _T:
    """`asyncio.run`, on an `EventLoop` or another loop of this package."""
    with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)
