"""SSLObject over the MemoryBIOs of `ssl`, as event loops hand them over."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from tests.conftest import Files
from tests.pairs import client_context, server_context


def _handshaken(files: Files) -> tuple[Any, Any, ssl.MemoryBIO]:
    """Both ends of a connection, and what the client's end reads from."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(files.server).wrap_bio(up, down, server_side=True)
    client = client_context(files.ca).wrap_bio(down, up, server_hostname="localhost")
    for end in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return server, client, down


def test_whoever_reads_while_something_is_pending_gets_everything(files: Files) -> None:
    server, client, incoming = _handshaken(files)
    server.write(bytes(100_000))
    got = len(client.read(10))
    while incoming.pending or client.pending():
        got += len(client.read(10_000))
    assert got == 100_000
