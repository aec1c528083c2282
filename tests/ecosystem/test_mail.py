"""smtplib and aiosmtplib against aiosmtpd, veritls at both ends: TLS from the start, and STARTTLS."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import Files
from tests.ecosystem.parties import REFUSED, SERVED, contexts, library, of, refusal_behind
from tests.support.connections import SECONDS, client_context, in_thread, server_context, who

SENDER, RECIPIENT = "sender@example.org", "recipient@example.org"
TEXT = "Subject: text\r\n\r\n" + "words\r\n" * 10_000


class Handler:
    """Remembers the sender of the mail, by the certificate, and the mail."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.got.append((who(server.transport.get_extra_info("ssl_object")), envelope.content))
        return "250 OK"


@contextmanager
def mail_server(context: ssl.SSLContext, at_start: bool) -> Iterator[tuple[int, Handler]]:
    """The port of a running aiosmtpd, and what it got."""
    smtp, handler = library("aiosmtpd.smtp"), Handler()
    upgrade: Any = {} if at_start else {"tls_context": context, "require_starttls": True}
    started: Future[tuple[int, Callable[[], Any]]] = Future()

    def connected() -> Any:
        return smtp.SMTP(handler, hostname="localhost", timeout=SECONDS, **upgrade)

    async def serve() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda loop, context: None)  # a client that is refused is no event
        server = await loop.create_server(connected, "127.0.0.1", 0, ssl=context if at_start else None)
        port = server.sockets[0].getsockname()[1]
        started.set_result((port, lambda: loop.call_soon_threadsafe(stop.set)))
        await stop.wait()
        server.close()

    done = in_thread(asyncio.run, serve())
    port, stop = started.result(SECONDS)
    try:
        yield port, handler
    finally:
        stop()
        done.result(SECONDS)


def with_smtplib(port: int, context: ssl.SSLContext, at_start: bool) -> None:
    to: Any = {"host": "localhost", "port": port, "timeout": SECONDS}
    with smtplib.SMTP_SSL(**to, context=context) if at_start else smtplib.SMTP(**to) as client:
        if not at_start:
            client.starttls(context=context)
        client.sendmail(SENDER, [RECIPIENT], TEXT)


def with_aiosmtplib(port: int, context: ssl.SSLContext, at_start: bool) -> None:
    to: Any = {"hostname": "localhost", "port": port, "timeout": SECONDS, "tls_context": context}

    async def send() -> None:
        mail = {"sender": SENDER, "recipients": [RECIPIENT]}
        await library("aiosmtplib").send(TEXT, **mail, **to, use_tls=at_start, start_tls=not at_start)

    asyncio.run(asyncio.wait_for(send(), SECONDS))


CLIENTS: dict[str, Callable[[int, ssl.SSLContext, bool], None]] = {
    "smtplib": with_smtplib,
    "aiosmtplib": with_aiosmtplib,
}


def refusals(name: str) -> tuple[type[Exception], ...]:
    """What the library's users catch."""
    if name == "smtplib":
        return smtplib.SMTPException, ssl.SSLError
    return library(name).SMTPException, ssl.SSLError


@pytest.fixture(params=map(of, CLIENTS))
def name(request: pytest.FixtureRequest) -> str:
    for each in (request.param, "aiosmtpd.smtp"):
        library(each)
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["from the start", "STARTTLS"])
def at_start(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize(("mode", "client", "seen"), SERVED)
def test_a_client_is_served_as_the_mode_says(
    files: Files, name: str, at_start: bool, mode: str, client: str | None, seen: str
) -> None:
    server, own = contexts(files, mode, client)
    with mail_server(server, at_start) as (port, handler):
        CLIENTS[name](port, own, at_start)
    assert handler.got == [(seen, TEXT.encode())]


@pytest.mark.parametrize(("mode", "client"), REFUSED)
def test_a_client_is_refused_as_the_mode_says(
    files: Files, name: str, at_start: bool, mode: str, client: str | None
) -> None:
    server, own = contexts(files, mode, client)
    with mail_server(server, at_start) as (port, handler), pytest.raises(refusals(name)):
        CLIENTS[name](port, own, at_start)
    assert handler.got == []


@pytest.mark.parametrize("certificate", ["stranger", "expired_server"])
def test_an_invalid_server_is_refused_for_its_certificate(
    files: Files, name: str, at_start: bool, certificate: str
) -> None:
    server, own = server_context(getattr(files, certificate)), client_context(files.ca)
    with mail_server(server, at_start) as (port, _), pytest.raises(refusals(name)) as refused:
        CLIENTS[name](port, own, at_start)
    assert refusal_behind(refused.value)
