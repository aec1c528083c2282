"""One request after the handshake, for servers that refuse certificates in their HTTP answer."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from veritls import __version__

ALPN = ["http/1.1"]
REFUSALS: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "what nginx answers under ssl_verify_client",
    HTTPStatus.UNAUTHORIZED: "who the client is is not known",
    HTTPStatus.FORBIDDEN: "what Apache, Envoy and applications answer",
    495: "nginx's own code for a certificate that is not valid",
    496: "nginx's own code for no certificate",
}
"""Statuses that refuse a client where the valid one gets something else, with the reason for each."""


def checked(path: str) -> str:
    """A path for a request. Raises ValueError."""
    if re.fullmatch(r"/[!-~]{0,2000}", path) is None:
        raise ValueError(f"--http {path!r} is not a path like / or /health, in ASCII")
    return path


def status_of(tls: Any, name: str, port: int, path: str) -> int:
    """The status that the server answers a GET with. Reads no body.

    Raises OSError, or http.client.HTTPException for what is not HTTP.
    """
    connection = http.client.HTTPConnection(name, port)
    connection.sock = tls
    agent = f"veritls-audit/{__version__}"
    connection.request("GET", path, headers={"User-Agent": agent, "Connection": "close"})
    with connection.getresponse() as answer:
        return answer.status
