"""OCSP with others: the responder of `openssl ocsp`, the client of `openssl s_client`, nginx's stapling."""

from __future__ import annotations

import os
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

import veritls
from tests.peers.peer import lacking, listening, running
from tests.revocation.answers import clients, code_in_handshake, serving
from tests.revocation.responses import REVOKED, SIGNS_RESPONSES, response
from tests.support.certificates import DAY, NOW, Party
from tests.support.connections import SECONDS, in_thread, tls_pair

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF = Party("localhost", MIDDLE)
DELEGATE = Party("Responder", MIDDLE, names=[], extra=[SIGNS_RESPONSES])
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def need(program: str) -> None:
    """Skips the test where a program is missing; under CI that is an error."""
    if lacking(program):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed")


def demanding() -> veritls.SSLContext:
    context = clients(ROOT.certificate)
    context.require_ocsp = True
    return context


@contextmanager
def openssl_responder(folder: Path, signer: Party, revoked: bool) -> Iterator[str]:
    """The address of a running `openssl ocsp`, which knows LEAF."""
    need("openssl")
    end, then = (f"{moment:%y%m%d%H%M%SZ}" for moment in (NOW + DAY, NOW))
    state = f"R\t{end}\t{then},keyCompromise" if revoked else f"V\t{end}\t"
    serial = f"{LEAF.certificate.serial_number:040X}"
    (folder / "index.txt").write_text(f"{state}\t{serial}\tunknown\t/CN=localhost\n")
    (folder / "signer.pem").write_bytes(signer.pem + signer.key_pem)
    (folder / "ca.pem").write_bytes(MIDDLE.pem)
    files: list[str | Path] = [
        "-index",
        folder / "index.txt",
        "-rsigner",
        folder / "signer.pem",
        "-CA",
        folder / "ca.pem",
    ]
    with running(["openssl", "ocsp", "-port", "0", *files, "-nmin", "5"]) as program:
        found = program.until(r"ACCEPT .*:(\d+)")
        assert found, program.output
        yield f"http://127.0.0.1:{found[1]}/"


def fetched_from(address: str) -> Any:
    """What a program would write to fetch responses."""

    def fetch(certificate: x509.Certificate, issuer: x509.Certificate | None) -> bytes:
        assert issuer is not None
        request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1()).build()
        body = request.public_bytes(Encoding.DER)
        headers = {"Content-Type": "application/ocsp-request"}
        with urllib.request.urlopen(
            urllib.request.Request(address, body, headers), timeout=SECONDS
        ) as answer:
            return bytes(answer.read())

    return fetch


@pytest.mark.parametrize("signer", [MIDDLE, DELEGATE], ids=["the issuer", "a delegate"])
def test_a_response_of_openssls_responder_is_stapled_and_believed_signed_by(
    signer: Party, tmp_path: Path
) -> None:
    server = serving(LEAF, MIDDLE)
    with openssl_responder(tmp_path, signer, revoked=False) as address:
        server.set_ocsp_response(fetched_from(address))
        server.set_ocsp_response(fetched_from(address)(LEAF.certificate, MIDDLE.certificate))
    with tls_pair(server, demanding()) as (_, end):
        assert end.get_verified_chain() == [LEAF.der, MIDDLE.der, ROOT.der]


def test_a_revocation_that_openssls_responder_tells_is_believed(tmp_path: Path) -> None:
    server = serving(LEAF, MIDDLE)
    with openssl_responder(tmp_path, DELEGATE, revoked=True) as address:
        with pytest.raises(ssl.SSLError, match="was revoked"):
            server.set_ocsp_response(fetched_from(address))
        revoked = fetched_from(address)(LEAF.certificate, MIDDLE.certificate)
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        clients(ROOT.certificate).verify_chain([LEAF.der, MIDDLE.der], ocsp_response=revoked)
    assert refused.value.verify_code == 23


def test_an_answer_is_found_among_several_in_one_response(tmp_path: Path) -> None:
    other = Party("localhost", MIDDLE)
    with openssl_responder(tmp_path, DELEGATE, revoked=False) as address:
        for name, party in {"leaf": LEAF, "other": other}.items():
            (tmp_path / f"{name}.pem").write_bytes(party.pem)
        asked: list[str | Path] = [
            "-issuer",
            tmp_path / "ca.pem",
            "-cert",
            tmp_path / "other.pem",
            "-cert",
            tmp_path / "leaf.pem",
        ]
        saved: list[str | Path] = ["-respout", tmp_path / "several.der", "-CAfile", tmp_path / "root.pem"]
        (tmp_path / "root.pem").write_bytes(ROOT.pem)
        with running(["openssl", "ocsp", "-url", address, *asked, *saved, "-noverify"]) as program:
            program.rest()
    several = (tmp_path / "several.der").read_bytes()
    assert len(list(ocsp.load_der_ocsp_response(several).responses)) == 2
    assert demanding().verify_chain([LEAF.der, MIDDLE.der], ocsp_response=several).trusted
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        demanding().verify_chain([other.der, MIDDLE.der], ocsp_response=several)
    assert refused.value.verify_code == 75


@pytest.mark.parametrize("version", VERSIONS)
def test_openssls_client_sees_what_we_staple(version: str, tmp_path: Path) -> None:
    need("openssl")
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    server = serving(LEAF, MIDDLE)
    for stapled, words in ((None, "OCSP response: no response sent"), (response(LEAF), "Cert Status: good")):
        server.set_ocsp_response(stapled)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS)

            def answer(listener: socket.socket = listener) -> None:
                raw, _ = listener.accept()
                raw.settimeout(SECONDS)
                with server.wrap_socket(raw, server_side=True) as end:
                    end.recv(1)

            serving_one = in_thread(answer)
            port = listener.getsockname()[1]
            to: list[str | Path] = [
                "-connect",
                f"127.0.0.1:{port}",
                "-servername",
                "localhost",
                "-CAfile",
                tmp_path / "ca.pem",
            ]
            options = ["-status", "-verify_return_error", f"-tls{version.replace('.', '_')}"]
            with running(["openssl", "s_client", *to, *options]) as program:
                assert program.until(words), program.output
                program.send(b"Q\n")
                program.rest()
            serving_one.result(SECONDS)


CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log stderr info;
events {{ }}
http {{
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5; access_log off;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/own.pem; ssl_certificate_key {folder}/own.pem;
        ssl_protocols TLSv1.2 TLSv1.3; ssl_stapling on; ssl_stapling_file {folder}/response.der;
        return 200 "pong\\n";
    }}
}}
"""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("stapled", "number"),
    [(response(LEAF), 0), (response(LEAF, signer=DELEGATE), 0), (response(LEAF, REVOKED), 23)],
    ids=["good", "good, by a delegate", "revoked"],
)
def test_what_nginx_staples_is_checked(version: str, stapled: bytes, number: int, tmp_path: Path) -> None:
    need("nginx")
    (tmp_path / "own.pem").write_bytes(LEAF.key_pem + LEAF.pem + MIDDLE.pem)
    (tmp_path / "response.der").write_bytes(stapled)

    def arguments(port: int) -> list[str | Path]:
        path = tmp_path / "nginx.conf"
        path.write_text(CONFIGURATION.format(folder=tmp_path, port=port))
        return ["nginx", "-e", "stderr", "-p", tmp_path, "-c", path]

    client = demanding()
    client.minimum_version = client.maximum_version = VERSIONS[version]
    with listening(arguments, "event method") as (_, port):
        raw = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        with raw:
            if number:
                with pytest.raises(ssl.SSLCertVerificationError) as refused:
                    client.wrap_socket(raw, server_hostname="localhost")
                assert refused.value.verify_code == number
                return
            with client.wrap_socket(raw, server_hostname="localhost") as end:
                end.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert end.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_certificate_that_demands_stapling_works_end_to_end(tmp_path: Path) -> None:
    feature = (x509.TLSFeature([x509.TLSFeatureType.status_request]), False)
    leaf = Party("localhost", MIDDLE, extra=[feature])
    server = serving(leaf, MIDDLE)
    assert code_in_handshake(clients(ROOT.certificate), server) == 73
    server.set_ocsp_response(response(leaf))
    assert code_in_handshake(clients(ROOT.certificate), server) == 0
