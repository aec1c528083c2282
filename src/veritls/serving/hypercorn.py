"""hypercorn: its configuration with a context of veritls, and the client of each connection in the scope.

    veritls.aio.run(veritls.serving.hypercorn.serve(app, Config(make_context, bind=["0.0.0.0:8443"])))

hypercorn speaks plain HTTP where its certificate options are unset, and cannot be given a context by them.
`Config` needs none of them, and never listens in plain on `bind`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import hypercorn.asyncio
import hypercorn.config

from veritls._context.context import SSLContext
from veritls.aio.loop import EventLoop
from veritls.serving.making import server_context
from veritls.serving.transport import CurrentPeer

__all__ = ["Config", "serve"]


class Config(hypercorn.config.Config):
    """hypercorn's, with what makes the context of its server.

    `make_context`: takes nothing and returns a server's `SSLContext`; called once in each process, before it
    listens. `settings`: hypercorn's own, by name. Those of its certificates are not used; `insecure_bind` is
    plain HTTP, for whoever sets it. Raises AttributeError for a setting that hypercorn does not have.
    """

    def __init__(self, make_context: Callable[[], ssl.SSLContext] | None = None, **settings: Any) -> None:
        self._make_context = make_context
        for name, value in settings.items():
            if not hasattr(hypercorn.config.Config, name):
                raise AttributeError(f"hypercorn has no setting {name!r}")
            setattr(self, name, value)

    @property
    def ssl_enabled(self) -> bool:
        """Always True."""
        return True

    def create_ssl_context(self) -> SSLContext:
        """What `make_context` returns. Raises what it raises, ValueError where there is none, TypeError where
        it returns anything but a context of veritls, ssl.SSLError where that is none of a server."""
        if self._make_context is None:
            raise ValueError("Config needs make_context, which returns the context of the server")
        return server_context(self._make_context())


def _is_ours(loop: asyncio.AbstractEventLoop) -> bool:
    if isinstance(loop, EventLoop):
        return True
    try:
        from veritls.aio.uv import UvloopEventLoop
    except ImportError:
        return False
    return isinstance(loop, UvloopEventLoop)


async def serve(app: Any, config: Config, **options: Any) -> None:
    """Serves an ASGI application until it is told to end, as `hypercorn.asyncio.serve`, with `options` as
    there.

    Raises RuntimeError on another loop than those of `veritls.aio`, where no peer would reach a scope;
    TypeError where `config` is not a `Config` of this module.
    """
    if not isinstance(config, Config):
        raise TypeError(f"config must be a veritls.serving.hypercorn.Config, not {type(config).__name__}")
    if not _is_ours(asyncio.get_running_loop()):
        raise RuntimeError("serve() needs a loop of veritls.aio: begin with veritls.aio.run()")
    await hypercorn.asyncio.serve(CurrentPeer(app), config, mode="asgi", **options)
