"""One server: whether it is trusted and why, what was negotiated, and what it wants of a client."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import veritls
from veritls import _engine
from veritls._context.cipher_suites import SUITES, VERSIONS
from veritls._context.groups import name_of
from veritls._report.rendering import plain, seconds
from veritls.cli import older
from veritls.cli.alerts import alert_in, problem
from veritls.cli.options import Trust, argument
from veritls.cli.reading import refuse_device
from veritls.cli.result import Negotiated, Result, Wanted, authorities
from veritls.cli.starttls import StartTLSError, connected
from veritls.cli.target import Target
from veritls.errors import SSLCertVerificationError
from veritls.report import VerificationReport

_WEB = ("h2", "http/1.1")

_CONNECTIONS = 3
"""How many of them the check of one server makes at most, each with its timeout."""

_MOST_READ = 64 * 1024
"""What is read of a server that may refuse a client without a certificate after the handshake."""


@dataclass
class _Seen:
    """What one connection showed, however far it came.

    `request`: see `Stream.certificate_request`. `refusal`: the alert that came where the server should have
    gone on; None where it is not known whether it goes on.
    """

    negotiated: Negotiated | None = None
    chain: tuple[bytes, ...] = ()
    request: tuple[list[bytes], int, bool] | None = None
    refusal: str | None = ""

    def note(self, stream: _engine.Stream) -> None:
        """Notes what the engine knows."""
        _, _, version, suite, group, _ = stream.facts()
        alpn = stream.alpn_protocol
        if version is not None:
            self.negotiated = Negotiated(
                VERSIONS.get(version),
                SUITES[suite].name if suite in SUITES else None,
                name_of(group) if group is not None else None,
                plain(alpn.decode("ascii", "backslashreplace")) if alpn is not None else None,
            )
        self.chain = tuple(stream.peer_chain or ())
        self.request = stream.certificate_request

    def wanted(self, unsent: str) -> Wanted | None:
        """The server's request for a client certificate. `unsent`: why it got none, where it got none."""
        if self.request is None:
            return None
        names, count, sent = self.request
        return Wanted(authorities(names), count, sent, self.refusal, "" if sent else unsent)


class Probe:
    """Connects to servers and verifies them. Called with a `Target`; any thread may call it.

    `starttls`: a protocol of `starttls.DIALOGUES`; None, the default: TLS begins at once. `trust`: whom to
    trust; by default the CAs of the system. `require_ocsp`: whether the server must staple a good OCSP
    response. `certificate`, `key`: PEM files of the client certificate to send; None, the default, sends
    none. `name`: the host name to ask for and to verify; None: the target's, which is not verified where
    `trust` says which names to allow. `at`: the moment to verify as of; None: now. `warn_days`: see `Result`.
    `timeout`: seconds for each connection, and for each of its steps; default 10. Raises ValueError, naming
    option and file, for what cannot be used.
    """

    def __init__(
        self,
        *,
        starttls: str | None = None,
        trust: Trust | None = None,
        require_ocsp: bool = False,
        certificate: Path | None = None,
        key: Path | None = None,
        name: str | None = None,
        at: datetime | None = None,
        warn_days: int | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.starttls = starttls
        self.name = name
        self.at = at
        self.warn_days = warn_days
        self.timeout = timeout
        self.has_certificate = certificate is not None
        trust = trust or Trust()
        self.verifying = trust.context()
        self.verifying.require_ocsp = require_ocsp
        self.verifying.check_hostname = name is not None or not trust.allowed
        if key is not None:
            with argument("--key", key):
                refuse_device(key)
        if certificate is not None:
            with argument("--cert" if key is None else "--cert and --key", certificate):
                self.verifying.load_cert_chain(certificate, key)
        # The report must be the handshake's own: only the handshake sees the stapled OCSP response. Each
        # server has a thread of its own.
        self._reports = threading.local()
        self.verifying.set_verify_callback(self._keep)
        # Verifies nothing, so it has no client certificate: it would send that to an unknown server.
        self.observing = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        self.observing.check_hostname = False
        self.observing.verify_mode = ssl.CERT_NONE
        if starttls is None:
            self.verifying.set_alpn_protocols(_WEB)
            self.observing.set_alpn_protocols(_WEB)
        self._older = older.context()
        self._stopped: Future[Result] = Future()

    def __call__(self, target: Target) -> Result:
        """The result for one server; never raises. Takes three times the timeout at most."""
        try:
            return self._within(lambda: self._check_or_explain(target), _CONNECTIONS * self.timeout)
        except TimeoutError:
            return Result(target, problem=f"no answer within {seconds(self.timeout)}")
        except (OSError, StartTLSError, ValueError) as why:
            return Result(target, problem=problem(why))

    def stop(self) -> None:
        """Ends every call that is under way, and each later one, as if its time were over."""
        self._stopped.set_exception(TimeoutError())

    def _within(self, work: Callable[[], Result], seconds: float) -> Result:
        """The result of `work`. Raises TimeoutError after `seconds`: a server may send a byte a second."""
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        wait((future, self._stopped), seconds, FIRST_COMPLETED)
        return future.result(0)

    def _check_or_explain(self, target: Target) -> Result:
        try:
            return self._check(target)
        except OSError as why:
            if not older.may_be_older(why):
                raise
            return Result(target, problem=older.explained(why, self._spoken(target)))

    def _spoken(self, target: Target) -> older.Spoken | None:
        if self._older is None:
            return None
        try:
            with connected(target, self.starttls, self.timeout) as raw:
                return older.spoken(self._older, raw, self.name or target.host)
        except (OSError, StartTLSError):
            return None

    def _check(self, target: Target) -> Result:
        seen = _Seen()
        if self.at is not None:
            self._connect(target, self.observing, seen)
            return self._result(target, self._verified_at(target, seen.chain), seen)
        try:
            self._connect(target, self.verifying, seen)
        except SSLCertVerificationError as refused:
            second = self._observed(target)
            return self._result(target, refused.report, seen if second.negotiated is None else second)
        return self._result(target, self._reports.report, seen, verified=True)

    def _result(
        self, target: Target, report: VerificationReport, seen: _Seen, *, verified: bool = False
    ) -> Result:
        unsent = ""
        if self.has_certificate and verified:
            unsent = "the server takes no key of its kind"
        elif self.has_certificate:
            unsent = "only a server that is trusted now gets it"
            seen.refusal = None  # it was not tried with the one that there is
        return Result(target, report, seen.negotiated, wanted=seen.wanted(unsent), warn_days=self.warn_days)

    def _keep(self, report: VerificationReport) -> None:
        self._reports.report = report

    def _verified_at(self, target: Target, chain: tuple[bytes, ...]) -> VerificationReport:
        name = (self.name or target.host) if self.verifying.check_hostname else None
        try:
            return self.verifying.verify_chain(chain, server_hostname=name, at=self.at)
        except SSLCertVerificationError as refused:
            return refused.report

    def _observed(self, target: Target) -> _Seen:
        seen = _Seen()
        try:
            self._connect(target, self.observing, seen)
        except (OSError, StartTLSError):
            return _Seen()
        return seen

    def _connect(self, target: Target, context: veritls.SSLContext, seen: _Seen) -> None:
        """The handshake, and nothing after it, but where the server asks for a client certificate.

        Such a server may refuse the client that has none: TLS 1.2, within the handshake; TLS 1.3, afterwards.
        """
        name = self.name or target.host
        raw = connected(target, self.starttls, self.timeout)
        with (
            raw,
            context.wrap_socket(raw, server_hostname=name, do_handshake_on_connect=False) as tls,
        ):
            stream = tls._require_stream()
            stream.keep_certificate_request()
            try:
                tls.do_handshake()
                seen.note(stream)
                if seen.request is not None and tls.version() == "TLSv1.3":
                    seen.refusal = self._refused_afterwards(tls)
            except ssl.SSLError as why:
                seen.note(stream)
                seen.refusal = alert_in(why) or None
                # Without a chain the server has proved no key: it refuses this connection, not a certificate.
                if seen.request is None or not seen.refusal or not seen.chain:
                    raise

    def _refused_afterwards(self, tls: veritls.SSLSocket) -> str | None:
        """The alert with which the server ends; empty where it ends without; None where it does not end."""
        ends = time.monotonic() + self.timeout
        unread = _MOST_READ
        try:
            tls.shutdown(socket.SHUT_WR)
            while unread > 0 and (left := ends - time.monotonic()) > 0:
                tls.settimeout(left)
                data = tls.recv(unread)
                if not data:
                    return ""
                unread -= len(data)
        except OSError as why:
            return alert_in(why) or None
        return None
