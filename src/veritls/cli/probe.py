"""One server looked at: whether it is trusted and why, and what was agreed on with it."""

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
from veritls.cli.starttls import StartError, connected
from veritls.cli.target import Target
from veritls.errors import SSLCertVerificationError
from veritls.report import VerificationReport

_WEB = ("h2", "http/1.1")


@dataclass(frozen=True)
class Negotiated:
    """What both sides agreed on; None where there is nothing of it."""

    version: str | None
    suite: str | None
    group: str | None
    alpn: str | None


@dataclass(frozen=True)
class Result:
    """What came of one target: a report, or the problem that there was with the connection."""

    target: Target
    report: VerificationReport | None = None
    negotiated: Negotiated | None = None
    problem: str = ""

    @property
    def status(self) -> int:
        """0 where it is trusted, 1 where it is not, 2 where there was no connection."""
        if self.report is None:
            return 2
        return 0 if self.report.trusted else 1

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "host": self.target.host,
            "port": self.target.port,
            "status": ("trusted", "not trusted", "no connection")[self.status],
            "problem": self.problem or None,
            "negotiated": vars(self.negotiated) if self.negotiated is not None else None,
            "report": self.report.as_dict() if self.report is not None else None,
        }


class Probe:
    """How to look at servers. `timeout`: seconds for each connection, and each of its steps.

    `authorities`: files with whom to trust, the system's where there are none. Raises OSError and
    ssl.SSLError, naming the file, for files that cannot be used.
    """

    def __init__(
        self,
        *,
        starttls: str | None = None,
        authorities: tuple[Path, ...] = (),
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
        self.demanding = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        for path in authorities:
            self.demanding.load_verify_locations(path)
        if not authorities:
            self.demanding.load_default_certs()
        if certificate is not None:
            self.demanding.load_cert_chain(certificate, key)
        # The report is the handshake's: nothing else has seen the stapled OCSP response. Each server
        # is looked at in a thread of its own.
        self._seen = threading.local()
        self.demanding.set_verify_callback(self._keep)
        # It only looks: it has no certificate of ours to show to somebody who may be anybody.
        self.looking = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        self.looking.check_hostname = False
        self.looking.verify_mode = ssl.CERT_NONE
        if starttls is None:
            self.demanding.set_alpn_protocols(_WEB)
            self.looking.set_alpn_protocols(_WEB)

    def __call__(self, target: Target) -> Result:
        """Looks at one server; never raises. Takes twice the timeout at most."""
        try:
            return _bounded(lambda: self._looked_at(target), 2 * self.timeout)
        except TimeoutError:
            return Result(target, problem=f"no answer within {self.timeout:g} seconds")
        except (OSError, StartError, ValueError) as why:
            return Result(target, problem=_problem(why))

    def _looked_at(self, target: Target) -> Result:
        if self.at is not None:
            negotiated, chain = self._connect(target, self.looking)
            return Result(target, self._judged(target, chain), negotiated)
        try:
            negotiated, _ = self._connect(target, self.demanding)
        except SSLCertVerificationError as refused:
            return Result(target, refused.report, self._agreed(target))
        return Result(target, self._seen.report, negotiated)

    def _keep(self, report: VerificationReport) -> None:
        self._seen.report = report

    def _judged(self, target: Target, chain: list[bytes]) -> VerificationReport:
        name = self.name or target.host
        try:
            return self.demanding.verify_chain(chain, server_hostname=name, at=self.at)
        except SSLCertVerificationError as refused:
            return refused.report

    def _agreed(self, target: Target) -> Negotiated | None:
        try:
            return self._connect(target, self.looking)[0]
        except (OSError, StartError):
            return None

    def _connect(self, target: Target, context: veritls.SSLContext) -> tuple[Negotiated, list[bytes]]:
        """The handshake, and nothing after it."""
        raw = connected(target, self.starttls, self.timeout)
        with raw, context.wrap_socket(raw, server_hostname=self.name or target.host) as tls:
            suite = tls.cipher()
            agreed = Negotiated(
                tls.version(), suite[0] if suite else None, tls.group(), tls.selected_alpn_protocol()
            )
            return agreed, tls.get_unverified_chain()


def _bounded(work: Callable[[], Result], seconds: float) -> Result:
    """What `work` gives, or TimeoutError: a peer that sends one byte a second must not hold us."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def _problem(why: BaseException) -> str:
    """What kept us from connecting, in words that a terminal may show."""
    words = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
    return plain(str(words) or type(why).__name__, 300)
