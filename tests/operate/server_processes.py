"""Real servers as processes of their own, each with an application and a context that a test chooses."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from tests.ecosystem.parties import library
from tests.support.connections import SECONDS

START_SECONDS = 60
ROOT = Path(__file__).parents[2]

APPLICATION = """
import json, os, ssl
import veritls
from veritls.serving import Peer

def make_context():
    with open({made!r}, "a") as file:
        file.write(f"{{os.getpid()}}\\n")
    {making}

def context():
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain({cert!r})
    context.load_verify_locations({ca!r})
    context.verify_mode = ssl.CERT_OPTIONAL
    return context

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({{"type": message["type"] + ".complete"}})
            if message["type"].endswith("shutdown"):
                return
    peer = Peer.of(scope)
    body = json.dumps({{"spiffe": peer.spiffe_id if peer else None}}).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})

def wsgi(environ, start_response):
    shown = {{key: value for key, value in environ.items() if isinstance(value, str)}}
    peer = Peer.of(environ)
    body = json.dumps({{"environ": shown, "spiffe": peer.spiffe_id if peer else None}}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""

GUNICORN = """
from veritls.serving import gunicorn as tls
import application
import os
bind = "fd://" + os.environ["LISTENER"]
worker_class = "veritls.serving.gunicorn.{worker}"
workers = {workers}
threads = 1
{certfile}
ssl_context = tls.ContextHook(application.make_context)
"""

UVICORN = """
import os, uvicorn, application
from veritls.serving.uvicorn import options
if __name__ == "__main__":
    given = options(application.make_context, {http!r})
    uvicorn.run("application:asgi", fd=int(os.environ["LISTENER"]), **given)
"""

HYPERCORN = """
import os, application, veritls.aio
from veritls.serving.hypercorn import Config, serve
config = Config(application.make_context, bind=["fd://" + os.environ["LISTENER"]])
veritls.aio.run(serve(application.asgi, config))
"""

SERVERS = [
    "gunicorn-sync",
    "gunicorn-gthread",
    "gunicorn-asgi",
    "hypercorn",
    "uvicorn-h11",
    "uvicorn-httptools",
]
_WORKERS = {"sync": "SyncWorker", "gthread": "ThreadWorker", "asgi": "ASGIWorker"}
READY = {
    "gunicorn": re.compile(r"Booting worker with pid"),
    "hypercorn": re.compile(r"Running on https://"),
    "uvicorn": re.compile(r"Uvicorn running on"),
}


class Server:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[str], port: int, made: Path) -> None:
        self.process = process
        self.port = port
        self._made = made
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def said(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, words: str, times: int = 1) -> None:
        """Until the server has said it so often."""
        with self._changed:
            said = self._changed.wait_for(
                lambda: self._ended or len(re.findall(words, "".join(self._lines))) >= times, START_SECONDS
            )
            assert said and not self._ended, "".join(self._lines)

    def contexts_made(self) -> list[int]:
        """The processes that called `make_context`, one for each call."""
        return [int(line) for line in self._made.read_text().split()] if self._made.exists() else []


def _written(
    folder: Path, kind: str, cert: Path, ca: Path, making: str, workers: int, certfile: str
) -> list[str]:
    """Writes what the server is started with; gives the command."""
    making = dedent(making).replace("\n", "\n    ")
    application = APPLICATION.format(made=str(folder / "made"), making=making, cert=str(cert), ca=str(ca))
    (folder / "application.py").write_text(application)
    server, _, variant = kind.partition("-")
    library(server)
    if server == "gunicorn":
        worker = _WORKERS[variant]
        text = GUNICORN.format(worker=worker, workers=workers, certfile=certfile)
        (folder / "gunicorn.conf.py").write_text(text)
        app = "application:asgi" if variant == "asgi" else "application:wsgi"
        return [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", app]
    text = UVICORN.format(http=variant) if server == "uvicorn" else HYPERCORN
    (folder / "serve.py").write_text(text)
    return [sys.executable, "serve.py"]


@contextmanager
def running(
    folder: Path,
    kind: str,
    cert: Path,
    ca: Path,
    making: str = "return context()",
    workers: int = 1,
    certfile: str = "certfile = tls.CERTFILE",
) -> Iterator[Server]:
    """The server `kind` as a process. `making`: the body of its `make_context`."""
    command = _written(folder, kind, cert, ca, making, workers, certfile)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        fd = listener.fileno()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ
            | {"LISTENER": str(fd), "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"},
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield Server(process, port, folder / "made")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
        if process.stdout is not None:
            process.stdout.close()


def asked_in_plain(port: int) -> socket.socket:
    """A connection on which plain HTTP was asked for."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS)
    plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return plain


def answer(plain: socket.socket) -> bytes:
    """What came back until the end of the connection."""
    found = bytearray()
    with plain, contextlib.suppress(ConnectionError):
        while piece := plain.recv(65_536):
            found += piece
    return bytes(found)


def refused(port: int) -> bool:
    """Whether nobody listens any more."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()
    except ConnectionError:
        return True
    return False
