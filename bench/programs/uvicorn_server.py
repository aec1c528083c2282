"""uvicorn with one application: ``python -m bench.programs.uvicorn_server LOOP MODULE FD RECIPE``.

MODULE is `ssl`, `veritls` or TCP, FD a listening socket that the process inherits, RECIPE its fields in JSON.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

import uvicorn

from bench.contestants import BLOCKING, Contestant
from bench.recipe import Recipe

_BODY = b"Hello, world!\n"
_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", str(len(_BODY)).encode())]


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


def main() -> None:
    loop, module, descriptor, recipe = sys.argv[1:]
    contestant: Contestant = BLOCKING[module]()
    config = uvicorn.Config(
        application, loop=loop, access_log=False, log_level="warning", ws="none", lifespan="off"
    )
    config.load()
    config.ssl = contestant.server_context(Recipe.of(json.loads(recipe)))
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])


if __name__ == "__main__":
    main()
