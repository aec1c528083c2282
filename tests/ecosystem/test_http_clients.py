"""urllib3, requests and httpx, unmodified, over veritls against a veritls server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.ecosystem.parties import https_server, library, of, refusal_behind
from tests.support.connections import SECONDS, client_context

Get = Callable[[str, Path, Path | None], str]


def with_urllib3(url: str, ca: Path, own: Path | None) -> str:
    context = client_context(ca)
    if own:
        context.load_cert_chain(own)
    with library("urllib3").PoolManager(ssl_context=context, retries=False, timeout=SECONDS) as pool:
        answer: str = pool.request("GET", url).data.decode()
        return answer


def with_requests(url: str, ca: Path, own: Path | None) -> str:
    """Makes its own context: veritls is injected."""
    answer: str = (
        library("requests").get(url, verify=str(ca), cert=str(own) if own else None, timeout=SECONDS).text
    )
    return answer


def with_httpx(url: str, ca: Path, own: Path | None) -> str:
    context = client_context(ca)
    if own:
        context.load_cert_chain(own)
    answer: str = library("httpx").get(url, verify=context, timeout=SECONDS, trust_env=False).text
    return answer


CLIENTS: dict[str, Get] = {"urllib3": with_urllib3, "requests": with_requests, "httpx": with_httpx}


def refusals(name: str) -> tuple[type[Exception], ...]:
    """What the users of the library catch."""
    module: Any = library(name)
    return {
        "urllib3": lambda: (module.exceptions.SSLError, module.exceptions.ProtocolError),
        "requests": lambda: (module.exceptions.SSLError, module.exceptions.ConnectionError),
        "httpx": lambda: (module.ConnectError, module.ReadError),
    }[name]()


@pytest.fixture(params=map(of, CLIENTS))
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    library(request.param)
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    veritls.inject()
    try:
        if request.param == "requests":
            # It took the class by name when it was imported, before anything was injected.
            for module in ("urllib3.util.ssl_", "urllib3.connection"):
                loaded = library(module)
                for held in ("SSLContext", "SSLSocket"):
                    if hasattr(loaded, held):
                        monkeypatch.setattr(loaded, held, getattr(veritls, held))
        yield request.param
    finally:
        veritls.extract()


@pytest.mark.parametrize("mode", ["none", "optional", "required"])
def test_a_client_with_a_valid_certificate_is_served(
    files: Files, name: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaken, handshake = [], veritls.SSLSocket.do_handshake

    def do_handshake(connection: Any, block: bool = False) -> None:
        shaken.append(connection.server_side)
        handshake(connection, block)

    monkeypatch.setattr(veritls.SSLSocket, "do_handshake", do_handshake)
    with https_server(files, mode) as url:
        seen = CLIENTS[name](url, files.ca, files.client)
    assert seen == ("anonymous" if mode == "none" else "client@example.org")
    assert sorted(shaken) == [False, True]  # veritls at both ends


@pytest.mark.parametrize("mode", ["none", "optional"])
def test_a_client_without_a_certificate_is_served_where_none_is_required(
    files: Files, name: str, mode: str
) -> None:
    with https_server(files, mode) as url:
        assert CLIENTS[name](url, files.ca, None) == "anonymous"


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_a_client_with_a_strangers_certificate_is_refused(files: Files, name: str, mode: str) -> None:
    with https_server(files, mode) as url, pytest.raises(refusals(name)):
        CLIENTS[name](url, files.ca, files.stranger)


def test_a_client_without_the_required_certificate_is_refused(files: Files, name: str) -> None:
    with https_server(files, "required") as url, pytest.raises(refusals(name)):
        CLIENTS[name](url, files.ca, None)


def test_a_strangers_server_is_refused_for_its_certificate(files: Files, name: str) -> None:
    with https_server(files, certificate=files.stranger) as url, pytest.raises(refusals(name)) as refused:
        CLIENTS[name](url, files.ca, None)
    assert refusal_behind(refused.value)
