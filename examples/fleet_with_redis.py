"""A fleet: two hosts of uvicorn workers that resume each other's sessions, and a Redis that cannot.

    pip install 'veritls[redis,serve]' trustme
    python examples/fleet_with_redis.py

starts a Redis (`redis-server`; or names one with `--redis`), two servers of two workers each, and a client
that goes from one to the other with the session of the connection before. It prints which worker answered and
whether it resumed, then what is in the Redis, and ends. In a real fleet the secret comes from a file or a
secret store: whoever has it, and the Redis, can resume as any client.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
import uvicorn

import veritls
from veritls.tickets import TicketKeys

HOSTS, WORKERS, CONNECTIONS = 2, 2, 20


def make_context(config: Any, default: Any) -> veritls.SSLContext:
    """Called in each worker. What a member of the fleet has in common with the others is all in here."""
    folder = Path(os.environ["FLEET_FOLDER"])
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = veritls.CERT_REQUIRED
    context.ticket_keys = TicketKeys.from_redis(
        os.environ["FLEET_REDIS"], secret=(folder / "secret").read_bytes()
    )
    return context


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the number of the process."""
    if scope["type"] == "http":
        body = b"%d" % os.getpid()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def host() -> None:
    """One host: its workers share a port."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        uvicorn.run(
            "fleet_with_redis:app",
            app_dir=str(Path(__file__).parent),
            fd=listener.fileno(),
            workers=WORKERS,
            loop="veritls.aio:EventLoop",
            lifespan="off",
            log_level="warning",
            ssl_context_factory=make_context,
        )


def make_files(folder: Path) -> None:
    import trustme

    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    ca.issue_cert("client.internal").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    with open(os.open(folder / "secret", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))


@contextlib.contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def a_redis(folder: Path) -> Iterator[str]:
    """The URL of a Redis that is started for this."""
    executable = shutil.which("redis-server")
    if executable is None:
        sys.exit("there is no redis-server on this machine: install it, or name one with --redis")
    path = folder / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder))
    with running(executable, *options) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "ready to accept connections" in line.lower():
                break
        yield f"unix://{path}"


def connect(client: veritls.SSLContext, port: int, session: Any) -> tuple[int, bool, Any]:
    """(the worker's process, whether it resumed the session, the new session)."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        client.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: tls.recv(10_000), b""))
        return int(answer.rpartition(b"\r\n\r\n")[2]), bool(tls.session_reused), tls.session


def visit(folder: Path, ports: list[int]) -> None:
    client = veritls.create_default_context(cafile=str(folder / "ca.pem"))
    client.load_cert_chain(folder / "client.pem")
    session: Any = None
    issuer, asked, resumed = 0, 0, 0
    for number in range(CONNECTIONS):
        worker, reused, session = connect(client, ports[number % HOSTS], session)
        words = "resumed" if reused else "full handshake"
        print(f"host {number % HOSTS + 1}, process {worker}: {words}", flush=True)
        if number and worker != issuer:
            asked, resumed = asked + 1, resumed + reused
        issuer = worker
    print(f"{resumed} of {asked} sessions were resumed by a process that had not begun them", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--redis", metavar="URL", help="such as redis://cache.internal/0")
    parser.add_argument("--host", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.host:
        host()
        return
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        make_files(folder)
        url = arguments.redis or stack.enter_context(a_redis(folder))
        environment = {**os.environ, "FLEET_FOLDER": name, "FLEET_REDIS": url}
        ports = []
        for _ in range(HOSTS):
            process = stack.enter_context(running(sys.executable, __file__, "--host", env=environment))
            assert process.stdout is not None
            ports.append(int(process.stdout.readline()))
        visit(folder, ports)
        with redis.Redis.from_url(url) as store:
            for key in sorted(store.scan_iter("veritls:tickets:*")):
                life = time.strftime("%H:%M:%S", time.gmtime(store.ttl(key)))
                print(f"in the Redis, for {life}: {key.decode()}, a salt of {store.strlen(key)} bytes")


if __name__ == "__main__":
    main()
