"""Connected ends for tests: raw, and with TLS on top."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import veritls

SECONDS = 10


def raw_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection over loopback, both with a timeout: (server's, client's)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        client = socket.create_connection(listener.getsockname(), timeout=SECONDS)
        server, _ = listener.accept()
    server.settimeout(SECONDS)
    return server, client


def received(end: Any) -> bytes:
    """All that arrives until the peer's end of the stream."""
    data = bytearray()
    while piece := end.recv(262_144):
        data += piece
    return bytes(data)


def in_thread(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """Runs `work` in a thread of its own; its result or exception comes with `.result(SECONDS)`."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def server_context(certificate: Path, module: Any = veritls) -> Any:
    context = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def client_context(ca: Path, module: Any = veritls) -> Any:
    context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    return context


def who(tls: Any) -> str:
    """The e-mail address in the certificate of the peer of a veritls connection, or "anonymous"."""
    assert isinstance(tls, veritls.SSLObject | veritls.SSLSocket)
    certificate: Any = tls.getpeercert() or {}
    return str(dict(certificate.get("subjectAltName", ())).get("email", "anonymous"))


@contextmanager
def tls_pair(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = "localhost", **options: Any
) -> Iterator[tuple[Any, Any]]:
    """Both ends of an established connection: (server's, client's). `options` go to the client's end."""
    server_raw, client_raw = raw_pair()
    serving = in_thread(server.wrap_socket, server_raw, server_side=True)
    with client_raw, server_raw:
        client_end = client.wrap_socket(client_raw, server_hostname=name, **options)
        server_end = serving.result(SECONDS)
        with client_end, server_end:
            yield server_end, client_end
