"""Chains of other trust domains, presented over the wire by Go's crypto/tls and by OpenSSL."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.peers.programs import PROGRAMS, Go, Program
from tests.support.certificates import Party
from tests.support.connections import SECONDS, in_thread, raw_pair
from tests.trust.domains import A_CA, B_CA, A, B, client, server, uri

HOST = x509.DNSName("localhost")
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
MIDDLE, CROSSED = Party("Middle", A_CA, ca=True), Party(B_CA.name, A_CA, ca=True)
BY_B_S_KEY = Party(B_CA.name, A_CA, ca=True, key=B_CA.key)

CHAINS: dict[str, tuple[Party, list[Party], bool]] = {
    "of A": (A_CA.issue(HOST, uri(f"spiffe://{A}/web")), [], True),
    "of A, with its root": (A_CA.issue(HOST, uri(f"spiffe://{A}/web")), [A_CA], True),
    "of A, by an intermediate": (MIDDLE.issue(HOST, uri(f"spiffe://{A}/web")), [MIDDLE], True),
    "of B": (B_CA.issue(HOST, uri(f"spiffe://{B}/web")), [], True),
    "of B, with a cross-certificate of A": (
        B_CA.issue(HOST, uri(f"spiffe://{B}/web")),
        [BY_B_S_KEY, A_CA],
        True,
    ),
    "A for B": (A_CA.issue(HOST, uri(f"spiffe://{B}/web")), [], False),
    "A for B, with both roots": (A_CA.issue(HOST, uri(f"spiffe://{B}/web")), [A_CA, B_CA], False),
    "A for B, by an intermediate": (MIDDLE.issue(HOST, uri(f"spiffe://{B}/web")), [MIDDLE, A_CA], False),
    "A for B, under B's name": (CROSSED.issue(HOST, uri(f"spiffe://{B}/web")), [CROSSED, A_CA], False),
    "of an unknown domain": (A_CA.issue(HOST, uri("spiffe://c.example/web")), [], False),
    "no URI": (A_CA.issue(HOST), [], False),
    "two URIs": (A_CA.issue(HOST, uri(f"spiffe://{A}/web"), uri(f"spiffe://{B}/web")), [], False),
    "no path": (A_CA.issue(HOST, uri(f"spiffe://{A}")), [], False),
    "upper case": (A_CA.issue(HOST, uri(f"spiffe://{A.upper()}/web")), [], False),
}
chains = pytest.mark.parametrize("chain", CHAINS)
versions = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture(scope="module")
def go() -> Iterator[Program]:
    [peer] = [each for each in PROGRAMS if isinstance(each, Go)]
    if missing := peer.missing():  # a machine of one's own may lack Go; CI installs it
        if os.environ.get("CI"):
            pytest.fail(f"{missing} is missing")
        pytest.skip(f"{missing} is missing")
    yield peer
    peer.close()


@pytest.fixture
def fields(chain: str, version: str, tmp_path: Path) -> dict[str, Any]:
    """What the other side presents, and trusts."""
    own, above, _ = CHAINS[chain]
    ca = tmp_path / "ca.pem"
    ca.write_bytes(A_CA.pem)
    return {
        "version": version,
        "mode": "required",
        "certificate": own.file(tmp_path, *above),
        "ca": ca,
        "times": 1,
    }


def _ours(make: Any, version: str) -> Any:
    context = make(CHAINS["of A"][0])
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def _served(context: Any, raw: socket.socket) -> bool:
    with raw:
        raw.settimeout(SECONDS)
        try:
            with context.wrap_socket(raw, server_side=True) as end:
                end.recv(100)
                end.sendall(b"pong\n")
        except ssl.SSLCertVerificationError:
            return False
    return True


def _asked(context: Any, raw: socket.socket) -> bool:
    with raw:
        raw.settimeout(SECONDS)
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as end:
                end.sendall(b"ping\n")
                end.recv(100)
        except ssl.SSLCertVerificationError:
            return False
    return True


@versions
@chains
class TestGo:
    """Go, which sends whatever it is told to."""

    def test_a_client_is_let_in_only_where_its_own_ca_vouches_for_it(
        self, go: Program, chain: str, version: str, fields: dict[str, Any]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS)
            process, _ = go._started()
            process.ask(role="client", port=listener.getsockname()[1], **fields)
            raw, _ = listener.accept()
            accepted = _served(_ours(server, version), raw)
        assert accepted is process.outcome().established is CHAINS[chain][2]

    def test_a_server_is_trusted_only_where_its_own_ca_vouches_for_it(
        self, go: Program, chain: str, version: str, fields: dict[str, Any]
    ) -> None:
        process, _ = go._started()
        process.ask(role="server", port=0, **fields)
        port = int(process.answer("port=")["port"])
        accepted = _asked(_ours(client, version), socket.create_connection(("127.0.0.1", port), SECONDS))
        assert accepted is process.outcome().established is CHAINS[chain][2]


@versions
@chains
class TestOpenSSL:
    """The interpreter's `ssl`."""

    def test_a_client_is_let_in_only_where_its_own_ca_vouches_for_it(
        self, chain: str, version: str, fields: dict[str, Any]
    ) -> None:
        theirs = ssl.create_default_context(cafile=fields["ca"])
        theirs.load_cert_chain(fields["certificate"])
        server_raw, client_raw = raw_pair()
        serving = in_thread(_served, _ours(server, version), server_raw)
        with (
            suppress(OSError),
            client_raw,
            theirs.wrap_socket(client_raw, server_hostname="localhost") as end,
        ):
            end.sendall(b"ping\n")
            end.recv(100)
        assert serving.result(SECONDS) is CHAINS[chain][2]

    def test_a_server_is_trusted_only_where_its_own_ca_vouches_for_it(
        self, chain: str, version: str, fields: dict[str, Any]
    ) -> None:
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(fields["certificate"])
        server_raw, client_raw = raw_pair()

        def serve() -> None:
            with suppress(OSError), server_raw, theirs.wrap_socket(server_raw, server_side=True) as end:
                end.sendall(b"pong\n")
                end.recv(100)

        serving = in_thread(serve)
        assert _asked(_ours(client, version), client_raw) is CHAINS[chain][2]
        serving.result(SECONDS)
