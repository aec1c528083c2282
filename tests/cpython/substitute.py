"""Puts veritls in place of `ssl` for everything that is imported afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import veritls


def substitute(*, aio: bool = False) -> None:
    """Does it as `python -m veritls run` does; with `aio` the selector loop is veritls's too."""
    veritls.inject()
    if aio:
        _substitute_loop()


def _substitute_loop() -> None:
    from asyncio import unix_events

    from veritls.aio import EventLoop

    modules: list[Any] = [asyncio, unix_events]
    for module in modules:
        module.SelectorEventLoop = EventLoop
    policy: Any = (
        getattr(unix_events, "_UnixDefaultEventLoopPolicy", None) or unix_events.DefaultEventLoopPolicy
    )
    policy._loop_factory = EventLoop
