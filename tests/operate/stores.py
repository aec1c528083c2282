"""A real Redis, which tests start, stop, flush and read; and one that is not what it should be."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ecosystem.daemons import program
from tests.ecosystem.parties import library
from tests.support.connections import SECONDS


class Store:
    """A Redis on a socket in a folder, which it leaves a dump in."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._executable = program("redis-server")
        self.folder, self.path = folder, folder / "redis.sock"
        self.url = f"unix://{self.path}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.path), "--save", "", "--dir", str(self.folder)]
        self._process = subprocess.Popen(
            [self._executable, *options, *self._options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if b"Ready to accept connections" in line or b"ready to accept connections" in line:
                return
        raise RuntimeError(b"".join(lines).decode())

    def stop(self) -> None:
        """Kills it: what it had is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SECONDS)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
            self.path.unlink(missing_ok=True)

    @contextmanager
    def client(self) -> Iterator[Any]:
        with library("redis").Redis(unix_socket_path=str(self.path), socket_timeout=SECONDS) as client:
            yield client

    def salts(self) -> dict[bytes, bytes]:
        """Everything that it has."""
        with self.client() as client:
            return {key: client.get(key) for key in client.scan_iter()}

    def dump(self) -> bytes:
        """Its dump, as a backup has it."""
        with self.client() as client:
            client.save()
        return (self.folder / "dump.rdb").read_bytes()


@contextmanager
def impostor(folder: Path, answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of what takes connections like a Redis, and does `answer` with each, in threads."""
    path = folder / "impostor.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(SECONDS)

    def one(connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        with connection, contextlib.suppress(OSError):
            answer(connection)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"unix://{path}"
    finally:
        # A thread in accept keeps a listener that is only closed.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        path.unlink(missing_ok=True)
