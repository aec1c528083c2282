"""One handshake with a running server, and how it ends.

Theory of operation
===================

With TLS 1.2 the server's last message comes after it has verified the client: a handshake that completes is
a client that was let in. With TLS 1.3 the client is done first, and learns of a refusal by reading. So the
client waits, without sending anything, for an alert, for the server's end, or for a session ticket, which a
server that asks for certificates sends to a client that it accepted. Data tell nothing: a server may send
them before it has the client's certificate. A server that does none of it in time keeps the connection open.

Then the client says that it is done (close_notify, and TCP's FIN), and reads on to the server's end: a server
that verifies slowly still has to answer the client's certificate first.

Where a path is given, the client that is still connected sends one request for it in place of that, and the
answer's status is the evidence.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Semaphore, Thread
from typing import Any

import veritls
from veritls._report.rendering import seconds
from veritls.cli.alerts import alert_in
from veritls.cli.auditing.contexts import Shown, peer_context
from veritls.cli.auditing.http_answers import ALPN, status_of
from veritls.cli.auditing.outcomes import (
    Outcome,
    speaks_not_the_version,
    unsent,
    was_requested,
    watch_for_request,
    words,
)
from veritls.cli.auditing.peers import VERSIONS
from veritls.cli.starttls import StartTLSError, connected
from veritls.cli.target import Target

MOST_AT_ONCE = 8
"""Connections at a time."""
_LOOKS = 20
"""How often a client looks for a ticket while it waits."""
_MOST_READ = 16_384
_ABOUT_THE_END = (
    "alert decode error",
    "alert unexpected message",
    "alert internal error",
    "alert close notify",
)
"""Alerts that may be about the way in which the client ended, and not about its certificate."""
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")


@dataclass(frozen=True)
class Server:
    """A server to try clients on. `name`: the host name to ask for. `starttls`: a protocol of
    `veritls.cli.starttls`; None: TLS begins at once. `timeout`: seconds for the handshake, and for what
    follows it. `patience`: seconds for which a client of TLS 1.3 waits for its refusal before it says that it
    is done. `path`: what to ask for by HTTP after the handshake; None: nothing is sent.
    """

    target: Target
    name: str
    starttls: str | None = None
    timeout: float = 10.0
    patience: float = 1.0
    path: str | None = None

    def try_all(self, tried: list[tuple[Shown | None, ssl.TLSVersion]]) -> list[Outcome]:
        """What each client gets, in their order; never raises. A server that drips bytes is given up."""
        turns = Semaphore(MOST_AT_ONCE)
        futures = [_in_thread(turns, self.attempt, *each) for each in tried]
        rounds = 1 + len(tried) // MOST_AT_ONCE
        end = time.monotonic() + rounds * 3 * self.timeout
        outcomes = []
        for future in futures:
            try:
                outcomes.append(future.result(max(0.0, end - time.monotonic())))
            except TimeoutError:
                outcomes.append(Outcome("unknown", f"no end within {seconds(3 * self.timeout)}"))
        return outcomes

    def attempt(self, shown: Shown | None, version: ssl.TLSVersion) -> Outcome:
        """One client: what it shows, and the only version that it speaks. Never raises."""
        try:
            context = peer_context("client", shown, version)
            if self.path is not None:
                context.set_alpn_protocols(ALPN)
            with connected(self.target, self.starttls, self.timeout) as raw:
                raw.settimeout(self.timeout)
                return self._handshake(raw, context, shown is not None)
        except TimeoutError:
            return self._silent()
        except (OSError, StartTLSError, ValueError) as why:
            return Outcome("unknown", words(why))

    def _handshake(self, raw: socket.socket, context: ssl.SSLContext, shows: bool) -> Outcome:
        with context.wrap_socket(
            raw,
            server_hostname=self.name,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        ) as tls:
            watch_for_request(tls)
            try:
                tls.do_handshake()
            except OSError as why:
                return self._not_completed(why, tls, shows)
            requested = was_requested(tls)
            return unsent(tls, shows) or replace(self._completed(tls), requested=requested)

    def _silent(self) -> Outcome:
        return Outcome("unknown", f"no answer within {seconds(self.timeout)}")

    def _not_completed(self, why: OSError, tls: Any, shows: bool) -> Outcome:
        if speaks_not_the_version(why):
            return Outcome("no version", words(why))
        if nothing_sent := unsent(tls, shows):
            return nothing_sent
        alert = alert_in(why)
        if alert:
            return Outcome("refused", alert)
        if isinstance(why, TimeoutError):
            return self._silent()
        if getattr(why, "reason", None) in _NOT_TLS:
            return Outcome("unknown", "it does not speak TLS")
        if isinstance(why, ssl.SSLEOFError) and _has_answered(tls):
            return Outcome("closed", "closed within the handshake, without an alert")
        return Outcome("unknown", _broken(why))

    def _completed(self, tls: Any) -> Outcome:
        evidence = "completed the handshake"
        if tls.version() == "TLSv1.3":
            early = self._wait(tls)
            if early is not None:
                return early
            ticket = tls.session is not None and tls.session.has_ticket
            evidence = "sent a session ticket" if ticket else "kept the connection open"
        if self.path is not None:
            return self._asked(tls, self.path)
        late = self._until_the_end(tls)
        if not late:
            return Outcome("accepted", evidence)
        if late in _ABOUT_THE_END:
            return Outcome("unknown", f"{late}, once the client was done")
        return Outcome("refused", late)

    def _asked(self, tls: Any, path: str) -> Outcome:
        tls.settimeout(self.timeout)
        try:
            status = status_of(tls, self.name, self.target.port, path)
        except http.client.RemoteDisconnected:
            return Outcome("closed", "closed, without an answer")
        except OSError as why:
            return _ended(why)
        except http.client.HTTPException:
            return Outcome("unknown", "its answer is not HTTP")
        return Outcome("accepted", f"HTTP {status}", http=status)

    def announces_http(self, shown: Shown | None) -> bool:
        """Whether the server chooses HTTP by ALPN. Never raises."""
        for version in VERSIONS.values():
            try:
                context = peer_context("client", shown, version)
                context.set_alpn_protocols(["h2", *ALPN])
                with connected(self.target, self.starttls, self.timeout) as raw:
                    raw.settimeout(self.timeout)
                    with context.wrap_socket(raw, server_hostname=self.name) as tls:
                        return tls.selected_alpn_protocol() is not None
            except (OSError, StartTLSError, ValueError):
                continue
        return False

    def _wait(self, tls: Any) -> Outcome | None:
        """How the server ends the connection before the client does; None where it does not."""
        for _ in range(_LOOKS):
            tls.settimeout(self.patience / _LOOKS)
            try:
                if not tls.recv(_MOST_READ):
                    return Outcome("closed", "closed, without an alert")
            except TimeoutError:
                pass
            except OSError as why:
                return _ended(why)
            if tls.session is not None and tls.session.has_ticket:
                return None
        return None

    def _until_the_end(self, tls: Any) -> str:
        """The client is done; the alert that comes yet, empty where there is none."""
        end = time.monotonic() + self.timeout
        try:
            if not isinstance(tls, veritls.SSLSocket):
                tls.settimeout(self.timeout)
                tls.unwrap()  # `shutdown` of `ssl` sends no close_notify, and reads plain text from then on
                return ""
            tls.shutdown(socket.SHUT_WR)
            while (left := end - time.monotonic()) > 0:
                tls.settimeout(left)
                if not tls.recv(_MOST_READ):
                    break
        except OSError as why:
            return alert_in(why)
        return ""


def _ended(why: OSError) -> Outcome:
    alert = alert_in(why)
    if alert:
        return Outcome("refused", alert)
    if isinstance(why, ssl.SSLEOFError):
        return Outcome("closed", "closed, without an alert")
    return Outcome("unknown", _broken(why))


def _broken(why: OSError) -> str:
    if isinstance(why, ssl.SSLEOFError):
        return "closed before it answered"
    return "reset the connection" if isinstance(why, ConnectionError) else words(why)


def _has_answered(tls: Any) -> bool:
    """Whether the server's hello has come: it speaks TLS, and what it closed upon came later."""
    return isinstance(tls, veritls.SSLSocket) and tls._require_stream().facts()[2] is not None


def _in_thread(turns: Semaphore, work: Callable[..., Outcome], *args: Any) -> Future[Outcome]:
    """In a thread that is left behind where it does not end."""
    future: Future[Outcome] = Future()

    def run() -> None:
        with turns:
            try:
                future.set_result(work(*args))
            except BaseException as error:
                future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
