"""A server in a process of its own: `python -m tests.operate.rotating_process FOLDER`.

Follows tls.crt, tls.key and ca.crt in FOLDER, and requires a certificate of its clients. Prints its port, and
each event of material as a line of JSON; ends at the end of its stdin.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import veritls
from veritls import events
from veritls.sources import FileSource


def answer(raw: socket.socket, context: Any) -> None:
    raw.settimeout(10)
    with contextlib.suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as tls:
        tls.sendall(tls.recv(100))


def accept(listener: socket.socket, context: Any) -> None:
    while True:
        raw, _ = listener.accept()
        threading.Thread(target=answer, args=(raw, context), daemon=True).start()


def say(*words: object) -> None:
    print(*words, flush=True)


def tell(event: events.Event) -> None:
    if isinstance(event, events.MaterialEvent):
        say(json.dumps([event.outcome, event.kind, event.generation]))


def main(folder: Path) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    events.subscribe(tell)
    listener = socket.create_server(("127.0.0.1", 0))
    say(listener.getsockname()[1])
    context.follow(
        FileSource(cert=folder / "tls.crt", key=folder / "tls.key", trust=folder / "ca.crt", interval=0.1)
    )
    threading.Thread(target=accept, args=(listener, context), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
