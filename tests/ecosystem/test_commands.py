"""`python -m veritls run` over programs that speak HTTPS: httpie, pip and yt-dlp, installed and unchanged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Files
from tests.ecosystem.parties import Handler, https_server, library, of
from tests.support.connections import SECONDS, who

ROOT = Path(__file__).parents[2]
RUN_SECONDS = 100
FILM = b"\0" * 20_000

WHEEL = {
    "tiny.py": "",
    "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny-1.0.dist-info/RECORD": "",
}


class Site(Handler):
    """A page, a package index and a film, and in a header the client's identity."""

    wheel: bytes

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name == "film.mp4":
            kind, body = "video/mp4", FILM
        elif name.endswith(".whl"):
            kind, body = "application/octet-stream", self.wheel
        elif self.path == "/simple/tiny/":
            kind, body = "text/html", b'<!doctype html><a href="/tiny-1.0-py3-none-any.whl">tiny</a>'
        else:
            kind, body = "text/plain", who(self.connection).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


Arguments = Callable[[str, Path, Path | None], list[str]]

PROGRAMS: dict[str, Arguments] = {
    "httpie": lambda url, ca, own: [
        *("http", "--ignore-stdin", "--body", f"--timeout={SECONDS}", f"--verify={ca}"),
        *([f"--cert={own}"] if own else []),
        url,
    ],
    "pip": lambda url, ca, own: [
        *("pip", "--isolated", "--no-cache-dir", "--disable-pip-version-check", f"--timeout={SECONDS}"),
        *("download", "--retries=0", "--no-deps", f"--index-url={url}simple", f"--cert={ca}"),
        *([f"--client-cert={own}"] if own else []),
        "tiny",
    ],
    "yt-dlp": lambda url, ca, own: [
        *("yt-dlp", "--ignore-config", "--no-cache-dir", "--retries=0", f"--socket-timeout={SECONDS}"),
        *("--compat-options=no-certifi", "--output=film.mp4"),
        *([f"--client-certificate={own}"] if own else []),
        f"{url}film.mp4",
    ],
}


def result(name: str, folder: Path, output: str) -> bool:
    """Whether the program has got what it was to get."""
    if name == "httpie":
        return output.startswith("client@example.org")
    expected = {"pip": "tiny-1.0-py3-none-any.whl", "yt-dlp": "film.mp4"}[name]
    return (folder / expected).exists() and (name == "pip" or (folder / expected).read_bytes() == FILM)


@pytest.fixture
def site(tmp_path: Path) -> type[Site]:
    path = tmp_path / "tiny.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in WHEEL.items():
            archive.writestr(name, text)
    return type("ThisSite", (Site,), {"wheel": path.read_bytes()})


@pytest.fixture(params=[of(name) for name in PROGRAMS])
def name(request: pytest.FixtureRequest) -> str:
    library({"httpie": "httpie", "pip": "pip", "yt-dlp": "yt_dlp"}[request.param])
    return str(request.param)


def run(name: str, url: str, ca: Path, own: Path | None, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the program in an empty folder; only loopback, and no settings but ours."""
    scripts = sysconfig.get_path("scripts")
    kept = {key: value for key, value in os.environ.items() if key in ("LANG", "SystemRoot", "TMPDIR")}
    environment = kept | {"HOME": str(folder), "PATH": scripts, "SSL_CERT_FILE": str(ca), "PYTHONPATH": ""}
    command = [sys.executable, "-W", "ignore", "-m", "veritls", "run", *PROGRAMS[name](url, ca, own)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS
    )


def test_a_program_with_a_certificate_gets_its_file(
    files: Files, name: str, site: type[Site], tmp_path: Path
) -> None:
    with https_server(files, "required", handler=site) as url:
        outcome = run(name, url, files.ca, files.client, tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert result(name, tmp_path, outcome.stdout), outcome.stdout


@pytest.mark.parametrize("client", [None, "stranger"])
def test_a_program_without_the_required_certificate_ends_with_an_error(
    files: Files, name: str, site: type[Site], tmp_path: Path, client: str | None
) -> None:
    own = getattr(files, client) if client else None
    with https_server(files, "required", handler=site) as url:
        outcome = run(name, url, files.ca, own, tmp_path)
    assert outcome.returncode != 0 and not result(name, tmp_path, outcome.stdout)


def test_a_program_refuses_a_strangers_server_in_the_words_of_veritls(
    files: Files, name: str, site: type[Site], tmp_path: Path
) -> None:
    with https_server(files, "none", certificate=files.stranger, handler=site) as url:
        outcome = run(name, url, files.ca, None, tmp_path)
    assert outcome.returncode != 0 and not result(name, tmp_path, outcome.stdout)
    words = re.sub(r"\s+", " ", outcome.stderr + outcome.stdout)
    assert "is missing: it is not in the trust set" in words
