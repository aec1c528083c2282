"""redis-py, blocking and asyncio, makes its own context: veritls is injected. The server is Redis itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.ecosystem.daemons import daemon, program
from tests.ecosystem.parties import REFUSED, SERVED, library, refusal_behind
from tests.support.connections import SECONDS

pytestmark = pytest.mark.library("redis-py")

AUTH_CLIENTS = {"none": "no", "optional": "optional", "required": "yes"}
"""verify_mode -> Redis's own word for it."""

Start = Callable[[str, Path], int]


@pytest.fixture(scope="module")
def start(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a server for each mode and certificate when it is first asked for; gives its port."""
    executable, folder = program("redis-server"), tmp_path_factory.mktemp("redis")
    running: dict[tuple[str, Path], int] = {}
    with ExitStack() as stack:

        def port(mode: str, certificate: Path) -> int:
            def command(port: int) -> list[str]:
                options = {
                    "port": "0",
                    "tls-port": str(port),
                    "bind": "127.0.0.1",
                    "tls-cert-file": str(certificate),
                    "tls-key-file": str(certificate),
                    "tls-ca-cert-file": str(files.ca),
                    "tls-auth-clients": AUTH_CLIENTS[mode],
                    "save": "",
                    "dir": str(folder),
                }
                return [executable, *(word for key, value in options.items() for word in (f"--{key}", value))]

            if (mode, certificate) not in running:
                ready = b"Ready to accept connections"
                running[mode, certificate] = stack.enter_context(daemon(command, ready))
            return running[mode, certificate]

        yield port


def options(files: Files, port: int, own: Path | None) -> dict[str, Any]:
    chain = {"ssl_certfile": str(own), "ssl_keyfile": str(own)} if own else {}
    timeouts = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    return {
        "host": "localhost",
        "port": port,
        "ssl": True,
        "ssl_ca_certs": str(files.ca),
        **chain,
        **timeouts,
    }


def blocking(files: Files, port: int, own: Path | None) -> bytes:
    retry = library("redis.retry").Retry(library("redis.backoff").NoBackoff(), 0)
    with library("redis").Redis(**options(files, port, own), retry=retry) as client:
        client.set("key", "value" * 10_000)
        value: bytes = client.get("key")
        return value


def with_asyncio(files: Files, port: int, own: Path | None) -> bytes:
    retry = library("redis.asyncio.retry").Retry(library("redis.backoff").NoBackoff(), 0)

    async def talk() -> bytes:
        async with library("redis.asyncio").Redis(**options(files, port, own), retry=retry) as client:
            await client.set("key", "value" * 10_000)
            value: bytes = await client.get("key")
            return value

    return asyncio.run(asyncio.wait_for(talk(), SECONDS))


@pytest.fixture(params=[blocking, with_asyncio], ids=["blocking", "asyncio"])
def talk(request: pytest.FixtureRequest) -> Iterator[Any]:
    library("redis")
    veritls.inject()
    try:
        yield request.param
    finally:
        veritls.extract()


@pytest.mark.parametrize(("mode", "client"), [case[:2] for case in SERVED])
def test_a_client_is_served_as_the_mode_says(
    files: Files, start: Start, talk: Any, mode: str, client: str | None
) -> None:
    own = getattr(files, client) if client else None
    assert talk(files, start(mode, files.server), own) == b"value" * 10_000


@pytest.mark.parametrize(("mode", "client"), REFUSED)
def test_a_client_is_refused_as_the_mode_says(
    files: Files, start: Start, talk: Any, mode: str, client: str | None
) -> None:
    own = getattr(files, client) if client else None
    with pytest.raises(library("redis").exceptions.ConnectionError):
        talk(files, start(mode, files.server), own)


@pytest.mark.parametrize("certificate", ["stranger", "expired_server"])
def test_an_invalid_server_is_refused_for_its_certificate(
    files: Files, start: Start, talk: Any, certificate: str
) -> None:
    port = start("none", getattr(files, certificate))
    with pytest.raises(library("redis").exceptions.ConnectionError) as refused:
        talk(files, port, files.client)
    assert refusal_behind(refused.value)
