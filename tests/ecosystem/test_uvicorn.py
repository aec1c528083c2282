"""uvicorn, the newest and 0.40, with h11 and httptools, makes its own context: veritls is injected.

httpx is the client.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.ecosystem.parties import MODES, library, refusal_behind
from tests.ecosystem.pinned import pinned
from tests.support.connections import SECONDS, client_context

pytestmark = pytest.mark.library("uvicorn")


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(files: Files, uvicorn: Any, http: str, mode: str, certificate: Path) -> Iterator[str]:
    veritls.inject()
    try:
        config = uvicorn.Config(
            application,
            http=http,
            lifespan="off",
            log_config=None,
            ssl_certfile=str(certificate),
            ssl_ca_certs=str(files.ca),
            ssl_cert_reqs=int(MODES[mode]),
        )
        config.load()
    finally:
        veritls.extract()
    assert isinstance(config.ssl, veritls.SSLContext)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"https://localhost:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(SECONDS)


def get(url: str, files: Files, own: Path | None) -> str:
    context = client_context(files.ca)
    if own:
        context.load_cert_chain(own)
    answer: str = library("httpx").get(url, verify=context, timeout=SECONDS, trust_env=False).text
    return answer


@pytest.fixture(params=["newest", "0.40"])
def uvicorn(request: pytest.FixtureRequest) -> Iterator[Any]:
    newest = library("uvicorn")
    if request.param == "newest":
        yield newest
    else:
        with pinned("uvicorn") as older:
            assert older.__version__.startswith(f"{request.param}.")
            yield older


@pytest.fixture(params=["h11", "httptools"])
def http(request: pytest.FixtureRequest) -> str:
    library(request.param)
    return str(request.param)


@pytest.mark.parametrize(
    ("mode", "client"),
    [("none", "client"), ("optional", None), ("optional", "client"), ("required", "client")],
)
def test_a_client_is_served_as_the_mode_says(
    files: Files, uvicorn: Any, http: str, mode: str, client: str | None
) -> None:
    with serving(files, uvicorn, http, mode, files.server) as url:
        assert get(url, files, getattr(files, client) if client else None) == "ok"


@pytest.mark.parametrize(
    ("mode", "client"), [("optional", "stranger"), ("required", None), ("required", "stranger")]
)
def test_a_client_is_refused_as_the_mode_says(
    files: Files, uvicorn: Any, http: str, mode: str, client: str | None
) -> None:
    httpx: Any = library("httpx")
    own = getattr(files, client) if client else None
    with (
        serving(files, uvicorn, http, mode, files.server) as url,
        pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)),
    ):
        get(url, files, own)


def test_a_strangers_server_is_refused_for_its_certificate(files: Files, uvicorn: Any, http: str) -> None:
    httpx: Any = library("httpx")
    with (
        serving(files, uvicorn, http, "none", files.stranger) as url,
        pytest.raises(httpx.ConnectError) as refused,
    ):
        get(url, files, None)
    assert refusal_behind(refused.value)
