"""FastAPI under uvicorn, with mutual TLS: certificates that renew themselves, and paths for single services.

    pip install 'veritls[fastapi,metrics,reload]' trustme
    python examples/fastapi_server.py

makes a CA and certificates in a temporary folder, renews the server's every 30 seconds, and prints what to
try. With `--folder` they are those that others keep there, such as a mounted secret of Kubernetes: tls.crt
and tls.key, and in ca.crt the CAs of the clients. Refusals are in the log, and counted in the metrics.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import prometheus_client
import uvicorn
from fastapi import Depends, FastAPI

import veritls
from veritls import DNSPattern
from veritls.events import prometheus
from veritls.serving import ANY_PEER, ANYONE, Peer, RequirePeer, require_peer
from veritls.serving.uvicorn import options
from veritls.sources import FileSource

ADMIN = DNSPattern("admin.internal")
SHOPS = DNSPattern("*.shop.internal")

application = FastAPI(title="Orders")


@application.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@application.get("/orders")
async def orders(peer: Annotated[Peer, Depends(require_peer(SHOPS, ADMIN))]) -> dict[str, Any]:
    return {"for": [value for kind, value in peer.names if kind == "DNS"], "orders": []}


@application.get("/admin/orders/{number}")
@require_peer(ADMIN)  # again, for whoever takes the middleware away
async def order(number: int) -> dict[str, int]:
    return {"number": number}


app = RequirePeer(application, {"/health": ANYONE, "/orders": ANY_PEER, "/admin": [ADMIN]})
"""What is not listed, such as /docs, is for nobody."""


def make_context(folder: Path) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL  # for /health; a certificate that is shown has to be good
    context.follow(FileSource(cert=folder / "tls.crt", key=folder / "tls.key", trust=folder / "ca.crt"))
    return context


@contextlib.contextmanager
def made(seconds: float) -> Iterator[Path]:
    """A folder with certificates of a CA of its own; the server's are renewed every `seconds`."""
    import trustme

    def write(name: str, content: bytes) -> None:
        (folder / f"{name}.new").write_bytes(content)
        os.replace(folder / f"{name}.new", folder / name)

    def renew() -> None:
        leaf = ca.issue_cert("localhost", "127.0.0.1")
        # For a moment the certificate is new and the key old: the context waits for the other half.
        write("tls.crt", b"".join(each.bytes() for each in leaf.cert_chain_pems))
        write("tls.key", leaf.private_key_pem.bytes())

    def keep_renewing() -> None:
        while not ended.wait(seconds):
            renew()

    ca, ended = trustme.CA(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="veritls-example-") as name:
        folder = Path(name)
        write("ca.crt", ca.cert_pem.bytes())
        for client in ("admin.internal", "paris.shop.internal", "stock.internal"):
            write(f"{client}.pem", ca.issue_cert(client).private_key_and_cert_chain_pem.bytes())
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
    given: Any = options(lambda: make_context(folder))
    config = uvicorn.Config(app, log_config=None, **given)
    config.load()
    with socket.create_server(("127.0.0.1", port)) as listener:
        place = f"localhost:{listener.getsockname()[1]}"
        scraped = f"http://localhost:{metrics.server_port}/metrics"
        print(f"Serving https://{place}, and metrics at {scraped}")
        if (folder / "admin.internal.pem").exists():
            asks = f"curl --cacert {folder}/ca.crt"
            print("Try, in another window:")
            print(f"  {asks} https://{place}/health")
            print(f"  {asks} --cert {folder}/paris.shop.internal.pem https://{place}/orders")
            print(f"  {asks} --cert {folder}/admin.internal.pem https://{place}/admin/orders/7")
            print(f"  {asks} --cert {folder}/stock.internal.pem https://{place}/orders     # 403")
            print(f"  {asks} --path-as-is https://{place}/health/../admin/orders/7     # 403")
            print(f"  curl --silent {scraped} | grep ^veritls")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listener])


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
    folder = contextlib.nullcontext(given.folder) if given.folder else made(given.renew)
    with folder as place, contextlib.suppress(KeyboardInterrupt):
        serve(place, given.port, given.metrics_port)


if __name__ == "__main__":
    main()
