"""The ways to speak TLS on an event loop: which loop, and what does the TLS on it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.contestants import LeftOut, SslLike
from bench.recipe import Recipe

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@dataclass(frozen=True)
class LoopContestant:
    """`tls`: the module whose contexts the loop is handed, or None for plain TCP."""

    name: str
    new_loop: NewLoop
    tls: SslLike | None

    def context(self, recipe: Recipe, *, server: bool) -> Any:
        if self.tls is None:
            return None
        return self.tls.server_context(recipe) if server else self.tls.client_context(recipe)

    def run(self, main: Any) -> Any:
        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            return runner.run(main)


def _attribute(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as why:
        raise LeftOut(f"{module}.{name} is not there ({why})") from why


def _selector() -> NewLoop:
    return asyncio.SelectorEventLoop


def _uvloop() -> NewLoop:
    return _attribute("uvloop", "new_event_loop")  # type: ignore[no-any-return]


def _aiofastnet(base: Callable[[], NewLoop]) -> Callable[[], NewLoop]:
    return lambda: _attribute("aiofastnet", "loop_factory")(base())


# The place that says which loops of ours there are.
def _ours() -> NewLoop:
    return _attribute("veritls.aio", "EventLoop")  # type: ignore[no-any-return]


def _ours_on_uvloop() -> NewLoop:
    return _attribute("veritls.aio", "UvloopEventLoop")  # type: ignore[no-any-return]


_WAYS: dict[str, tuple[Callable[[], NewLoop], str | None]] = {
    "ssl, asyncio": (_selector, "ssl"),
    "veritls.aio.EventLoop": (_ours, "veritls"),
    "veritls, asyncio": (_selector, "veritls"),
    "rtls, asyncio": (_selector, "rtls"),
    "utls, asyncio": (_selector, "utls"),
    "ssl, aiofastnet on asyncio": (_aiofastnet(_selector), "ssl"),
    "TCP, asyncio": (_selector, None),
    "ssl, uvloop": (_uvloop, "ssl"),
    "veritls.aio.UvloopEventLoop": (_ours_on_uvloop, "veritls"),
    "veritls, uvloop": (_uvloop, "veritls"),
    "ssl, aiofastnet on uvloop": (_aiofastnet(_uvloop), "ssl"),
    "TCP, uvloop": (_uvloop, None),
}


def _make(name: str) -> LoopContestant:
    loop, module = _WAYS[name]
    return LoopContestant(name, loop(), SslLike(module) if module else None)


LOOPS: dict[str, Callable[[], LoopContestant]] = {name: functools.partial(_make, name) for name in _WAYS}
"""Every contestant on an event loop, by its name."""


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=1024)


@contextlib.asynccontextmanager
async def serving(context: Any, factory: Callable[[], asyncio.BaseProtocol], sock: socket.socket) -> Any:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, sock=sock, ssl=context)
    try:
        yield server
    finally:
        server.close()
