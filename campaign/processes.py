"""A fresh Python process that runs one function, with a pipe to it; and what a process says of itself."""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Self

_SECONDS = 120.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Silent(Exception):
    """The process said nothing in time, or it ended."""


class Child:
    """`work(pipe, *args)` in a new process, under `with`; what it raises is raised by `hear`."""

    def __init__(self, work: Callable[..., None], *args: Any) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_run, args=(work, theirs, args), daemon=True)
        self._process.start()
        theirs.close()

    def tell(self, words: Any) -> None:
        self._pipe.send(words)

    def hear(self, seconds: float = _SECONDS) -> Any:
        """The next thing that it says."""
        if not self._pipe.poll(seconds):
            raise Silent(f"nothing was heard for {seconds:.0f} seconds")
        try:
            heard = self._pipe.recv()
        except EOFError:
            raise Silent(f"the process ended: {self._process.exitcode}") from None
        if isinstance(heard, BaseException):
            raise heard
        return heard

    def ask(self, words: Any, seconds: float = _SECONDS) -> Any:
        self.tell(words)
        return self.hear(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()
        self._process.close()


def _run(work: Callable[..., None], pipe: Connection, args: tuple[Any, ...]) -> None:
    raise_the_limit()
    try:
        work(pipe, *args)
    except EOFError:
        pass  # the parent has no more to say
    except Exception as error:
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def raise_the_limit() -> int:
    """As many descriptors as this process may have; how many that is."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class Sample(NamedTuple):
    """What a process holds. `memory`: bytes that are resident."""

    memory: int
    descriptors: int
    blocks: int
    threads: int


def sample() -> Sample:
    """Of this process, after a collection of garbage."""
    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    descriptors = len(os.listdir("/proc/self/fd")) - 1
    return Sample(pages * _PAGE, descriptors, sys.getallocatedblocks(), threading.active_count())
