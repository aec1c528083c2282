"""How a context's settings change: the base of the parts of SSLContext."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from veritls import _engine
from veritls._context.peer import PeerPolicy
from veritls._context.protocol import ProtocolSettings
from veritls._context.settings import Settings


class Face:
    """What shows one immutable Settings value and swaps it. It has no other state, and no lock."""

    _cell: _engine.Cell[Settings]

    @property
    def _settings(self) -> Settings:
        return self._cell.get()

    def _change(self, change: Callable[[Settings], Settings]) -> Settings:
        """Puts what `change` makes of the value in its place; returns the value that was replaced.

        Where another thread changed it meanwhile, `change` is asked again, with that thread's value. What it
        raises leaves everything as it was.
        """
        while True:
            before = self._cell.get()
            if self._cell.replace(before, change(before)):
                return before

    def _change_protocol(self, change: Callable[[ProtocolSettings], ProtocolSettings]) -> None:
        self._change(lambda settings: replace(settings, protocol=change(settings.protocol)))

    def _change_peer(self, change: Callable[[PeerPolicy], PeerPolicy]) -> None:
        self._change(lambda settings: replace(settings, peer=change(settings.peer)))
