"""A host of a fleet: uvicorn with several workers, whose contexts share ticket keys by a Redis.

`python -m tests.operate.fleet_host IDENTITY ANCHORS WORKERS HOST REDIS EPOCH` prints the port at which it
serves. Its workers answer with their pids. REDIS ``none``: each has keys of its own.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

import uvicorn

import veritls
from veritls.tickets import TicketKeys

SECRET = bytes(range(64))


def make_context(config: uvicorn.Config, default: Any) -> veritls.SSLContext:
    """In each worker, after its start."""
    identity, anchors, _, _, url, epoch = os.environ["VERITLS_TEST_FLEET"].split("\n")
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    context.load_verify_locations(anchors)
    context.verify_mode = veritls.CERT_REQUIRED
    if url != "none":
        context.ticket_keys = TicketKeys.from_redis(url, secret=SECRET, rotate_every=int(epoch))
    return context


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        body = b"%d" % os.getpid()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def main(arguments: list[str]) -> None:
    os.environ["VERITLS_TEST_FLEET"] = "\n".join(arguments)
    listener = socket.create_server((arguments[3], 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    uvicorn.run(
        "tests.operate.fleet_host:app",
        fd=listener.fileno(),
        workers=int(arguments[2]),
        loop="veritls.aio:EventLoop",
        lifespan="off",
        log_level="error",
        ssl_context_factory=make_context,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
