"""The example of FastAPI with mutual TLS: started as its first lines say, used and watched."""

from __future__ import annotations

import json
import re
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from tests.ecosystem.parties import library
from tests.operate.processes import program
from tests.operate.serving_ways import connected, get
from tests.support.connections import SECONDS

for name in ("fastapi", "uvicorn", "prometheus_client"):
    library(name)


def client(folder: Path, own: str | None = None) -> Any:
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if own is not None:
        context.load_cert_chain(folder / f"{own}.pem")
    return context


def shown(port: int, context: Any) -> bytes:
    with connected(port, context) as tls:
        der: bytes = tls.getpeercert(True)
        return der


def test_each_path_is_for_its_services_while_certificates_renew_and_refusals_are_counted() -> None:
    command = ("examples/fastapi_server.py", "--port", "0", "--metrics-port", "0", "--renew", "1")
    with program(*command) as server:
        port, metrics = map(int, re.findall(r"localhost:(\d+)", server.line()))
        tries = [server.line() for _ in range(7)]
        folder = Path(re.findall(r"--cacert (\S+)/ca\.crt", tries[1])[0])
        server.logged("Started server process")
        nobody, shop, admin, stock = (
            client(folder, own) for own in (None, "paris.shop.internal", "admin.internal", "stock.internal")
        )
        first = shown(port, nobody)
        assert get(port, nobody, "/health") == (200, b'{"status":"ok"}')
        assert json.loads(get(port, shop, "/orders")[1])["for"] == ["paris.shop.internal"]
        assert get(port, admin, "/orders")[0] == 200
        assert get(port, admin, "/admin/orders/7") == (200, b'{"number":7}')
        for refused, path in (
            (nobody, "/orders"),
            (stock, "/orders"),
            (shop, "/admin/orders/7"),
            (nobody, "/admin/orders/7"),
            (shop, "/health/../admin/orders/7"),
            (shop, "//admin/orders/7"),
            (admin, "/docs"),
            (admin, "/openapi.json"),
        ):
            assert get(port, refused, path)[0] == 403, path
        server.logged("generation 2")
        assert shown(port, nobody) != first
        line = server.logged("veritls.access: refused GET /admin/orders/7")
        assert "127.0.0.1:" in line
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=SECONDS) as answer:
            text = answer.read().decode()
        found = dict(
            re.findall(r'^veritls_requests_refused_total\{kind="(\w+)",scope="http"\} (\S+)$', text, re.M)
        )
        assert found == {"no_peer": "2.0", "not_allowed": "4.0", "unlisted": "2.0"}
        assert "veritls_handshakes_total{" in text and "veritls_material_loads_total{" in text
