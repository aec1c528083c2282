"""`veritls check` of servers with nothing in common: what they speak, by Python's own `ssl`."""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.check_servers import DIALOGUES, Server, at_once, says, serving
from tests.peers.peer import lacking, listening
from tests.support.certificates import Party, new_key
from tests.test_check import as_json
from veritls.cli import older

ALL = "ALL:@SECLEVEL=0"
OLD = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key that old suites use, and its certificate."""
    return Party("old", key=new_key("RSA")).file(tmp_path_factory.mktemp("older"))


@contextmanager
def old(
    own: Path,
    oldest: Any,
    newest: Any,
    ciphers: str = ALL,
    dialogue: Any = at_once,
    mode: ssl.VerifyMode = ssl.CERT_NONE,
) -> Iterator[Server]:
    """A server of Python's own `ssl`, which OpenSSL's default would not let speak these."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.verify_mode = mode
    made.set_ciphers(ciphers)
    made.load_cert_chain(own)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        made.minimum_version, made.maximum_version = oldest, newest
    with serving(made, dialogue) as server:
        yield server
        server.finish()
        assert server.data == b""


def problem(server: object, *arguments: object) -> str:
    [result] = as_json(server, "--timeout", 5, *arguments)
    assert result["status"] == "no connection" and result["report"] is None
    return str(result["problem"])


@pytest.mark.parametrize("version", OLD)
def test_a_server_that_speaks_an_old_version_only_is_told_so(version: str, own: Path) -> None:
    with old(own, ssl.TLSVersion.TLSv1, OLD[version]) as server:
        assert problem(server) == (
            f"the server speaks {version} at best, which RFC 8996 forbids: have it offer TLS 1.2 or 1.3"
        )


@pytest.mark.parametrize("version", OLD)
def test_so_is_one_that_requires_a_client_certificate(version: str, own: Path) -> None:
    with old(own, ssl.TLSVersion.TLSv1, OLD[version], mode=ssl.CERT_REQUIRED) as server:
        assert f"the server speaks {version} at best" in problem(server)


def test_a_server_with_other_cipher_suites_that_requires_a_client_certificate_is_told_which(
    own: Path,
) -> None:
    suite, mode = "AES256-SHA256", ssl.CERT_REQUIRED
    with old(
        own, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, f"{suite}:@SECLEVEL=0", mode=mode
    ) as server:
        assert problem(server).endswith(f"with OpenSSL it agrees on TLSv1.2 and {suite}")


@pytest.mark.parametrize("protocol", ["smtp", "postgres"])
def test_an_old_server_is_told_so_after_starttls(protocol: str, own: Path) -> None:
    with old(own, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1, dialogue=DIALOGUES[protocol]) as server:
        assert "speaks TLS 1.0 at best" in problem(server, "--starttls", protocol)


def test_a_server_with_other_cipher_suites_is_told_which(own: Path) -> None:
    with old(own, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, "AES256-SHA256:@SECLEVEL=0") as server:
        assert problem(server) == (
            "the server ended the handshake (alert handshake failure); "
            "with OpenSSL it agrees on TLSv1.2 and AES256-SHA256"
        )


@pytest.mark.skipif(lacking("gnutls-serv") is not None, reason="gnutls-serv is not installed")
def test_an_old_server_of_gnutls_is_told_so(own: Path) -> None:
    common = ["--priority=NORMAL:-VERS-ALL:+VERS-TLS1.0", f"--x509certfile={own}", f"--x509keyfile={own}"]
    with listening(lambda port: ["gnutls-serv", "--echo", "--port", str(port), *common], r"IPv4 .*done") as (
        _,
        port,
    ):
        assert "speaks TLS 1.0 at best" in problem(f"127.0.0.1:{port}")


def test_where_openssl_cannot_speak_old_versions_the_alert_is_told(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(older, "context", lambda: None)
    with old(own, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1) as server:
        assert problem(server) == "the server speaks neither TLS 1.2 nor TLS 1.3 (alert protocol version)"


def test_an_openssl_without_them_makes_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, _: str) -> None:
        raise ssl.SSLError("no cipher match")

    monkeypatch.setattr(ssl.SSLContext, "set_ciphers", refuse)
    assert older.context() is None


def test_a_server_that_ends_at_once_is_connected_to_twice_at_most(own: Path) -> None:
    with old(own, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, dialogue=says(b"")) as server:
        assert re.search("EOF|reset", problem(server))
        assert len(server.talking) == 2


@pytest.mark.parametrize("warn", ["error", "default"])
def test_the_context_is_made_without_a_warning(warn: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(warn)
        made = older.context()
    assert made is not None
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_NONE, False)
