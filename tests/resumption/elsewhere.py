"""The second connection's server in another process, with contexts that are made there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.resumption.meeting import Met, Side
from tests.support.connections import raw_pair


@dataclass
class Refusal(Exception):
    """What a server in another process raised."""

    kind: str
    verify_code: int | None


def _serve(make: Callable[[], Any], raw: Any) -> dict[str, Any]:
    """The server's end, in its process: what it knows then."""
    side = Side()
    try:
        with make().wrap_socket(raw, server_side=True) as end:
            end.sendall(b"s")
            end.recv(1)
            side.note(end)
    except (OSError, ValueError) as error:
        return {"error": type(error).__name__, "code": getattr(error, "verify_code", None)}
    return {
        "reused": side.reused,
        "peer": side.peer and side.peer.hex(),
        "path": [der.hex() for der in side.path],
    }


def _told(told: dict[str, Any]) -> Side:
    if "error" in told:
        return Side(error=Refusal(told["error"], told["code"]))
    peer = told["peer"] and bytes.fromhex(told["peer"])
    return Side(None, told["reused"], None, peer, [bytes.fromhex(der) for der in told["path"]])


def meet_elsewhere(make: Callable[[], Any], client: Any, name: str, session: Any = None) -> Met:
    """One connection; `make` makes the server's context in a process of its own."""
    server_raw, client_raw = raw_pair()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            client_raw.close()
            os.write(writing, json.dumps(_serve(make, server_raw)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    server_raw.close()
    met = Met(Side(), Side())
    client.offer = session
    try:
        with client.wrap_socket(client_raw, server_hostname=name) as end:
            if end.recv(1) != b"s":
                raise ConnectionResetError("the server went away")
            met.client.note(end)
            met.client.session = end.session
            end.sendall(b"c")
    except (OSError, ValueError) as error:
        met.client.error = error
    finally:
        client.offer = None
        client_raw.close()
    client_raw.close()
    with os.fdopen(reading, "rb") as told:
        found = told.read()
    assert os.waitpid(child, 0)[1] == 0
    met.server = _told(json.loads(found))
    return met
