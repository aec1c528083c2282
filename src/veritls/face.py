"""How a context's settings change: the base of the parts of SSLContext."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace

from veritls.parameters import ProtocolSettings
from veritls.settings import Settings
from veritls.verification import PeerPolicy

_swap = threading.RLock()
"""Held for one comparison and one store, and by no code of anybody else's."""


def _after_fork_in_child() -> None:
    """Another thread may have held it, and is not here."""
    global _swap
    _swap = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Face:
    """What shows one immutable Settings value and swaps it. It has no other state."""

    _settings: Settings

    def _change(self, change: Callable[[Settings], Settings]) -> Settings:
        """Puts what `change` makes of the value in its place; returns the value that was replaced.

        Where another thread changed it meanwhile, `change` is asked again, with that thread's value. What it
        raises leaves everything as it was.
        """
        while True:
            before = self._settings
            after = change(before)
            with _swap:
                if self._settings is before:
                    self._settings = after
                    return before

    def _change_protocol(self, change: Callable[[ProtocolSettings], ProtocolSettings]) -> None:
        self._change(lambda settings: replace(settings, protocol=change(settings.protocol)))

    def _change_peer(self, change: Callable[[PeerPolicy], PeerPolicy]) -> None:
        self._change(lambda settings: replace(settings, peer=change(settings.peer)))
