"""What the HTTP servers serve: the client's identity, as the server's TLS saw it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any

from tests.support.connections import who

LAST = ["anonymous"]
"""The identity of the peer in the newest handshake of an `ssl.SSLObject`."""


class Seen(ssl.SSLObject):
    """ASGI has no way to the connection: this remembers what it showed."""

    def do_handshake(self) -> None:
        super().do_handshake()
        LAST[0] = who(self)


ssl.SSLContext.sslobject_class = Seen


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = who(environ["gunicorn.socket"]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for moment in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{moment}.complete"})
    else:
        headers = [(b"content-length", str(len(LAST[0])).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": LAST[0].encode()})
