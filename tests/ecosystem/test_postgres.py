"""asyncpg and pg8000 against PostgreSQL, whose pg_hba.conf says `clientcert=verify-full`."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.ecosystem.daemons import daemon, program, unprivileged_folder
from tests.ecosystem.parties import library, of, refusal_behind
from tests.support.connections import SECONDS, client_context

DATABASES = {"none": "postgres", "optional": "template1", "required": "postgres"}
ACCESS = {
    "asks": """
hostssl postgres client 127.0.0.1/32 trust clientcert=verify-full
hostssl template1 client 127.0.0.1/32 scram-sha-256
""",
    "does not ask": "hostssl postgres client 127.0.0.1/32 scram-sha-256\n",
}
"""It asks every client for a certificate where it has trust anchors; a database's line requires one.

The password of the others is proved by SCRAM, which pg8000 binds to the connection (tls-server-end-point).
"""

USER: dict[str, Any] = {"user": "client", "password": "a password"}

SEEN = "select coalesce(client_dn, 'anonymous') from pg_stat_ssl where pid = pg_backend_pid()"

Start = Callable[[str, Path], int]


@pytest.fixture(scope="module")
def start(files: Files) -> Iterator[Start]:
    """Starts a server when it is first asked for, on a copy of one empty cluster; gives its port."""
    binaries = os.pathsep.join(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    postgres, initdb = (program(name, binaries) for name in ("postgres", "initdb"))
    running: dict[tuple[str, Path], int] = {}
    with ExitStack() as stack:
        folder, owner = stack.enter_context(unprivileged_folder())
        (folder / "password").write_text(USER["password"])
        empty = ["-D", str(folder / "empty"), "-U", "client", f"--pwfile={folder / 'password'}"]
        empty += ["-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync", "--wal-segsize=1"]
        quiet: Any = {"stdout": subprocess.DEVNULL, "check": True, "timeout": 120, "cwd": folder}
        subprocess.run([initdb, *empty], **quiet, **owner)

        def port(mode: str, certificate: Path) -> int:
            kind = "does not ask" if mode == "none" else "asks"
            if (kind, certificate) in running:
                return running[kind, certificate]
            data = folder / f"data{len(running)}"
            subprocess.run(["cp", "-r", "empty", data], **quiet, **owner)
            (data / "pg_hba.conf").write_text(ACCESS[kind])
            shutil.copy(certificate, data / "server.pem")
            shutil.copy(files.ca, data / "ca.pem")
            (data / "server.pem").chmod(0o600)
            for each in ("server.pem", "ca.pem"):
                shutil.chown(data / each, folder.owner())

            def command(port: int) -> list[str]:
                settings = {
                    "listen_addresses": "127.0.0.1",
                    "port": str(port),
                    "unix_socket_directories": str(folder),
                    "ssl": "on",
                    "ssl_cert_file": "server.pem",
                    "ssl_key_file": "server.pem",
                    "ssl_ca_file": "ca.pem" if kind == "asks" else "",
                    "fsync": "off",
                }
                words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
                return [postgres, "-D", str(data), *words]

            ready = b"ready to accept connections"
            # The default, SIGTERM, waits for every client to go.
            server = daemon(command, ready, signal.SIGINT, cwd=folder, **owner)
            running[kind, certificate] = stack.enter_context(server)
            return running[kind, certificate]

        yield port


def with_asyncpg(port: int, database: str, context: ssl.SSLContext) -> str:
    async def ask() -> str:
        to = {"host": "localhost", "port": port, "database": database, **USER}
        connection: Any = await library("asyncpg").connect(**to, ssl=context, timeout=SECONDS)
        try:
            assert await connection.fetchval("select repeat('x', 100000)") == "x" * 100_000
            return str(await connection.fetchval(SEEN))
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(ask(), SECONDS))


def with_pg8000(port: int, database: str, context: ssl.SSLContext) -> str:
    to = {"host": "localhost", "port": port, "database": database, **USER}
    connection: Any = library("pg8000.native").Connection(**to, ssl_context=context, timeout=SECONDS)
    try:
        assert connection.run("select repeat('x', 100000)") == [["x" * 100_000]]
        return str(connection.run(SEEN)[0][0])
    finally:
        connection.close()


CLIENTS = {"asyncpg": with_asyncpg, "pg8000": with_pg8000}


def lost(name: str) -> tuple[type[Exception], ...]:
    """What the library's users catch where the server ends the connection."""
    if name == "asyncpg":
        return library(name).PostgresConnectionError, ConnectionError
    return (library(name).InterfaceError,)


def refused_by_database(name: str) -> type[Exception]:
    """What they catch where the database, over a working connection, does not let the user in."""
    kind: type[Exception] = (
        library(name).InvalidAuthorizationSpecificationError
        if name == "asyncpg"
        else library(name).DatabaseError
    )
    return kind


@pytest.fixture(params=map(of, CLIENTS))
def name(request: pytest.FixtureRequest) -> str:
    library(request.param)
    return str(request.param)


def ask(name: str, port: int, mode: str, files: Files, own: Path | None) -> str:
    context = client_context(files.ca)
    if own:
        context.load_cert_chain(own)
    return CLIENTS[name](port, DATABASES[mode], context)


@pytest.mark.parametrize(
    ("mode", "client", "seen"),
    [
        ("none", "client", "anonymous"),
        ("optional", None, "anonymous"),
        ("optional", "client", "CN=client"),
        ("required", "client", "CN=client"),
    ],
)
def test_a_client_is_served_as_the_mode_says(
    files: Files, start: Start, name: str, mode: str, client: str | None, seen: str
) -> None:
    own = getattr(files, client) if client else None
    assert seen in ask(name, start(mode, files.server), mode, files, own)


@pytest.mark.parametrize(
    ("mode", "client"),
    [
        ("optional", "stranger"),
        ("optional", "expired"),
        ("required", "stranger"),
        ("required", "expired"),
    ],
)
def test_a_client_with_an_invalid_certificate_is_refused(
    files: Files, start: Start, name: str, mode: str, client: str
) -> None:
    with pytest.raises(lost(name)):
        ask(name, start(mode, files.server), mode, files, getattr(files, client))


@pytest.mark.parametrize("client", [None, "server"])
def test_a_client_without_the_certificate_of_its_user_is_refused(
    files: Files, start: Start, name: str, client: str | None
) -> None:
    own = getattr(files, client) if client else None
    with pytest.raises(refused_by_database(name)):
        ask(name, start("required", files.server), "required", files, own)


@pytest.mark.parametrize("certificate", ["stranger", "expired_server"])
def test_an_invalid_server_is_refused_for_its_certificate(
    files: Files, start: Start, name: str, certificate: str
) -> None:
    port = start("none", getattr(files, certificate))
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        ask(name, port, "none", files, files.client)
    assert refusal_behind(refused.value)
