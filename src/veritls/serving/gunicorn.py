"""gunicorn: workers whose context is made once, after the fork, and that never serve without TLS.

In gunicorn.conf.py:

    from veritls.serving import gunicorn as tls

    worker_class = "veritls.serving.gunicorn.SyncWorker"  # or ThreadWorker, ASGIWorker
    certfile = tls.CERTFILE
    ssl_context = tls.ContextHook(make_context)

`SyncWorker` and `ThreadWorker` give WSGI applications the variables of `veritls.serving.wsgi`. `ASGIWorker`
runs on a loop of `veritls.aio` and gives ASGI applications the TLS extension.

**Why workers.** gunicorn's own call the hook for each connection, answer in plain where it raises (sync,
gthread) or go on without TLS (asgi), and never call it where `certfile` is unset. Those here make the context
before they accept, and a worker that cannot ends gunicorn.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any

from gunicorn.workers.gasgi import ASGIWorker as GunicornASGIWorker
from gunicorn.workers.gthread import ThreadWorker as GunicornThreadWorker
from gunicorn.workers.sync import SyncWorker as GunicornSyncWorker

from veritls._connection.state import ConnectionState
from veritls._context.context import SSLContext
from veritls.aio.loop import EventLoop
from veritls.serving.making import server_context
from veritls.serving.transport import CurrentPeer
from veritls.serving.wsgi import SSLEnviron

__all__ = [
    "CERTFILE",
    "ASGIWorker",
    "ContextHook",
    "SyncWorker",
    "ThreadWorker",
]

CERTFILE = os.devnull
"""For `certfile`: gunicorn speaks TLS only where that is set. Nothing reads it."""


class ContextHook:
    """For gunicorn's `ssl_context`: what `make_context` returns, made once in each process.

    `make_context`: takes nothing and returns a server's `SSLContext`.
    """

    def __init__(self, make_context: Callable[[], ssl.SSLContext]) -> None:
        if not callable(make_context):
            raise TypeError(f"make_context must be callable, not {type(make_context).__name__}")
        self._make_context = make_context
        self._made: tuple[int, SSLContext] | None = None

    def __call__(self, config: Any, default: Callable[[], ssl.SSLContext]) -> SSLContext:
        """The context of this process. Raises what `make_context` raises, TypeError where it returns anything
        but a context of veritls, ssl.SSLError where that is none of a server."""
        made = self._made
        if made is None or made[0] != os.getpid():
            made = self._made = os.getpid(), server_context(self._make_context())
        return made[1]


def _hook_of(config: Any) -> ContextHook:
    """Raises ValueError where gunicorn would speak plain HTTP, or make a context for each connection."""
    if not config.is_ssl:
        raise ValueError("certfile is not set, so that gunicorn would serve without TLS: set it to CERTFILE")
    hook = config.ssl_context
    if not isinstance(hook, ContextHook):
        raise ValueError("ssl_context must be a veritls.serving.gunicorn.ContextHook")
    return hook


class _Worker:
    """Mixed into each worker of gunicorn."""

    cfg: Any
    log: Any
    wsgi: Any
    asgi: Any

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Called by gunicorn before there are workers. Raises ValueError where it would serve without TLS."""
        _hook_of(cfg)
        check: Any = getattr(super(), "check_config", None)
        if check is not None:
            check(cfg, log)

    def init_process(self) -> None:
        """Called by gunicorn after the fork. What is raised here ends gunicorn: no worker accepts."""
        _hook_of(self.cfg)(self.cfg, _no_default)
        begin: Any = super()
        begin.init_process()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Called by gunicorn, which answers with an error: not where there is no TLS to answer in."""
        if isinstance(client, ConnectionState):
            answer: Any = super()
            answer.handle_error(req, client, addr, exc)
        else:
            self.log.warning("Closed a connection unanswered, which did not become TLS: %s", exc)


def _no_default() -> ssl.SSLContext:
    raise RuntimeError("there is no default context")


class SyncWorker(_Worker, GunicornSyncWorker):  # type: ignore[misc]
    """gunicorn's sync worker."""

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = SSLEnviron(self.wsgi)


class ThreadWorker(_Worker, GunicornThreadWorker):  # type: ignore[misc]
    """gunicorn's gthread worker."""

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = SSLEnviron(self.wsgi)


class ASGIWorker(_Worker, GunicornASGIWorker):  # type: ignore[misc]
    """gunicorn's asgi worker, on `veritls.aio.EventLoop`."""

    def _setup_event_loop(self) -> None:
        import asyncio

        self.loop = EventLoop()
        asyncio.set_event_loop(self.loop)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.asgi = CurrentPeer(self.asgi)
