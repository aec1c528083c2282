"""What watches the sockets of a uvloop: one epoll instance of ours, which the loop watches.

For each socket that a program has it watch, libuv makes an object and three to six system calls, and it takes
the socket off after an error, whatever is left to read. Here a socket costs an entry and one system call each
way. The loop finds our instance readable as long as any socket in it is ready, and calls `Poller` for all.
"""

from __future__ import annotations

import contextlib
import functools
import select
import selectors
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, TypeAlias

_READ, _WRITE = 0x1, 0x4
"""EPOLLIN and EPOLLOUT. Whatever else epoll tells is for both directions, as with asyncio's selectors."""
_AT_ONCE = 256
"""Sockets that one call serves; the loop calls again for more."""

_Watch: TypeAlias = tuple[Callable[..., Any], Callable[[], object]]
"""`run` of the context, and what it runs."""


class _Selector:
    """The same calls as of `select.epoll`, where there is none."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.fileno = self._selector.fileno
        self.unregister = self._selector.unregister
        self.close = self._selector.close

    def register(self, fd: int, events: int) -> None:
        self._selector.register(fd, _translated(events, _READ, _WRITE))

    def modify(self, fd: int, events: int) -> None:
        self._selector.modify(fd, _translated(events, _READ, _WRITE))

    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]:
        read, write = selectors.EVENT_READ, selectors.EVENT_WRITE
        ready = self._selector.select(timeout)
        return [
            (key.fd, _READ * bool(events & read) | _WRITE * bool(events & write)) for key, events in ready
        ]


def _translated(events: int, read: int, write: int) -> int:
    return selectors.EVENT_READ * bool(events & read) | selectors.EVENT_WRITE * bool(events & write)


class Poller:
    """The sockets that one loop watches, each by its number and at most once in each direction."""

    __slots__ = ("_epoll", "_loop", "_readers", "_writers")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._epoll: Any = select.epoll() if hasattr(select, "epoll") else _Selector()
        self._readers: dict[int, _Watch] = {}
        self._writers: dict[int, _Watch] = {}
        loop.add_reader(self._epoll.fileno(), self._serve)

    def close(self) -> None:
        """The loop is closed."""
        self._readers.clear()
        self._writers.clear()
        self._epoll.close()

    def add_reader(self, fd: int, callback: Any, args: tuple[Any, ...], context: Context | None) -> None:
        """Calls `callback` for as long as there is something to read, an error included."""
        self._add(self._readers, self._writers, fd, _READ, callback, args, context)

    def add_writer(self, fd: int, callback: Any, args: tuple[Any, ...], context: Context | None) -> None:
        """Calls `callback` for as long as something can be written, an error included."""
        self._add(self._writers, self._readers, fd, _WRITE, callback, args, context)

    def _add(
        self,
        which: dict[int, _Watch],
        other: dict[int, _Watch],
        fd: int,
        events: int,
        callback: Any,
        args: tuple[Any, ...],
        context: Context | None,
    ) -> None:
        watch = (
            (copy_context() if context is None else context).run,
            functools.partial(callback, *args) if args else callback,
        )
        if fd in which:
            which[fd] = watch
            return
        if fd in other:
            self._epoll.modify(fd, _READ | _WRITE)
        else:
            self._epoll.register(fd, events)
        which[fd] = watch

    def remove_reader(self, fd: int) -> bool:
        """Undoes `add_reader`; whether there was one."""
        return self._remove(self._readers, self._writers, fd, _WRITE)

    def remove_writer(self, fd: int) -> bool:
        """Undoes `add_writer`; whether there was one."""
        return self._remove(self._writers, self._readers, fd, _READ)

    def _remove(self, which: dict[int, _Watch], other: dict[int, _Watch], fd: int, events: int) -> bool:
        if which.pop(fd, None) is None:
            return False
        # A number that its owner has closed is no longer there.
        with contextlib.suppress(OSError, KeyError):
            if fd in other:
                self._epoll.modify(fd, events)
            else:
                self._epoll.unregister(fd)
        return True

    def _serve(self) -> None:
        for fd, events in self._epoll.poll(0, _AT_ONCE):
            # A callback before may have removed what was ready, or put another socket in its place, which has
            # nothing to read then.
            if events & ~_WRITE and (watch := self._readers.get(fd)) is not None:
                self._call(watch)
            if events & ~_READ and (watch := self._writers.get(fd)) is not None:
                self._call(watch)

    def _call(self, watch: _Watch) -> None:
        run, callback = watch
        try:
            run(callback)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {"message": f"Exception in callback {callback!r}", "exception": error}
            )
