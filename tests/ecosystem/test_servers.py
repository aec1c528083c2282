"""gunicorn and hypercorn, started from outside with `python -m veritls run`; httpx is the client."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.ecosystem.parties import MODES, REFUSED, SERVED, library, of, process, refusal_behind
from tests.support.connections import SECONDS, client_context

ROOT = Path(__file__).parents[2]
START_SECONDS = 60

GUNICORN = ["gunicorn", "tests.ecosystem.applications:wsgi", "--no-control-socket"]
HYPERCORN = ["hypercorn", "tests.ecosystem.applications:asgi"]
SERVERS = {
    "gunicorn, sync": [*GUNICORN, "--worker-class=sync"],
    "gunicorn, gthread": [*GUNICORN, "--worker-class=gthread"],
    "hypercorn, asyncio": [*HYPERCORN, "--worker-class=asyncio"],
    "hypercorn, trio": [*HYPERCORN, "--worker-class=trio"],
}

Start = Callable[[str, str, Path], str]


@contextlib.contextmanager
def serving(name: str, mode: str, certificate: Path, files: Files) -> Iterator[str]:
    """The address of a server process that the test's own listening socket was handed to."""
    reqs = f"--cert-reqs={int(MODES[mode])}" if "gunicorn" in name else f"--verify-mode={MODES[mode].name}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "veritls", "run", "-m", *SERVERS[name]]
        command += [f"--bind=fd://{listener.fileno()}", f"--ca-certs={files.ca}", reqs]
        command += [f"--certfile={certificate}", f"--keyfile={certificate}"]
        with process(command, cwd=ROOT, pass_fds=[listener.fileno()]):
            listener.close()
            url = f"https://localhost:{port}/"
            get(name, url, files, files.client, ssl.CERT_NONE, START_SECONDS)
            yield url


def get(
    name: str,
    url: str,
    files: Files,
    own: Path | None,
    mode: ssl.VerifyMode = ssl.CERT_REQUIRED,
    seconds: float = SECONDS,
) -> str:
    context = client_context(files.ca)
    context.check_hostname = mode is ssl.CERT_REQUIRED
    context.verify_mode = mode
    if own:
        context.load_cert_chain(own)
    second = "hypercorn" in name
    with library("httpx").Client(verify=context, timeout=seconds, trust_env=False, http2=second) as client:
        answer: Any = client.get(url)
    assert answer.http_version == ("HTTP/2" if second else "HTTP/1.1")
    return str(answer.text)


@pytest.fixture(scope="module")
def start(files: Files) -> Iterator[Start]:
    """Starts each server once, when it is asked for first."""
    running: dict[tuple[str, str, Path], str] = {}
    with contextlib.ExitStack() as stack:

        def address(name: str, mode: str, certificate: Path) -> str:
            key = name, mode, certificate
            if key not in running:
                running[key] = stack.enter_context(serving(*key, files))
            return running[key]

        yield address


@pytest.fixture(params=map(of, SERVERS))
def name(request: pytest.FixtureRequest) -> str:
    server, _, worker = request.param.partition(", ")
    for each in (server, "httpx", "h2", *(["trio"] if worker == "trio" else [])):
        library(each)
    return str(request.param)


@pytest.mark.parametrize(("mode", "client", "seen"), SERVED)
def test_a_client_is_served_as_the_mode_says(
    files: Files, start: Start, name: str, mode: str, client: str | None, seen: str
) -> None:
    url = start(name, mode, files.server)
    assert get(name, url, files, getattr(files, client) if client else None) == seen


@pytest.mark.parametrize(("mode", "client"), REFUSED)
def test_a_client_is_refused_as_the_mode_says(
    files: Files, start: Start, name: str, mode: str, client: str | None
) -> None:
    url, httpx = start(name, mode, files.server), library("httpx")
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        get(name, url, files, getattr(files, client) if client else None)
    assert get(name, url, files, files.client) == "client@example.org"


def test_a_strangers_server_is_refused_for_its_certificate(files: Files, start: Start, name: str) -> None:
    url = start(name, "none", files.stranger)
    with pytest.raises(library("httpx").ConnectError) as refused:
        get(name, url, files, None)
    assert refusal_behind(refused.value)
