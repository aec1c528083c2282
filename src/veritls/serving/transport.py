"""The client of the connection in whose task an application runs, on the loops of `veritls.aio`.

A server that is built on streams makes one task for each connection, in `connection_made`, and from it all
others; the context variable that the transport sets there reaches them. It would reach those of a server
that a request starts, too. So the scope has to be of TLS, and of the two addresses of that transport: they
can only take a peer away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritls.aio.connection import served
from veritls.serving.peer import Facts, facts_of, with_facts


def _ends(address: Any) -> tuple[str, Any] | None:
    return (str(address[0]), address[1]) if isinstance(address, tuple | list) and len(address) >= 2 else None


def _is_of(scope: Mapping[str, Any], transport: Any) -> bool:
    client, server = _ends(scope.get("client")), _ends(scope.get("server"))
    sock = transport.get_extra_info("socket")
    if scope.get("scheme") not in ("https", "wss") or sock is None:
        return False
    if client is None:  # a Unix socket has no addresses
        return not isinstance(transport.get_extra_info("peername"), tuple)
    return client == _ends(transport.get_extra_info("peername")) and (
        server == _ends(transport.get_extra_info("sockname"))
    )


def current_facts(scope: Mapping[str, Any]) -> Facts | None:
    """What the connection of `scope` says of itself; None where there is none on a loop of ours."""
    reference = served.get()
    transport = reference() if reference is not None else None
    if transport is None or not _is_of(scope, transport):
        return None
    return facts_of(transport.get_extra_info("ssl_object"))


class CurrentPeer:
    """The application with the peer of its connection in its scopes."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = with_facts(scope, current_facts(scope))
        await self._app(scope, receive, send)
