"""One server: whether it is trusted and why, and what was negotiated with it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import veritls
from veritls._report.rendering import plain
from veritls.cli.options import Trust, argument
from veritls.cli.starttls import StartTLSError, connected
from veritls.cli.target import Target
from veritls.errors import SSLCertVerificationError
from veritls.report import VerificationReport

_WEB = ("h2", "http/1.1")


@dataclass(frozen=True)
class Negotiated:
    """What was negotiated; None where the connection has no such thing."""

    version: str | None
    suite: str | None
    group: str | None
    alpn: str | None


@dataclass(frozen=True)
class Result:
    """The result for one target: a report, or why there was no connection."""

    target: Target
    report: VerificationReport | None = None
    negotiated: Negotiated | None = None
    problem: str = ""

    @property
    def status(self) -> int:
        """0: trusted, 1: not trusted, 2: no connection."""
        if self.report is None:
            return 2
        return 0 if self.report.trusted else 1

    def as_dict(self) -> dict[str, Any]:
        """The result with JSON's types."""
        return {
            "host": self.target.host,
            "port": self.target.port,
            "status": ("trusted", "not trusted", "no connection")[self.status],
            "problem": self.problem or None,
            "negotiated": vars(self.negotiated) if self.negotiated is not None else None,
            "report": report_as_dict(self.report) if self.report is not None else None,
        }


_OPTIONS = {"load_verify_locations": "--ca", "server_hostname": "--name"}
"""What a report tells a program to call or pass -> the option of the command that does it."""


def report_as_dict(report: VerificationReport) -> dict[str, Any]:
    """`VerificationReport.as_dict`, with remedies for the user of a command line."""
    found = report.as_dict()
    for call, option in _OPTIONS.items():
        found["remedies"] = [remedy.replace(call, option) for remedy in found["remedies"]]
    return found


class Probe:
    """Connects to servers and verifies them. Called with a `Target`; any thread may call it.

    `starttls`: a protocol of `starttls.DIALOGUES`; None, the default: TLS begins at once. `trust`: whom to
    trust; by default the CAs of the system. `certificate`, `key`: PEM files of the client certificate
    to send; None, the default, sends none. `name`: the host name to ask for and to verify; None: the
    target's. `at`: the moment to verify as of; None: now. `timeout`: seconds for each connection, and for
    each of its steps; default 10. Raises ValueError, naming option and file, for files that cannot be used.
    """

    def __init__(
        self,
        *,
        starttls: str | None = None,
        trust: Trust | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        name: str | None = None,
        at: datetime | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.starttls = starttls
        self.name = name
        self.at = at
        self.timeout = timeout
        self.verifying = (trust or Trust()).context()
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

    def __call__(self, target: Target) -> Result:
        """The result for one server; never raises. Takes twice the timeout at most."""
        try:
            return _within(lambda: self._check(target), 2 * self.timeout)
        except TimeoutError:
            return Result(target, problem=f"no answer within {self.timeout:g} seconds")
        except (OSError, StartTLSError, ValueError) as why:
            return Result(target, problem=_problem(why))

    def _check(self, target: Target) -> Result:
        if self.at is not None:
            negotiated, chain = self._connect(target, self.observing)
            return Result(target, self._verified_at(target, chain), negotiated)
        try:
            negotiated, _ = self._connect(target, self.verifying)
        except SSLCertVerificationError as refused:
            return Result(target, refused.report, self._negotiated(target))
        return Result(target, self._reports.report, negotiated)

    def _keep(self, report: VerificationReport) -> None:
        self._reports.report = report

    def _verified_at(self, target: Target, chain: list[bytes]) -> VerificationReport:
        name = self.name or target.host
        try:
            return self.verifying.verify_chain(chain, server_hostname=name, at=self.at)
        except SSLCertVerificationError as refused:
            return refused.report

    def _negotiated(self, target: Target) -> Negotiated | None:
        try:
            return self._connect(target, self.observing)[0]
        except (OSError, StartTLSError):
            return None

    def _connect(self, target: Target, context: veritls.SSLContext) -> tuple[Negotiated, list[bytes]]:
        """The handshake, and nothing after it."""
        raw = connected(target, self.starttls, self.timeout)
        with raw, context.wrap_socket(raw, server_hostname=self.name or target.host) as tls:
            suite = tls.cipher()
            negotiated = Negotiated(
                tls.version(), suite[0] if suite else None, tls.group(), tls.selected_alpn_protocol()
            )
            return negotiated, tls.get_unverified_chain()


def _within(work: Callable[[], Result], seconds: float) -> Result:
    """The result of `work`. Raises TimeoutError after `seconds`: the server may send one byte a second."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def _problem(why: BaseException) -> str:
    """Why there is no connection, in text that a terminal can show."""
    words = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
    return plain(str(words) or type(why).__name__, 300)
