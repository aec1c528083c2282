"""Two sides with nothing in common: which reason the server is given."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import veritls
from tests.conftest import Files
from tests.support.certificates import Party
from tests.support.connections import SECONDS, client_context, in_thread, server_context
from tests.support.memory import connect

V = ssl.TLSVersion
SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")


def refused(server: Any, client: Any) -> ssl.SSLError:
    """The server's error."""
    error = connect(server, client).server_error
    assert isinstance(error, ssl.SSLError)
    return error


@pytest.mark.parametrize(("at_server", "at_client"), [(V.TLSv1_3, V.TLSv1_2), (V.TLSv1_2, V.TLSv1_3)])
def test_no_version_in_common_is_an_unsupported_protocol(
    files: Files, at_server: ssl.TLSVersion, at_client: ssl.TLSVersion
) -> None:
    server, client = server_context(files.server), client_context(files.ca, ssl)
    server.minimum_version = server.maximum_version = at_server
    client.minimum_version = client.maximum_version = at_client
    assert refused(server, client).reason == "UNSUPPORTED_PROTOCOL"


def test_no_cipher_suite_in_common_is_no_shared_cipher(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca, ssl)
    for context, suite in zip((server, client), SUITES, strict=True):
        context.minimum_version = context.maximum_version = V.TLSv1_2
        context.set_ciphers(suite)
    assert refused(server, client).reason == "NO_SHARED_CIPHER"


def test_no_group_in_common_is_a_handshake_failure(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca, ssl)
    server.set_ecdh_curve("prime256v1")
    client.set_ecdh_curve("secp384r1")
    assert refused(server, client).reason == "HANDSHAKE_FAILURE_ON_CLIENT_HELLO"


def test_a_server_without_a_certificate_is_told_so(files: Files) -> None:
    error = refused(veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER), client_context(files.ca, ssl))
    assert error.reason == "NO_SHARED_CIPHER"
    assert "no certificate is loaded on this server" in str(error)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("keys", [1, 2])
def test_a_server_whose_keys_make_none_of_the_clients_signatures_refuses_with_an_alert(
    tmp_path: Path, version: str, keys: int
) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    for number in range(keys):
        name = f"{number}.example"
        party = Party(name, names=[name], key=ec.generate_private_key(ec.SECP384R1()))
        server.load_cert_chain(party.file(tmp_path))
    listener = socket.create_server(("127.0.0.1", 0))
    command = ["openssl", "s_client", version, "-sigalgs", "ECDSA+SHA256", "-connect"]
    command.append(f"127.0.0.1:{listener.getsockname()[1]}")
    with listener:
        client = in_thread(subprocess.run, command, input=b"", capture_output=True, timeout=SECONDS)
        listener.settimeout(SECONDS)
        raw, _ = listener.accept()
    raw.settimeout(SECONDS)
    with raw, pytest.raises(ssl.SSLError) as caught:
        server.wrap_socket(raw, server_side=True)
    assert caught.value.reason == "HANDSHAKE_FAILURE_ON_CLIENT_HELLO"
    assert "no signature algorithm" in str(caught.value)
    assert b"sslv3 alert handshake failure" in client.result(SECONDS).stderr
