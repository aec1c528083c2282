"""Files that others renew: as Kubernetes mounts secrets, as cert-manager, certbot and `mv` write them.

Theory of operation
-------------------

**A set.** `load` reads all files, and then looks whether each path still leads to what was read, unchanged;
otherwise it starts over. So what it gives was there at one moment: never a certificate from before a swap
of directories and a key from after it. Halves that are written one after the other are both unchanged for a
while: they do not fit, the context keeps what it has, and the next try is soon. `patience` is how long that
may last before anybody is told.

**Hints.** The content is what counts, and it is compared every `interval`. The states of the files (`stat`)
say earlier that it may have changed, and `watchfiles`, where it is installed, says when to look at them. It
watches directories: those of each path, of each symbolic link on the way, and the ones above. A watch on a
file's path misses that a link on the way was replaced.

**What is no file.** Nothing but a regular file is opened: a FIFO would block, and a device could do anything.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from veritls._report.rendering import plain
from veritls.events.material import Kind
from veritls.sources.source import Identity, Material

if TYPE_CHECKING:
    from veritls._loading.identities import Password
    from veritls._loading.pem import StrPath

    Paths: TypeAlias = StrPath | Iterable[StrPath]

LARGEST = 64 * 1024 * 1024
"""Bytes of one file, and of all files of one kind."""
MOST_FILES = 1000
"""Files of one folder or list."""
_TRIES = 10
_MOST_LINKS = 40
_HASHED_NAME = r"[0-9a-f]{8}\.r?\d+"
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)

_State = tuple[int, ...]


def _state(found: os.stat_result) -> _State:
    return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _state_of(path: str) -> _State | None:
    """What tells whether a path leads to the same content; None where it leads nowhere."""
    try:
        return _state(os.stat(path))
    except (OSError, ValueError):
        return None


def _read(path: str, most: int) -> tuple[bytes, _State]:
    """The bytes of a regular file. Never waits for a FIFO. Raises OSError."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    descriptor = os.open(path, _FLAGS)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        pieces, size = [], found.st_size if found.st_size > most else 0
        while size <= most:
            piece = os.read(descriptor, min(1 << 20, most + 1 - size))
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        if size > most:
            raise OSError(errno.EFBIG, f"larger than {LARGEST:,} bytes", path)
        return b"".join(pieces), _state(found)
    finally:
        os.close(descriptor)


class _Changed(Exception):
    """A file has changed while all were read."""


class _Reading:
    """One look at all files."""

    def __init__(self) -> None:
        self.states: dict[str, _State | None] = {}

    def _seen(self, path: str, state: _State) -> None:
        if self.states.setdefault(path, state) != state:
            raise _Changed

    def file(self, path: str, most: int = LARGEST) -> bytes:
        self.states.setdefault(path, _state_of(path))
        data, state = _read(path, most)
        self._seen(path, state)
        return data

    def several(self, paths: tuple[str, ...], name: str) -> bytes:
        """The PEM of all files; of a folder those in OpenSSL's hashed layout."""
        pieces, size = [], 0
        for path in paths:
            for each in self._in(path, name):
                data = self.file(each, LARGEST - size)
                size += len(data)
                pieces.append(data)
        if len(pieces) > 1 and not all(b"-----BEGIN" in piece for piece in pieces if piece.strip()):
            raise ValueError("several files must be PEM each")
        return b"\n".join(pieces)

    def _in(self, path: str, name: str) -> list[str]:
        state = _state_of(path)
        if state is None or not stat.S_ISDIR(state[2]):
            return [path]
        self._seen(path, state)
        names = sorted(each for each in os.listdir(path) if re.fullmatch(name, each))
        if not names:
            raise OSError(errno.ENOENT, "no file in OpenSSL's hashed layout (openssl rehash)", path)
        if len(names) > MOST_FILES:
            raise OSError(errno.EFBIG, f"more than {MOST_FILES:,} files", path)
        return [os.path.join(path, each) for each in names]

    def check(self) -> None:
        """Raises where a path does not lead to what was read any more."""
        for path, state in self.states.items():
            if _state_of(path) != state:
                raise _Changed


def _paths(given: Any, name: str) -> tuple[str, ...]:
    several = [given] if isinstance(given, str | bytes | os.PathLike) else given
    if isinstance(several, bytearray | memoryview | Mapping) or not isinstance(several, Iterable):
        raise TypeError(f"{name} must be a path, or several, not {type(given).__name__}")
    given = tuple(map(os.fsdecode, several))
    if not given or not all(given):
        raise ValueError(f"{name} names no file")
    found = tuple(map(os.path.abspath, given))
    if len(found) > MOST_FILES:
        raise ValueError(f"{name} names more than {MOST_FILES:,} files")
    if any("\0" in each for each in found):
        raise ValueError(f"{name}: embedded null character in path")
    return found


def _path(given: Any, name: str) -> str:
    if not isinstance(given, str | bytes | os.PathLike):
        raise TypeError(f"{name} must be a path, not {type(given).__name__}")
    return _paths(given, name)[0]


def _directories(path: str) -> Iterator[str]:
    """Those in which something may be replaced so that `path` leads elsewhere: its own and the one above, and
    those of each symbolic link on the way."""
    links, rest, at = 0, [each for each in path.split(os.sep) if each], os.sep
    if os.name == "nt":
        drive, tail = os.path.splitdrive(path)
        rest, at = [each for each in re.split(r"[\\/]", tail) if each], drive + os.sep
    while rest:
        name = rest.pop(0)
        if name == os.pardir:
            at = os.path.dirname(at)
            continue
        place = os.path.join(at, name)
        try:
            found = os.lstat(place)
        except OSError:
            break
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > _MOST_LINKS:
                break
            yield at
            target = os.readlink(place)
            if os.path.isabs(target):
                at = os.path.splitdrive(target)[0] + os.sep if os.name == "nt" else os.sep
            rest = [each for each in target.split(os.sep) if each and each != os.curdir] + rest
        elif rest or stat.S_ISDIR(found.st_mode):
            at = place
    yield at
    yield os.path.dirname(at)


class FileSource:
    """Certificates, keys, trust and CRLs in files that others renew; for `SSLContext.follow`.

    `cert` and `key`: the paths of PEM files; without `key` it is in the file of `cert`. `trust`,
    `intermediates`, `crls`: the path of a file, or several; or that of a folder in OpenSSL's hashed layout,
    of which certificates (``9d66eef0.0``) or CRLs (``9d66eef0.r0``) are read. Files may be symbolic links, at
    any place of the path, and are replaced in any way: by renaming them or a directory above, or by writing
    them in place. `password`: of an encrypted key, as in `load_cert_chain`. `interval`: seconds between two
    looks at the files.

    `name`: what it is called in logs and metrics, "files" and their folder.

    The content is compared every `interval` seconds, 10 by default and at most. With `watchfiles` (extra
    ``reload``) a change is seen in less than a second. A file that is missing, unreadable, larger than 64 MiB
    or no regular file is a failure; so is a certificate whose key does not fit. What is written in several
    steps is such a failure for a moment: it is told of when it lasts for 3 seconds.

    Raises TypeError where all are omitted, for `key` or `password` without `cert`, and for other types;
    ValueError for an `interval` out of range, and for a path that can be none.
    """

    patience = 3.0
    """Seconds for which a failure may last before it is told: see `Source`."""

    def __init__(
        self,
        *,
        cert: StrPath | None = None,
        key: StrPath | None = None,
        trust: Paths | None = None,
        crls: Paths | None = None,
        intermediates: Paths | None = None,
        password: Password = None,
        interval: float = 10.0,
    ) -> None:
        if cert is None and (key is not None or password is not None):
            raise TypeError("key and password need cert")
        if cert is None and trust is None and crls is None and intermediates is None:
            raise TypeError("cert, trust, crls and intermediates cannot be all omitted")
        if isinstance(interval, bool) or not isinstance(interval, int | float):
            raise TypeError(f"interval must be a number of seconds, not {type(interval).__name__}")
        if not 0.01 <= interval <= 10:
            raise ValueError(f"interval must be 0.01 to 10 seconds, not {interval}")
        self._cert = None if cert is None else _path(cert, "cert")
        self._key = None if key is None else _path(key, "key")
        self._several: dict[Kind, tuple[str, ...]] = {}
        named: dict[Kind, Any] = {"trust": trust, "intermediates": intermediates, "crls": crls}
        for kind, given in named.items():
            if given is not None:
                self._several[kind] = _paths(given, kind)
        self._password = password
        self._interval = float(interval)
        self._states: dict[str, _State | None] = {}
        self._watch: _Watch | None = None
        places = [
            *filter(None, (self._cert, self._key)),
            *(p for each in self._several.values() for p in each),
        ]
        folders = list(dict.fromkeys(map(os.path.dirname, places)))
        more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
        self.name = plain(f"files {folders[0]}{more}")
        self._places = tuple(places)

    @property
    def provides(self) -> frozenset[Kind]:
        """The kinds whose files are named."""
        own: tuple[Kind, ...] = ("identity",) if self._cert is not None else ()
        return frozenset((*own, *self._several))

    def load(self) -> Material:
        """What the files contain now, all of one moment. Raises OSError and ValueError."""
        for _ in range(_TRIES):
            reading = _Reading()
            try:
                material = self._read(reading)
                reading.check()
            except _Changed:
                continue
            finally:
                self._states = reading.states
            return material
        raise OSError(errno.EAGAIN, "a file changes all the time while it is read", self._places[0])

    def _read(self, reading: _Reading) -> Material:
        identity = None
        if self._cert is not None:
            cert = reading.file(self._cert)
            key = reading.file(self._key) if self._key is not None else None
            for path, data in ((self._cert, cert), (self._key, key)):
                if data is not None and not data.strip():
                    raise OSError(errno.ENODATA, "the file is empty", path)
            identity = Identity(cert, key, self._password)
        found: dict[str, Any] = {}
        for kind, paths in self._several.items():
            name = r"[0-9a-f]{8}\.r\d+" if kind == "crls" else r"[0-9a-f]{8}\.\d+"
            found[kind] = reading.several(paths, name)
            if not found[kind].strip():
                raise OSError(errno.ENODATA, "the file is empty", paths[0])
        return Material(identity=identity, **found)

    def _unchanged(self) -> bool:
        return all(_state_of(path) == state for path, state in self._states.items())

    def wait(self, stop: threading.Event, timeout: float) -> None:
        """Returns when a file may have changed since `load`, when `stop` is set, or after `timeout`."""
        until = time.monotonic() + timeout
        hints = self._hints()
        while not stop.is_set() and self._unchanged():
            rest = until - time.monotonic()
            if rest <= 0:
                return
            hints.wait(stop, min(rest, self._interval))

    def _hints(self) -> _Watch:
        places = {each for path in self._places for each in _directories(path)}
        present = {(each, state[:2]) for each in places if (state := _state_of(each)) is not None}
        watch = self._watch
        if watch is not None and watch.pid != os.getpid():
            _abandoned.append(watch)  # its thread is the other process's
            watch = None
        if watch is None or watch.places != present:
            watch = self._watch = _Watch(present)
        return watch

    def __repr__(self) -> str:
        return f"<FileSource {self.name!r}>"


_abandoned: list[object] = []


class _Watch:
    """Waits until something happens in directories; or, without `watchfiles`, just waits."""

    def __init__(self, places: set[tuple[str, tuple[int, ...]]]) -> None:
        self.places = places
        self.pid = os.getpid()
        self._changes: Iterator[object] | None = None
        try:
            import watchfiles

            self._changes = watchfiles.watch(
                *sorted(path for path, _ in places),
                watch_filter=None,
                debounce=200,
                step=100,
                rust_timeout=500,
                yield_on_timeout=True,
                raise_interrupt=False,
                recursive=False,
            )
            self._next()  # from now on it watches
        except Exception:  # not installed; or the system has no more inotify instances
            self._changes = None

    def _next(self) -> object:
        return next(self._changes, None) if self._changes is not None else None

    def wait(self, stop: threading.Event, timeout: float) -> None:
        if self._changes is None:
            stop.wait(timeout)
            return
        until = time.monotonic() + timeout
        while not stop.is_set() and time.monotonic() < until:
            try:
                changed = self._next()
            except Exception:
                self._changes = None
                stop.wait(max(0.0, until - time.monotonic()))
                return
            if changed:
                return
