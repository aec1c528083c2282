"""What a context demands of a peer beyond a good path, and the program's own say."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from veritls import _engine
from veritls._explaining.explanation import accepted, unverified
from veritls._explaining.refusals import verification_error
from veritls._explaining.request import Purpose, Refusal, Request
from veritls._loading.pem import pem_certificates
from veritls.peers import Matcher, pin_text
from veritls.report import VerificationReport, VerifyCallback

Chain: TypeAlias = "str | bytes | x509.Certificate | Sequence[str | bytes | x509.Certificate]"


@dataclass(frozen=True)
class Conditions:
    """What is demanded beyond a good path. Each list of peers and of keys, and each callback, must agree."""

    allowed: tuple[tuple[Matcher, ...], ...] = ()
    pinned: tuple[frozenset[bytes], ...] = ()
    callbacks: tuple[VerifyCallback, ...] = ()

    def request(
        self,
        chain: Sequence[bytes],
        purpose: Purpose,
        at: datetime,
        server_hostname: str | None,
        check_hostname: bool,
    ) -> Request:
        """What is asked about a chain under these conditions."""
        return Request(
            tuple(chain),
            purpose,
            at,
            server_hostname,
            check_hostname,
            tuple(str(each) for several in self.allowed for each in several) if self.allowed else None,
            tuple(sorted(map(pin_text, frozenset().union(*self.pinned)))) if self.pinned else None,
        )

    def ask(self, report: VerificationReport) -> None:
        """Calls each callback; what one raises refuses the peer, and so does one that did not run."""
        for callback in self.callbacks:
            answer = callback(report)
            if inspect.isawaitable(answer):
                if inspect.iscoroutine(answer):
                    answer.close()
                raise TypeError("a verify callback cannot be asynchronous: nobody would await it")

    def ask_about_chain(self, report: VerificationReport) -> None:
        """The same outside of a handshake: raises the error that a handshake would."""
        try:
            self.ask(report)
        except Exception as why:
            detail = f"the verify callback raised {type(why).__name__}: {why}"
            refusal = Refusal("callback", detail, path=report.path[1:])
            raise verification_error(report.request, refusal, why) from why


class Frozen(NamedTuple):
    """What a context was when a connection was made with it."""

    settings: _engine.Settings
    conditions: Conditions
    demands: _engine.Demands

    def request(
        self,
        chain: Sequence[bytes],
        purpose: Purpose,
        at: datetime,
        server_hostname: str | None,
        check_hostname: bool,
        stapled: bool,
    ) -> Request:
        """What is asked about a chain by a context that was so; `stapled`: an OCSP response came along."""
        asked = self.conditions.request(chain, purpose, at, server_hostname, check_hostname)
        demands = self.demands
        return replace(
            asked,
            revocation=demands["revocation"],
            strict=demands["strict"],
            ocsp=stapled or (demands["require_ocsp"] and purpose == "server"),
        )

    def callback(self, purpose: Purpose, server_hostname: str | None) -> _engine.VerdictCallback | None:
        """What the engine calls within a handshake; None where nobody wants to be asked."""
        conditions, checked = self.conditions, self.demands["check_name"]
        if not conditions.callbacks:
            return None

        def ask(chain: list[bytes], path: list[bytes] | None, at: int, stapled: bool) -> None:
            moment = datetime.fromtimestamp(at, UTC)
            request = self.request(chain, purpose, moment, server_hostname, checked, stapled)
            conditions.ask(unverified(request) if path is None else accepted(request, tuple(path)))

        return ask


def _certificates(value: object, where: str) -> list[bytes]:
    if isinstance(value, x509.Certificate):
        return [value.public_bytes(Encoding.DER)]
    if isinstance(value, str):
        return pem_certificates(value.encode("ascii", "replace"), where)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        if not data:
            raise ValueError(f"{where} is empty")
        return pem_certificates(data, where) if b"-----BEGIN " in data else [data]
    raise TypeError(f"{where} must be DER bytes, PEM text or a certificate, not {type(value).__name__}")


def der_chain(chain: Chain) -> tuple[bytes, ...]:
    """A chain as DER, the peer's own certificate first. DER is not looked into: the verifier does that.

    Raises TypeError for other types, ValueError for an empty chain, ssl.SSLError for damaged PEM.
    """
    if isinstance(chain, str | bytes | bytearray | memoryview | x509.Certificate):
        found = _certificates(chain, "the chain")
    elif isinstance(chain, Sequence):
        pieces = enumerate(chain)
        found = [der for place, each in pieces for der in _certificates(each, f"certificate {place}")]
    else:
        raise TypeError(f"chain must be a sequence of certificates, not {type(chain).__name__}")
    if not found:
        raise ValueError("the chain is empty: it needs the peer's own certificate")
    return tuple(found)
