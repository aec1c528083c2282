"""What docs/deploying.md has in its blocks is run as it stands, but for the folder and the port."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.ecosystem.parties import library
from tests.operate.callers import ADMIN, WEB, Callers
from tests.operate.server_processes import ROOT, START_SECONDS, Server, answer, asked_in_plain, refused
from tests.operate.serving_ways import connected, get, is_refused
from tests.operate.stores import Store
from tests.support.connections import SECONDS
from tests.support.waiting import until

PAGE = (ROOT / "docs/deploying.md").read_text("utf-8")
BLOCKS = {name: text for text, name in re.findall(r"^```\w+\n(# (\S+)\n.*?)^```$", PAGE, re.M | re.S)}
"""The name of a file -> its text."""


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Callers:
    return Callers(tmp_path_factory.mktemp("callers"))


def write(folder: Path, callers: Callers) -> None:
    (folder / "tls.crt").write_bytes(callers.cert.read_bytes())
    (folder / "tls.key").write_bytes(callers.cert.read_bytes())
    (folder / "ca.crt").write_bytes(callers.ca.read_bytes())
    for name, text in BLOCKS.items():
        text = text.replace("/etc/tls", str(folder)).replace("0.0.0.0", "127.0.0.1")
        (folder / name).write_text(re.sub(r"\b(8443|9464)\b", "0", text))


@contextmanager
def started(folder: Path, *command: str, ready: str = "") -> Iterator[int]:
    """The port on which what was started says that it serves."""
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            server = Server(process, 0, folder / "made")
            server.wait_for(r"(https://127\.0\.0\.1:|port )\d+")
            said = re.search(r"(?:https://127\.0\.0\.1:|port )(\d+)", server.said())
            assert said is not None
            server.wait_for(ready)
            yield int(said[1])
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(SECONDS)


ASGI = [
    pytest.param("uvicorn", ["serve_uvicorn.py"], id="uvicorn"),
    pytest.param("hypercorn", ["serve_hypercorn.py"], id="hypercorn"),
]


@pytest.mark.parametrize(("name", "command"), ASGI)
def test_a_server_of_the_page_serves_whom_its_rules_name(
    callers: Callers, tmp_path: Path, name: str, command: list[str]
) -> None:
    library(name)
    write(tmp_path, callers)
    with started(tmp_path, *command) as port:
        assert json.loads(get(port, callers.client(callers.web), "/orders")[1]) == {"spiffe": WEB}
        assert json.loads(get(port, callers.client(callers.admin), "/admin")[1]) == {"spiffe": ADMIN}
        assert get(port, callers.client(callers.web), "/admin")[0] == 403
        assert get(port, callers.client(callers.admin), "/x")[0] == 403
        assert is_refused(lambda: get(port, callers.client(), "/orders"))


def test_uvicorn_of_the_page_serves_with_several_workers(callers: Callers, tmp_path: Path) -> None:
    library("uvicorn")
    write(tmp_path, callers)
    page = tmp_path / "serve_uvicorn.py"
    page.write_text(page.read_text().replace("port=0", "port=0, workers=2"))
    with started(tmp_path, "serve_uvicorn.py", ready="Started server") as port:
        until(lambda: not refused(port), "no worker listens")
        assert json.loads(get(port, callers.client(callers.web), "/orders")[1]) == {"spiffe": WEB}
        assert not answer(asked_in_plain(port)).startswith(b"HTTP/")


def test_workers_of_uvicorn_whose_context_cannot_be_made_answer_nothing(
    callers: Callers, tmp_path: Path
) -> None:
    library("uvicorn")
    write(tmp_path, callers)
    page = tmp_path / "serve_uvicorn.py"
    page.write_text(page.read_text().replace("port=0", "port=0, workers=2"))
    (tmp_path / "tls.key").unlink()
    with started(tmp_path, "serve_uvicorn.py", ready="FileNotFoundError") as port:
        try:
            asked = asked_in_plain(port)
        except ConnectionError:
            return
        assert answer(asked) == b""


@pytest.mark.parametrize("worker", ["SyncWorker", "ThreadWorker", "ASGIWorker"])
def test_gunicorn_of_the_page_serves(callers: Callers, tmp_path: Path, worker: str) -> None:
    library("gunicorn")
    write(tmp_path, callers)
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text(conf.read_text().replace("SyncWorker", worker))
    app = "app:app" if worker == "ASGIWorker" else "app:wsgi"
    with started(tmp_path, "-m", "gunicorn", app) as port:
        status, body = get(port, callers.client(callers.web), "/orders")
        assert (status, json.loads(body)["spiffe"]) == (200, WEB)
        assert is_refused(lambda: get(port, callers.client(), "/orders"))


def test_wsgiref_of_the_page_serves(callers: Callers, tmp_path: Path) -> None:
    write(tmp_path, callers)
    with started(tmp_path, "serve_wsgiref.py") as port:
        _, body = get(port, callers.client(callers.web))
        assert json.loads(body) == {"spiffe": WEB, "verify": "SUCCESS"}


def test_aiohttp_of_the_page_serves(callers: Callers, tmp_path: Path) -> None:
    library("aiohttp")
    write(tmp_path, callers)
    with started(tmp_path, "serve_aiohttp.py") as port:
        assert json.loads(get(port, callers.client(callers.web), "/orders")[1]) == {"spiffe": WEB}


def test_streams_of_the_page_serve(callers: Callers, tmp_path: Path) -> None:
    write(tmp_path, callers)
    with started(tmp_path, "serve_streams.py") as port, connected(port, callers.client(callers.web)) as tls:
        assert tls.recv(100) == f"{WEB}\n".encode()


def test_servers_of_the_page_that_share_ticket_keys_resume_each_others_sessions(
    callers: Callers, tmp_path: Path
) -> None:
    library("uvicorn")
    library("redis")
    store = Store(tmp_path)
    store.start()
    write(tmp_path, callers)
    (tmp_path / "fleet-secret").write_bytes(os.urandom(32))
    fleet = (tmp_path / "fleet.py").read_text().replace("redis://cache.internal/0", store.url)
    (tmp_path / "fleet.py").write_text(fleet)
    serving = (tmp_path / "serve_uvicorn.py").read_text().replace("from tls import", "from fleet import")
    (tmp_path / "serve_uvicorn.py").write_text(serving)
    client = callers.client(callers.web)
    try:
        with (
            started(tmp_path, "serve_uvicorn.py") as first,
            started(tmp_path, "serve_uvicorn.py") as second,
        ):
            session, resumed = None, []
            for port in (first, second, first, second):
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
                    client.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
                ):
                    tls.sendall(b"GET /orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    while tls.recv(10_000):
                        pass
                    session = tls.session
                    resumed.append(tls.session_reused)
            assert resumed == [False, True, True, True]
    finally:
        store.stop()


def test_every_file_of_the_page_is_among_those_that_tests_use() -> None:
    assert set(BLOCKS) == {
        "tls.py",
        "app.py",
        "fleet.py",
        "serve_uvicorn.py",
        "serve_hypercorn.py",
        "gunicorn.conf.py",
        "serve_wsgiref.py",
        "serve_aiohttp.py",
        "serve_streams.py",
        "orders.service",
        "orders.yaml",
    }


def test_systemd_has_nothing_against_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:  # a machine without systemd; CI installs it
        assert not os.environ.get("CI"), "systemd-analyze is missing"
        pytest.skip("systemd-analyze is missing")
    unit = tmp_path / "orders.service"
    unit.write_text(BLOCKS["orders.service"])
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=START_SECONDS
    )
    said = [line for line in done.stderr.splitlines() if "orders.service" in line]
    assert done.returncode == 0 and said == [], done.stderr


def test_the_manifests_are_those_of_the_api_of_kubernetes() -> None:
    validate: Any = library("kubernetes_validate")
    yaml: Any = library("yaml")
    manifests = list(yaml.safe_load_all(BLOCKS["orders.yaml"]))
    assert [each["kind"] for each in manifests] == ["Deployment", "Service"]
    for manifest in manifests:
        validate.validate(manifest, validate.latest_version(), strict=True)
    manifests[0]["spec"]["replica"] = 2
    with pytest.raises(validate.ValidationError):
        validate.validate(manifests[0], validate.latest_version(), strict=True)
