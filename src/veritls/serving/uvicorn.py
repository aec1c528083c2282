"""uvicorn: its protocols, which put the client of their connection into the scope.

    uvicorn.run("app:app", port=8443, **veritls.serving.uvicorn.options(make_context))

`make_context` takes nothing and returns a server's `SSLContext`. On the command line, `--http` takes
``veritls.serving.uvicorn:AutoHTTPProtocol``, or one of the others here.

**How.** A protocol of uvicorn learns its transport in `connection_made`, and calls its `app` for each
request. From `connection_made` on, that is the application with the peer of this very transport. The
protocols of WebSockets are given the same transport when a connection is upgraded, and are subclassed alike,
whichever `ws=` names. A connection that is not TLS of veritls is closed unanswered.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from veritls.serving.making import server_context
from veritls.serving.peer import Facts, facts_of, with_facts

if TYPE_CHECKING:
    from asyncio import Protocol

    AutoHTTPProtocol: type[Protocol]
    H11Protocol: type[Protocol]
    HttpToolsProtocol: type[Protocol]
    ZttpProtocol: type[Protocol]
    AutoZttpProtocol: type[Protocol]

__all__ = [
    "ContextFactory",
    "options",
]

logger = logging.getLogger("veritls.serving")

_CLASSES = {
    "AutoHTTPProtocol": "uvicorn.protocols.http.auto",
    "H11Protocol": "uvicorn.protocols.http.h11_impl",
    "HttpToolsProtocol": "uvicorn.protocols.http.httptools_impl",
    "ZttpProtocol": "uvicorn.protocols.http.zttp_impl",
    "AutoZttpProtocol": "uvicorn.protocols.http.auto_zttp_impl",
}
"""Our class -> the module of uvicorn's, which has the same name."""

HTTP = {
    "auto": "AutoHTTPProtocol",
    "h11": "H11Protocol",
    "httptools": "HttpToolsProtocol",
    "zttp": "ZttpProtocol",
    "http2": "AutoZttpProtocol",
}


class _Served:
    """The application, as the requests of one connection reach it."""

    def __init__(self, app: Any, facts: Facts | None) -> None:
        self._app = app
        self._facts = facts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(with_facts(scope, self._facts), receive, send)


def _refuse(transport: Any) -> None:
    logger.error(
        "closed a connection unanswered: it is not TLS of veritls, for which this protocol was chosen"
    )
    transport.abort()


def with_peer(protocol: type[Any]) -> type[Any]:
    """A subclass of a protocol of uvicorn, of HTTP or of WebSockets, that puts the peer into its scopes."""
    hashed: Any = protocol  # mypy takes a class for what has no hash
    return _with_peer(hashed)


@cache
def _with_peer(protocol: Any) -> type[Any]:
    class WithPeer(protocol):  # type: ignore[misc]
        app: Any

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            upgraded = getattr(self, "ws_protocol_class", None)
            if upgraded is not None:
                self.ws_protocol_class = with_peer(upgraded)

        def connection_made(self, transport: Any) -> None:
            facts = facts_of(transport.get_extra_info("ssl_object"))
            super().connection_made(transport)
            self.app = _Served(self.app, facts)
            if facts is None:
                _refuse(transport)

    WithPeer.__name__ = WithPeer.__qualname__ = protocol.__name__
    return WithPeer


def _by_alpn(protocol: type[Any]) -> type[Any]:
    """uvicorn's protocol that is another by ALPN, with ours for each."""

    class WithPeer(protocol):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            from uvicorn.protocols.http.zttp_h2_impl import ZttpH2Protocol
            from uvicorn.protocols.http.zttp_impl import ZttpProtocol

            connection = transport.get_extra_info("ssl_object")
            if facts_of(connection) is None:
                self.transport = transport  # closed by connection_lost
                _refuse(transport)
                return
            chosen = ZttpH2Protocol if connection.selected_alpn_protocol() == "h2" else ZttpProtocol
            made = with_peer(chosen)(
                config=self.config, server_state=self.server_state, app_state=self.app_state, _loop=self.loop
            )
            transport.set_protocol(made)
            made.connection_made(transport)

    WithPeer.__name__ = WithPeer.__qualname__ = protocol.__name__
    return WithPeer


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    protocol = getattr(import_module(_CLASSES[name]), name)
    made = _by_alpn(protocol) if name == "AutoZttpProtocol" else with_peer(protocol)
    globals()[name] = made
    return made


class ContextFactory:
    """For `ssl_context_factory`: calls `make_context`, in each process that serves."""

    def __init__(self, make_context: Callable[[], ssl.SSLContext]) -> None:
        self._make_context = make_context

    def __call__(self, config: Any, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        context = server_context(self._make_context())
        protocol = getattr(config, "http_protocol_class", None)  # older versions choose it afterwards
        offered = getattr(protocol, "alpn_protocols", None)
        if offered:
            context.set_alpn_protocols(offered)
        return context


def options(
    make_context: Callable[[], ssl.SSLContext], http: str = "auto", loop: str = "veritls.aio:EventLoop"
) -> dict[str, Any]:
    """What to give to `uvicorn.run` or `uvicorn.Config`, besides what else one gives.

    `make_context`: makes the server's context; called once in each process, before it listens. With `workers`
    or `reload` it must be a function that can be imported. `http`: "auto" (the default), "h11", "httptools",
    "zttp", or "http2", which is zttp with HTTP/2 where ALPN selects it. `loop`: the event loop, as
    ``module:class``; on any loop but those of `veritls.aio` the TLS is driven by asyncio's own layer.

    Raises ValueError for another `http`.
    """
    if http not in HTTP:
        raise ValueError(f"http must be one of {', '.join(HTTP)}, not {http!r}")
    return {
        "ssl_context_factory": ContextFactory(make_context),
        "http": f"veritls.serving.uvicorn:{HTTP[http]}",
        "loop": loop,
    }
