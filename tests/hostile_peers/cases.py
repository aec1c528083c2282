"""One case: what is sent, and how it must end."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.hostile_peers.ends import WELCOME, End
from tests.hostile_peers.parties import Parties
from tests.hostile_peers.wire import TLS12, TLS13, Answer, Version
from veritls.errors import SSLCertVerificationError

UNEXPECTED_MESSAGE, HANDSHAKE_FAILURE, BAD_CERTIFICATE, UNSUPPORTED_CERTIFICATE = 10, 40, 42, 43
ILLEGAL_PARAMETER, UNKNOWN_CA, DECODE_ERROR, DECRYPT_ERROR = 47, 48, 50, 51
UNSUPPORTED_EXTENSION, CERTIFICATE_REQUIRED = 110, 116

NONE, OPTIONAL, REQUIRED = ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED
BOTH = (TLS12, TLS13)
UNTRUSTED: dict[str, Any] = {"reason": "CERTIFICATE_VERIFY_FAILED", "error": SSLCertVerificationError}
"""The certificate is refused for what it is."""


@dataclass(frozen=True)
class Case:
    """What a hostile peer sends, to whom, and how veritls must answer."""

    name: str
    sends: Callable[..., None]
    alert: int | None
    """None: it is accepted."""
    reason: str
    error: type[ssl.SSLError]
    versions: Sequence[Version]
    modes: Sequence[ssl.VerifyMode]
    late: bool
    """It comes after a handshake that is good."""
    shows: str | None
    """Whose certificate veritls may show: that of one of the `Parties`, proved. Nobody's by default."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Disagreement:
    """What veritls answers today where the RFC wants another alert. It refuses all the same."""

    alert: int
    whose: str
    why: str
    otherwise: Mapping[str, Any] = field(default_factory=dict)
    """What else differs from the case: its `error` and `reason`."""

    def instead_of(self, case: Case) -> Case:
        """The case as it ends today."""
        assert self.alert != case.alert
        return replace(case, alert=self.alert, **self.otherwise)


class Table:
    """The cases of one side, in the order in which they are written, and where veritls departs from them."""

    def __init__(self, modes: Sequence[ssl.VerifyMode], disagreements: dict[str, Disagreement]) -> None:
        self._modes = modes
        self.disagreements = disagreements
        self.cases: list[Case] = []

    def case(
        self,
        name: str,
        alert: int | None,
        reason: str = "PROTOCOL_ERROR",
        *,
        error: type[ssl.SSLError] = ssl.SSLError,
        versions: Sequence[Version] = BOTH,
        modes: Sequence[ssl.VerifyMode] = (),
        late: bool = False,
        shows: str | None = None,
    ) -> Callable[[Any], Any]:
        """Registers a function as what is sent."""

        def register(sends: Callable[..., None]) -> Callable[..., None]:
            self.cases.append(
                Case(name, sends, alert, reason, error, versions, modes or self._modes, late, shows)
            )
            return sends

        return register

    def parameters(self, *, agreed: bool) -> list[Any]:
        """(case, version, mode), with a readable name: all but those of `disagreements`, or those."""
        return [
            pytest.param(each, version, mode, id=f"{each.name}, TLS 1.{version[1] - 1}, {mode.name}")
            for each in self.cases
            if (each.name not in self.disagreements) == agreed
            for version in each.versions
            for mode in each.modes
        ]


def assert_refused(case: Case, end: End, answer: Answer, who: Parties) -> None:
    """That error and that alert, no byte handed out, and no certificate shown whose key was not proved."""
    assert answer == Answer(alert=case.alert)
    assert type(end.error) is case.error
    assert isinstance(end.error, ssl.SSLError) and end.error.reason == case.reason
    assert end.received == b""
    assert case.late or not end.done
    assert set(end.shown) <= ({getattr(who, case.shows).der} if case.shows else set())


def assert_accepted(case: Case, end: End, answer: Answer, data: bytes, who: Parties) -> None:
    """The handshake and one exchange are done, and the certificate that was proved is shown."""
    assert (end.error, end.received, answer) == (None, data, Answer(data=WELCOME))
    assert set(end.shown) == ({getattr(who, case.shows).der} if case.shows else set())
