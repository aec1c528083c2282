"""The stream on which a SPIFFE Workload API sends X.509-SVIDs: one gRPC call, which stays open.

A thread of its own reads the stream and keeps the newest message; whoever waits for one waits for at most as
long as it says. Nothing of gRPC is imported before a process opens its first stream, and a stream belongs to
the process that opened it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from typing import Any

from veritls._report.rendering import plain

MAX_MESSAGE = 4 << 20
"""Bytes of one message; gRPC refuses longer ones. It is gRPC's usual limit, and that of SPIRE's agent."""

METHOD = "/SpiffeWorkloadAPI/FetchX509SVID"

HEADER = (("workload.spiffe.io", "true"),)
"""SPIFFE Workload Endpoint, section 3: a Workload API refuses calls without it."""

FORKS = "GRPC_ENABLE_FORK_SUPPORT"

_OPTIONS = (
    # A new channel is a new connection: otherwise gRPC shares them, and waits after a failure as it likes.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
)

_STEP = 0.2
"""Seconds: a threading.Event cannot wake who waits for something else, so `stop` is looked at this often."""


_started_in: int | None = None
"""The process that used gRPC first: this one, or one that it was forked from."""
_ready_in: int | None = None
"""The process in which gRPC is ready: in a forked one it is not, until its own handlers have run."""
_LONGEST_FORK = 10.0
"""Seconds."""


def grpc_module() -> Any:
    """gRPC, imported so that a process forked from this one can use it, too.

    Its fork support is asked for in the environment when it is imported. Without that, a child that uses gRPC
    after its parent did is killed by a segmentation fault.
    """
    if "grpc" not in sys.modules and FORKS not in os.environ:
        os.environ[FORKS] = "1"
        try:
            import grpc
        finally:
            del os.environ[FORKS]
    import grpc

    return grpc


def settle() -> Any:
    """gRPC, when it can be used in this process.

    After a fork its own handlers close what was inherited, and whatever else a thread has made that a handler
    before them started; so this waits for them. Raises RuntimeError where gRPC would end the process.
    """
    grpc = grpc_module()
    if _started_in is None or _started_in == os.getpid():
        return grpc
    from grpc._cython import cygrpc

    if not getattr(cygrpc, "_GRPC_ENABLE_FORK_SUPPORT", False):
        raise RuntimeError(
            "gRPC was imported without its fork support and used before this process was forked: "
            f"set {FORKS}=1 before the program starts, or follow the source after the fork only"
        )
    until = time.monotonic() + _LONGEST_FORK
    while _ready_in != os.getpid():
        if time.monotonic() > until:
            raise RuntimeError(
                "this process was forked without Python's knowledge: gRPC cannot be used in it"
            )
        time.sleep(0.005)
    return grpc


_guard = threading.RLock()
"""Held by what makes or ends a stream, and during a fork."""
_streams: weakref.WeakSet[Stream] = weakref.WeakSet()
_held: list[Any] = []


def _before_fork() -> None:
    """Waits until no thread holds a lock that gRPC's handler in the child would wait for, for ever."""
    _guard.acquire()
    for stream in list(_streams):
        condition = getattr(getattr(stream._call, "_state", None), "condition", None)
        if condition is not None:
            condition.acquire()
            _held.append(condition)


def _after_fork() -> None:
    while _held:
        _held.pop().release()
    _guard.release()


def _ready() -> None:
    global _ready_in
    _ready_in = os.getpid()


def _started() -> None:
    """The first channel has been made: gRPC has its handlers, and ours run after them."""
    global _started_in
    if _started_in is None:
        _started_in = os.getpid()
        os.register_at_fork(after_in_child=_ready)


class Stream:
    """One FetchX509SVID call on a connection of its own to the socket `path`.

    `number`: how many messages have come. `newest`: the last one, as it came. `ended`: why there will be no
    others, once there are none. `opened`: when it was, by `time.monotonic`. `process`: whose it is.
    """

    def __init__(self, path: str, name: str) -> None:
        grpc = settle()
        self.process = os.getpid()
        self.opened = time.monotonic()
        self.number = 0
        self.newest = b""
        self.ended: Exception | None = None
        self._name = name
        self._changed = threading.Condition()
        if _started_in is None:
            # Before gRPC registers its own: so `_before_fork` is called after gRPC's threads have paused.
            os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
        with _guard:
            self._channel = grpc.insecure_channel(target(path), options=_OPTIONS)
            _started()
            self._call = self._channel.unary_stream(METHOD)(b"", metadata=HEADER)
            _streams.add(self)
        threading.Thread(target=self._read, name="veritls-spiffe", daemon=True).start()

    def _read(self) -> None:
        import grpc

        try:
            for message in self._call:
                with self._changed:
                    self.newest = message
                    self.number += 1
                    self._changed.notify_all()
            why: Exception = ConnectionError(f"{self._name} ended its stream")
        except grpc.RpcError as error:
            why = _as_exception(self._name, error.code().name, error.details() or "")
        except Exception as error:  # what waits for the stream is told, whatever it is
            why = ConnectionError(f"{self._name}: {plain(repr(error))}")
        with self._changed:
            self.ended = why
            self._changed.notify_all()

    def wait(self, known: int, timeout: float, stop: threading.Event | None = None) -> None:
        """Returns when there is a message beyond the first `known`, when the stream has ended, when `stop` is
        set, or after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while self.number <= known and self.ended is None and not (stop and stop.is_set()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left if stop is None else min(left, _STEP))

    def latest(self) -> tuple[int, bytes]:
        """How many messages have come, and the newest."""
        with self._changed:
            return self.number, self.newest

    def close(self) -> None:
        """Ends the call and its connection. In a process forked from its own it leaves both alone."""
        if self.process == os.getpid():
            with _guard:
                _streams.discard(self)
                self._call.cancel()
                self._channel.close()


def target(path: str) -> str:
    """The socket's name for gRPC, a URI whose escapes it undoes."""
    from urllib.parse import quote

    return f"unix:{quote(path)}"


def _as_exception(name: str, code: str, details: str) -> Exception:
    """What gRPC says of a call's end. `details` is the Workload API's text."""
    said = f" ({code}: {plain(details, 200)})" if details else f" ({code})"
    if code == "PERMISSION_DENIED":
        return PermissionError(f"{name} has no identity for this process{said}")
    if code == "UNAVAILABLE":
        return ConnectionError(f"{name} cannot be reached, or broke the connection off{said}")
    if code == "RESOURCE_EXHAUSTED":
        return ValueError(f"{name} sent a message of more than {MAX_MESSAGE:,} bytes, or is exhausted{said}")
    return ConnectionError(f"{name} refused the call{said}")
