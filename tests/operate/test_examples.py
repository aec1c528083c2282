"""The example of a server that renews its certificates: started as its first lines say, used and watched."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from examples.rotating_server import swap
from tests.ecosystem.parties import library
from tests.operate.processes import Program, program
from tests.support.connections import SECONDS, client_context

library("prometheus_client")


@dataclass
class Running:
    """The example as it runs; `printed`: what it prints before it serves."""

    program: Program
    port: int
    metrics: int
    printed: list[str]

    def ask(self, context: Any) -> tuple[bytes, bytes]:
        """What the server answers, and its certificate."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while piece := tls.recv(10_000):
                answer += piece
            return answer, tls.getpeercert(True)

    def metric(self, line: str) -> float | None:
        """The value of the metric that `line` is the beginning of."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=SECONDS) as answer:
            found = re.search(rf"^{re.escape(line)} (\S+)$", answer.read().decode(), re.M)
        return float(found[1]) if found else None


@contextmanager
def serving(*arguments: str, more: int = 0) -> Iterator[Running]:
    """The example; it prints `more` lines after the first."""
    command = ("examples/rotating_server.py", "--port", "0", "--metrics-port", "0", *arguments)
    with program(*command) as running:
        first = running.line()
        port, metrics = re.findall(r"localhost:(\d+)", first)
        yield Running(running, int(port), int(metrics), [running.line() for _ in range(more)])


class Authority:
    """A CA that writes into the folder of the server, as Kubernetes does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.swap()

    def swap(self, key: bytes | None = None) -> bytes:
        """A new certificate of the server, in DER. `key`: another file than its key's."""
        leaf = self.ca.issue_cert("localhost")
        certificate = leaf.cert_chain_pems[0].bytes()
        files = {
            "tls.crt": certificate,
            "tls.key": key or leaf.private_key_pem.bytes(),
            "ca.crt": self.ca.cert_pem.bytes(),
        }
        swap(self.folder, files)
        return ssl.PEM_cert_to_DER_cert(certificate.decode())

    def client(self) -> Any:
        context = client_context(self.folder / "ca.crt")
        with self.ca.issue_cert("client@example.org").private_key_and_cert_chain_pem.tempfile() as path:
            context.load_cert_chain(path)
        return context


def test_a_server_goes_on_with_what_its_files_contain_and_shows_and_logs_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serving("--folder", str(tmp_path)) as server:
        client = authority.client()
        answer, _ = server.ask(client)
        assert answer.endswith(b"Hello, client@example.org.\n")

        for generation in (2, 3):  # twice: a watch can be lost with the first directory
            new = authority.swap()
            server.program.logged(f"generation {generation}")
            assert server.ask(client)[1] == new
        source = f'source="files {tmp_path}"'
        assert server.metric(f"veritls_material_loads_total{{{source}}}") == 3
        expiry = server.metric(f'veritls_material_not_after_timestamp_seconds{{kind="identity",{source}}}')
        assert expiry is not None and expiry > 0

        with pytest.raises(OSError):
            server.ask(client_context(tmp_path / "ca.crt"))
        line = server.program.logged("refused the client")
        assert "WARNING veritls.handshake" in line
        assert "127.0.0.1:" in line and "[peer_did_not_return_a_certificate]" in line
        refused = 'kind="peer_did_not_return_a_certificate",outcome="refused",resumed="",side="server"'
        assert server.metric(f'veritls_handshakes_total{{{refused},version="TLSv1.3"}}') == 1

        authority.swap(key=b"no key")
        server.program.logged("WARNING veritls.material")
        assert server.ask(client)[1] == new
        assert server.metric(f"veritls_material_failing{{{source}}}")
        new = authority.swap()
        server.program.logged("generation 4")
        assert server.ask(client)[1] == new
        assert server.metric(f"veritls_material_failing{{{source}}}") == 0


def folder_in(line: str) -> str:
    found = re.search(r"(\S+)/ca.crt", line)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("starts", "succeeds", "shows"),
    [
        ("curl --cacert {}/ca.crt --cert", True, "Hello, client@example.org."),
        ("curl --cacert {}/ca.crt https", False, ""),
        ("openssl", True, "Verification: OK"),
        ("curl --silent", True, "veritls_material_generation"),
    ],
)
def test_what_it_prints_to_try_does_what_it_says(starts: str, succeeds: bool, shows: str) -> None:
    missing = [name for name in ("curl", "openssl") if shutil.which(name) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {missing}")
    with serving("--renew", "1000", more=5) as server:
        (command,) = (
            line.partition("#")[0].strip()
            for line in server.printed
            if line.strip().startswith(starts.format(folder_in(line)))
        )
        done = subprocess.run(
            ["bash", "-c", command], input="", capture_output=True, text=True, timeout=SECONDS, check=False
        )
    assert (done.returncode == 0) == succeeds, done.stderr
    assert shows in done.stdout + done.stderr


def test_it_renews_the_certificates_that_it_made(tmp_path: Path) -> None:
    with serving("--renew", "0.5", more=5) as server:
        server.program.logged("generation 3")
        folder = folder_in(server.printed[1])
        context = client_context(Path(folder, "ca.crt"))
        context.load_cert_chain(Path(folder, "client.pem"))
        assert server.ask(context)[0].endswith(b"Hello, client@example.org.\n")
    assert not Path(folder).exists()
