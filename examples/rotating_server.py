"""An HTTPS server that asks for certificates, whose own renew themselves, with metrics and a log.

    pip install 'veritls[metrics,reload]' trustme
    python examples/rotating_server.py

makes a CA and certificates in a temporary folder, renews the server's every 30 seconds, and prints what to
try. With `--folder` they are those that others keep there, such as a mounted secret of Kubernetes:
tls.crt and tls.key, and in ca.crt the CAs of the clients.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import logging
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client

import veritls
from veritls.events import prometheus
from veritls.sources import FileSource


class Handler(http.server.BaseHTTPRequestHandler):
    """Says whom the client's certificate names."""

    timeout = 10
    connection: veritls.SSLSocket

    def do_GET(self) -> None:
        certificate: Any = self.connection.getpeercert() or {}
        names = ", ".join(value for _, value in certificate.get("subjectAltName", ()))
        body = f"Hello, {names or 'client without a name'}.\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        logging.info("%s: %s", self.client_address[0], format % args)


class Server(http.server.ThreadingHTTPServer):
    """A handshake is made in the thread of its connection, by the first read."""

    def __init__(self, port: int, context: veritls.SSLContext) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.context = context

    def get_request(self) -> tuple[Any, Any]:
        plain: socket.socket
        plain, address = super().get_request()
        return self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A refusal is in the log of `veritls.handshake`; this is for all other errors."""
        if not isinstance(sys.exception(), OSError):
            logging.exception("of %s", client_address)


def swap(folder: Path, files: dict[str, bytes]) -> None:
    """Replaces all files at once, as Kubernetes does: each name leads through the link `..data`."""
    new = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    for name, content in files.items():
        (new / name).write_bytes(content)
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(Path("..data", name))
    data = folder / "..data"
    former = os.readlink(data) if data.is_symlink() else None
    (folder / "..data_tmp").symlink_to(new.name)
    os.replace(folder / "..data_tmp", data)
    if former is not None:
        shutil.rmtree(folder / former)


@contextlib.contextmanager
def made(seconds: float) -> Iterator[Path]:
    """A folder with certificates of a CA of its own; the server's are renewed every `seconds`."""
    import trustme

    def renew() -> None:
        leaf = ca.issue_cert("localhost", "127.0.0.1")
        chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
        files = {"tls.crt": chain, "tls.key": leaf.private_key_pem.bytes(), "ca.crt": ca.cert_pem.bytes()}
        swap(folder, files)

    def keep_renewing() -> None:
        while not ended.wait(seconds):
            renew()

    ca, ended = trustme.CA(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="veritls-example-") as name:
        folder = Path(name)
        client = ca.issue_cert("client@example.org")
        (folder / "client.pem").write_bytes(client.private_key_and_cert_chain_pem.bytes())
        renew()
        renewing = threading.Thread(target=keep_renewing)
        renewing.start()
        try:
            yield folder
        finally:
            ended.set()
            renewing.join()


def serve(folder: Path, port: int, metrics_port: int) -> None:
    prometheus.export()
    metrics, _ = prometheus_client.start_http_server(metrics_port, "127.0.0.1")
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.follow(FileSource(cert=folder / "tls.crt", key=folder / "tls.key", trust=folder / "ca.crt"))
    with Server(port, context) as server:
        place, scraped = f"localhost:{server.server_port}", f"http://localhost:{metrics.server_port}/metrics"
        print(f"Serving https://{place}, and metrics at {scraped}")
        if (folder / "client.pem").exists():
            ca, own = f"{folder}/ca.crt", f"{folder}/client.pem"
            print("Try, in another window:")
            print(f"  curl --cacert {ca} --cert {own} https://{place}/")
            print(f"  curl --cacert {ca} https://{place}/     # refused, and in the log")
            print(f"  openssl s_client -connect {place} -CAfile {ca} -cert {own} -brief")
            print(f"  curl --silent {scraped} | grep ^veritls")
        sys.stdout.flush()
        server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="with tls.crt, tls.key and ca.crt")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--metrics-port", type=int, default=9464)
    parser.add_argument("--renew", type=float, default=30, metavar="SECONDS")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    folder = contextlib.nullcontext(given.folder) if given.folder else made(given.renew)
    with folder as place, contextlib.suppress(KeyboardInterrupt):
        serve(place, given.port, given.metrics_port)


if __name__ == "__main__":
    main()
