"""What watches the sockets of a uvloop: one epoll instance of ours, which the loop watches.

For each socket that a program has it watch, libuv makes an object and three to six system calls, and it takes
the socket off after an error, whatever is left to read. Here a socket costs an entry and one system call each
way. The loop finds our instance readable as long as any socket in it is ready, and calls `Poller` for all.

A socket that proves to be busy is worth those calls: libuv calls its reader without a second `epoll_wait`.
After `_PROVES_BUSY` events it goes over to a poll of libuv's own, and comes back when libuv takes it off.
"""

from __future__ import annotations

import contextlib
import functools
import select
import selectors
import weakref
from contextvars import Context, copy_context
from typing import Any, TypeAlias

_READ, _WRITE = 0x1, 0x4
"""EPOLLIN and EPOLLOUT. Whatever else epoll tells is for both directions, as with asyncio's selectors."""
_AT_ONCE = 256
"""Sockets that one call serves; the loop calls again for more."""

_PROVES_BUSY = 64
"""Events after which a reader goes over to libuv."""

_Watch: TypeAlias = list[Any]
"""`run` of the context, what it runs, and the number of events until it goes over to libuv."""


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
        # Where the events are the same, the selector's own asks nothing of the kernel.
        self._selector.unregister(fd)
        self.register(fd, events)

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

    __slots__ = ("_busy", "_epoll", "_left", "_loop", "_readers", "_writers")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._epoll: Any = select.epoll() if hasattr(select, "epoll") else _Selector()
        self._readers: dict[int, _Watch] = {}
        self._writers: dict[int, _Watch] = {}
        self._busy: dict[int, tuple[_Watch, weakref.ref[Any]]] = {}
        """The readers that libuv calls, each with what libuv holds."""
        self._left: set[int] = set()
        """The sockets that libuv took off, of which uvloop still has a poll."""
        loop.add_reader(self._epoll.fileno(), self._serve)

    def close(self) -> None:
        """The loop is closed."""
        self._readers.clear()
        self._writers.clear()
        self._busy.clear()
        self._left.clear()
        self._epoll.close()

    def add_reader(self, fd: int, callback: Any, args: tuple[Any, ...], context: Context | None) -> None:
        """Calls `callback` for as long as there is something to read, an error included."""
        if fd in self._busy:
            self._take_back(fd)
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
        run = (copy_context() if context is None else context).run
        watch = [run, functools.partial(callback, *args) if args else callback, _PROVES_BUSY]
        self._tell_kernel(fd, events if fd not in other else _READ | _WRITE, fd in which or fd in other)
        which[fd] = watch

    def _tell_kernel(self, fd: int, events: int, known: bool) -> None:
        try:
            (self._epoll.modify if known else self._epoll.register)(fd, events)
        except FileNotFoundError:
            # Its owner closed the socket that had this number, without a word.
            self._epoll.register(fd, events)

    def remove_reader(self, fd: int) -> bool:
        """Undoes `add_reader`; whether there was one."""
        if fd in self._busy:
            self._take_back(fd)
            return True
        self._clear(fd)
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
                watch[2] -= 1
                if not watch[2]:
                    self._hand_over(fd, watch)
                self._call(watch)
            if events & ~_READ and (watch := self._writers.get(fd)) is not None:
                self._call(watch)

    def _hand_over(self, fd: int, watch: _Watch) -> None:
        """Has libuv call a reader from now on. Where it cannot, the reader stays here."""
        reader = functools.partial(watch[0], watch[1])
        busy = watch, weakref.ref(reader, functools.partial(self._dropped, fd))
        try:
            # What is left there by that number: the socket was closed without a word.
            self._loop.remove_reader(fd)
            self._loop.add_reader(fd, reader)
        except (OSError, RuntimeError):
            return
        self._remove(self._readers, self._writers, fd, _WRITE)
        self._busy[fd] = busy

    def _dropped(self, fd: int, which: weakref.ref[Any]) -> None:
        """After an error uvloop calls a reader once and lets go of it, whatever is left to read."""
        known = self._busy.get(fd)
        if known is None or known[1] is not which:
            return
        watch = known[0]
        watch[2] = _PROVES_BUSY
        del self._busy[fd]
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # the socket, or the loop, is closed
            self._tell_kernel(fd, _READ | _WRITE if fd in self._writers else _READ, fd in self._writers)
            self._readers[fd] = watch
            # uvloop is amid it here, and crashes where it is asked for its poll.
            self._left.add(fd)
            self._loop.call_soon(self._clear, fd)

    def _clear(self, fd: int) -> None:
        """Has uvloop forget the poll that it let go of."""
        if fd in self._left:
            self._left.remove(fd)
            self._loop.remove_reader(fd)

    def _take_back(self, fd: int) -> None:
        del self._busy[fd]
        if not self._loop.is_closed():
            self._loop.remove_reader(fd)

    def _call(self, watch: _Watch) -> None:
        run, callback, _ = watch
        try:
            run(callback)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {"message": f"Exception in callback {callback!r}", "exception": error}
            )
