"""The program behind the launcher: imports veritls once, and forks for each test.

A child ends with the test, so that one test knows nothing of another, and its end by a signal is a failure of
that test alone.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import traceback
import warnings
from pathlib import Path

from tests.bogo.shim import main as shim

MOST_SECONDS = 60
BROKEN = 71


def receive(connection: socket.socket) -> tuple[list[str], list[int]]:
    """A launcher's arguments, and its output and error output."""
    head, numbers, _, _ = socket.recv_fds(connection, 4, 2)
    length, content = int.from_bytes(head, "big"), b""
    while len(content) < length:
        content += connection.recv(length - len(content))
    return content.decode("utf-8", "surrogateescape").split("\0"), numbers


def serve_one(connection: socket.socket, transport: str) -> None:
    """Runs a test in this process, and tells its launcher the status."""
    signal.alarm(MOST_SECONDS)
    status = BROKEN
    try:
        arguments, numbers = receive(connection)
        for standard, number in zip((1, 2), numbers, strict=True):
            os.dup2(number, standard)
            os.close(number)
        status = shim(arguments, transport)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([status]))
        os._exit(status)


def main(place: Path, transport: str) -> None:
    """Serves until standard input ends, as it does with the program at its other end.

    `transport`: see `transports.TRANSPORTS`.
    """
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the children
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(place))
    listener.listen(64)
    print("ready", flush=True)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            serve_one(connection, transport)
        connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
