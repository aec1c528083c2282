"""Versions, suites, groups, options, key log: what is set holds on the wire, as with `ssl`."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import veritls
from tests.conftest import Files
from tests.support.connections import client_context, server_context, tls_pair
from veritls._connection.state import ConnectionState
from veritls._context import cipher_suites as ciphers

V = ssl.TLSVersion
OURS = {suite.name for suite in ciphers.DEFAULT_TLS12}

STRINGS = [
    "DEFAULT",
    "ALL",
    "HIGH:!aNULL:!MD5",
    "ECDHE+AESGCM",
    "ECDHE+AESGCM:ECDHE+CHACHA20:!aRSA",
    "AES128:AES256",
    "AES256:eNULL",
    "ECDHE+CHACHA20:ECDHE+AESGCM",
    "ALL:-AES128",
    "ALL:-AES128:AES128",
    "ALL:!AES128:AES128",
    "ALL:+AES256",
    "CHACHA20:ALL:@STRENGTH",
    "ECDHE+AES128:ECDHE+AES256:@STRENGTH",
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
    "aECDSA",
    "ECDSA:!CHACHA20",
    "DEFAULT:@SECLEVEL=2",
    "EECDH+aRSA+AESGCM:nonsense",
    "DEFAULT@SECLEVEL=1",
    "FIPS",
    "SUITEB128C2",
    "SUITEB192",
    "TLSv1",
    "SSLv3",
    "kEDH",
    "aNULL",
    "DEFAULT:!AESGCM:!CHACHA20",
    "ECDHE-RSA-AES128-SHA:AES128-SHA",
]


@pytest.mark.parametrize("text", STRINGS)
def test_a_cipher_string_selects_what_it_selects_with_ssl_of_what_exists(text: str) -> None:
    ours, theirs = (module.SSLContext(module.PROTOCOL_TLS_CLIENT) for module in (veritls, ssl))
    for context in (ours, theirs):
        context.set_ciphers(text)
    names = ([suite["name"] for suite in context.get_ciphers()] for context in (ours, theirs))
    selected, wanted = ([name for name in each if name in OURS] for each in names)
    assert set(selected) == set(wanted)
    if "DEFAULT" not in text:
        assert selected == wanted


@pytest.mark.parametrize(
    "text", ["", ":", "NONE", "!ALL", "nonsense", "TLS_AES_128_GCM_SHA256", "^$:,;?*'dorothyx"]
)
def test_a_cipher_string_that_means_nothing_to_ssl_is_refused_and_changes_nothing(text: str) -> None:
    ours, theirs = (module.SSLContext(module.PROTOCOL_TLS_CLIENT) for module in (veritls, ssl))
    before = ours.get_ciphers()
    for context in (ours, theirs):
        with pytest.raises(ssl.SSLError, match="No cipher can be selected"):
            context.set_ciphers(text)
    assert ours.get_ciphers() == before


@pytest.mark.parametrize("text", ["", "nonsense", "TLSv1", "DEFAULT:@SECLEVEL=3"])
def test_a_level_and_a_tls13_suite_that_do_not_exist_are_refused(text: str) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    before = context.get_ciphers()
    with pytest.raises(ssl.SSLError):
        context.set_ciphersuites(text)
    with pytest.raises(ssl.SSLError):
        context.set_ciphers(text.replace("TLSv1", "@SECLEVEL=9"))
    assert context.get_ciphers() == before


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_cipher_string_without_a_suite_of_ours_leaves_tls13_as_with_ssl(files: Files, side: str) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    chosen = server if side == "server" else client
    chosen.set_ciphers("TLSv1")
    with tls_pair(server, client) as (server_end, client_end):
        assert client_end.version() == server_end.version() == "TLSv1.3"
    chosen.maximum_version = V.TLSv1_2
    with pytest.raises(ssl.SSLError):
        chosen.wrap_bio(
            ssl.MemoryBIO(), ssl.MemoryBIO(), side == "server", "localhost" if side == "client" else None
        )


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_selected_tls12_suite_is_the_one_that_is_spoken(files: Files, name: str) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    client.maximum_version = V.TLSv1_2
    client.set_ciphers(name)
    if "RSA" in name:
        with pytest.raises(ssl.SSLError), tls_pair(server, client):  # trustme's keys are ECDSA
            pass
        return
    with tls_pair(server, client) as (server_end, client_end):
        assert client_end.cipher()[0] == server_end.cipher()[0] == name
        assert server_end.shared_ciphers() == [client_end.cipher()]
        assert client_end.shared_ciphers() is None


def test_the_description_of_a_suite_is_that_of_ssl() -> None:
    theirs = {suite["name"]: suite for suite in ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).get_ciphers()}
    for suite in veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT).get_ciphers():
        expected = theirs[suite["name"]]
        assert {**suite, "description": ""} == {**expected, "description": ""}
        assert suite["description"].split() == expected["description"].split()


@pytest.mark.parametrize("name", ["X25519MLKEM768", "x25519", "secp256r1", "secp384r1"])
@pytest.mark.parametrize("side", ["server", "client"])
def test_the_selected_group_is_the_one_that_is_used(files: Files, name: str, side: str) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    (server if side == "server" else client).set_groups(name)
    with tls_pair(server, client) as (server_end, client_end):
        assert server_end.group() == client_end.group() == name
    assert veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT).get_groups()[0] == "X25519MLKEM768"


def test_unknown_groups_are_refused() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLError, match="foo"):
        context.set_groups("x25519:foo")
    context.set_groups("?foo:P-256")
    assert context.get_groups() == ["secp256r1"]
    assert context.get_groups(include_aliases=True) == ["secp256r1", "prime256v1", "P-256"]
    with pytest.raises(ValueError, match="foo"):
        context.set_ecdh_curve("foo")
    context.set_ecdh_curve(b"secp384r1")
    assert context.get_groups() == ["secp384r1"]


def test_options_that_forbid_a_version_forbid_it(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    with pytest.warns(DeprecationWarning):
        client.options |= ssl.OP_NO_TLSv1_3
    with tls_pair(server, client) as (_, end):
        assert end.version() == "TLSv1.2"
    with pytest.warns(DeprecationWarning):
        server.options |= ssl.OP_NO_TLSv1_2
    with pytest.raises(ssl.SSLError), tls_pair(server, client):
        pass
    with pytest.warns(DeprecationWarning):
        client.options |= ssl.OP_NO_TLSv1_2
    with pytest.raises(ssl.SSLError, match="NO_PROTOCOLS_AVAILABLE"):
        client.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname="localhost")


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_the_key_log_has_the_same_secrets_on_both_sides(
    files: Files, tmp_path: Path, version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    client.maximum_version = version
    server.keylog_filename, client.keylog_filename = tmp_path / "server.log", str(tmp_path / "client.log")
    with tls_pair(server, client):
        pass
    here, there = ((tmp_path / name).read_text().splitlines() for name in ("client.log", "server.log"))
    assert here[0].startswith("#") and len(here) > 1 and set(here) == set(there)
    with pytest.raises(OSError):
        client.keylog_filename = tmp_path / "missing" / "file"
    assert client.keylog_filename == str(tmp_path / "client.log")
    client.keylog_filename = None
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "third.log"))
    assert veritls.create_default_context(cafile=files.ca).keylog_filename == str(tmp_path / "third.log")


def test_a_key_log_is_made_for_its_owner_alone_and_one_that_exists_keeps_its_mode(
    files: Files, tmp_path: Path, no_mask: None
) -> None:
    fresh, gone, known, link, dangling = (
        tmp_path / name for name in ("fresh", "gone", "known", "link", "dangling")
    )
    known.write_text("")
    known.chmod(0o640)
    link.symlink_to(known)
    dangling.symlink_to(tmp_path / "target")
    for path in (fresh, gone, known, link, dangling):
        server, client = server_context(files.server), client_context(files.ca)
        client.keylog_filename = path
        if path == gone:
            path.unlink()  # the engine makes it again
        with tls_pair(server, client):
            pass
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {
        "fresh": 0o600,
        "gone": 0o600,
        "known": 0o640,
        "link": 0o640,
        "dangling": 0o600,
        "target": 0o600,
    }
    assert link.is_symlink() and dangling.is_symlink()


@pytest.fixture
def no_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_both_sides_have_the_same_end_point_binding_as_ssl(files: Files) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server_end, client_end):
        binding = client_end.get_channel_binding("tls-server-end-point")
        certificate = x509.load_der_x509_certificate(client_end.getpeercert(True))
        assert binding == server_end.get_channel_binding("tls-server-end-point")
        assert binding == hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
        for unknown in ("tls-unique", "tls-exporter", "foo"):
            with pytest.raises(ValueError, match=unknown):
                client_end.get_channel_binding(unknown)


@pytest.mark.parametrize("on_server", [True, False])
def test_without_a_server_certificate_there_is_no_end_point_binding(on_server: bool) -> None:
    class WithoutCertificates(ConnectionState):
        def _agreed(self) -> Any:
            return SimpleNamespace(own_certificate=None, peer_chain=None)

        def _is_server(self) -> bool:
            return on_server

    assert WithoutCertificates().get_channel_binding("tls-server-end-point") is None


def test_what_is_not_offered_says_so() -> None:
    context: Any = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    assert context.post_handshake_auth is None
    assert context.security_level == 2
    with pytest.raises(AttributeError):
        context.post_handshake_auth = True
    calls: list[Callable[[], object]] = [
        lambda: context.set_npn_protocols(["http/1.1"]),
        lambda: context.set_psk_client_callback(None),
        lambda: context.set_psk_server_callback(None),
        lambda: context._wrap_socket(),
        lambda: context._wrap_bio(),
    ]
    for refused in calls:
        with pytest.raises(NotImplementedError):
            refused()
    with pytest.raises(ValueError, match="common_name"):
        context.hostname_checks_common_name = True
    with pytest.raises(ValueError, match="PROXY"):
        context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
