"""What a key has to be for, in either version and for either side: as with `ssl`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.support.certificates import SERVES, Party, new_key
from tests.support.connections import client_context, server_context
from tests.support.memory import connect

V = ssl.TLSVersion
VERSION = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3], ids=lambda version: version.name)
KEY = pytest.mark.parametrize("key", ["ECDSA", "ED25519", "RSA"])


NAMES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def only(name: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{each: each == name for each in NAMES})


USAGES: dict[str, x509.KeyUsage | None] = {
    "none": None,
    **{name: only(name) for name in NAMES[:5]},
}


class Made:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Party("A CA", ca=True)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.root.pem)
        self.good = self.file("ECDSA", SERVES)

    def file(self, key: str, usage: x509.KeyUsage | None) -> Path:
        return Party("localhost", self.root, key=new_key(key), usage=usage).file(self.folder)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def contexts(made: Made, peer: str, file: Path, module: Any, version: Any) -> tuple[Any, Any]:
    """A server and a client; the `peer` shows the certificate of `file`, the other one is `module`'s."""
    modules = {"server": module, "client": module, peer: veritls}
    server = server_context(file if peer == "server" else made.good, modules["server"])
    client = client_context(made.ca, modules["client"])
    if peer == "client":
        client.load_cert_chain(file)
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(made.ca)
    client.minimum_version = client.maximum_version = version
    return server, client


@VERSION
@KEY
@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("peer", ["server", "client"])
def test_a_peer_is_refused_for_its_key_usage_where_ssl_refuses_it(
    made: Made, peer: str, usage: str, key: str, version: Any
) -> None:
    file = made.file(key, USAGES[usage])
    errors = []
    for module in (ssl, veritls):
        outcome = connect(*contexts(made, peer, file, module, version))
        errors.append(outcome.client_error if peer == "server" else outcome.server_error)
    theirs, ours = errors
    if not isinstance(theirs, ssl.SSLError):
        assert ours is None
        return
    assert theirs.reason in ("CERTIFICATE_VERIFY_FAILED", "BAD_ECC_CERT")
    assert isinstance(ours, ssl.SSLCertVerificationError)
    assert ours.verify_code == 26


@KEY
def test_a_server_whose_key_may_not_sign_is_told_and_the_verify_callback_is_not_asked(
    made: Made, key: str
) -> None:
    asked: list[Any] = []
    server, client = contexts(made, "server", made.file(key, USAGES["key_agreement"]), veritls, V.TLSv1_2)
    client.set_verify_callback(asked.append)
    outcome = connect(server, client)
    if key == "RSA":
        assert not outcome.refused and len(asked) == 1
        return
    assert outcome.server_error.reason == "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"
    assert asked == []
    error = outcome.client_error
    assert error.report.kind == "key_usage"
    assert "its key usage is keyAgreement" in str(error)


def test_a_client_that_verifies_nothing_goes_on(made: Made) -> None:
    file = made.file("ECDSA", USAGES["key_agreement"])
    server, client = contexts(made, "server", file, veritls, V.TLSv1_2)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    assert not connect(server, client).refused
