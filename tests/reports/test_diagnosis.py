"""The engine decides and the report explains: random defects through both; whatever bytes come."""

from __future__ import annotations

import copy
import json
import pickle
import ssl
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings, strategies as st

import veritls
from tests.reports.broken import CRL_CHAIN, CRL_LEAF, PARTIAL, STRICT, peer
from tests.support.certificates import DAY, NOW, Party, der, new_key
from veritls import _engine
from veritls._explaining import explanation, refusals
from veritls._explaining.diagnosis import refined
from veritls._loading.trust import Batch
from veritls._report.checks import step_of
from veritls.report import VerificationReport

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

PURPOSES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
KEYS = [new_key() for _ in range(4)]
NO_CERTIFICATE = st.binary(min_size=1, max_size=80).filter(lambda data: b"-----BEGIN" not in data)
FLAGS = [0, 0, 0, STRICT, PARTIAL, CRL_LEAF, CRL_CHAIN, STRICT | CRL_CHAIN]
NAMES = ["db.internal", "*.example.com", "a.b.example.com", "10.0.0.8", "\x1b[31mred", "x" * 60]
MOMENTS = [NOW - 400 * DAY, NOW - DAY, NOW + DAY, NOW + 400 * DAY]


class Asked:
    """One question with its answer: the report and, where the engine refused, its own kind and evidence."""

    def __init__(self, report: VerificationReport, kind: str | None, detail: str, error: Any) -> None:
        self.report, self.kind, self.detail, self.error = report, kind, detail, error


def ask(
    monkeypatch: pytest.MonkeyPatch,
    chain: list[bytes],
    trusted: list[bytes],
    *,
    name: str | None = None,
    purpose: Any = "server",
    flags: int = 0,
    crls: tuple[bytes, ...] = (),
    at: datetime | None = None,
) -> Asked:
    seen: dict[str, Any] = {}
    real = refusals.certificate_refused

    def spy(rejection: _engine.Rejection) -> Any:
        seen.update(kind=rejection.kind, detail=rejection.detail)
        return real(rejection)

    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context._trust_also([Batch(trusted, crls, "memory")])
    context.verify_flags |= flags
    with monkeypatch.context() as patched:
        patched.setattr(refusals, "certificate_refused", spy)
        # The net below which nothing falls: an explanation that raises is to be seen here.
        patched.setattr(explanation, "attempt", lambda work, otherwise: work())
        try:
            report = context.verify_chain(chain, server_hostname=name, at=at, purpose=purpose)
        except ssl.SSLCertVerificationError as error:
            return Asked(error.report, seen["kind"], seen["detail"], error)  # type: ignore[attr-defined]
    assert not seen
    return Asked(report, None, "", None)


def holds(asked: Asked) -> None:
    """What must hold of every report, whatever was asked."""
    report, failed = asked.report, [each for each in asked.report.checks if each.verdict == "failed"]
    assert report.trusted == (asked.error is None)
    if asked.error is None:
        assert not failed and report.kind is None and not report.remedies
        assert [each.der for each in report.certificates if each.role != "unused"] == list(report.path)
    else:
        assert asked.kind is not None
        kind = refined(asked.kind, asked.detail, report.question.chain)
        assert (report.kind, [each.name for each in failed]) == (kind, [step_of(kind).name])
        assert failed[0].evidence == report.sentence
        assert str(asked.error).endswith(report.sentence)
    for text in (str(asked.error or ""), report.sentence, *str(report).split("\n"), *report.remedies):
        assert text.isprintable()
        assert len(text) < 4000
    assert json.loads(report.as_json()) == report.as_dict()
    again = pickle.loads(pickle.dumps(asked.error or report))
    assert (again.report if asked.error else again).as_dict() == report.as_dict()
    assert copy.deepcopy(report) == report


@st.composite
def unusual_parties(draw: st.DrawFn, issuer: Party | None, *, ca: bool) -> Party:
    """A certificate in which up to three things are unusual."""
    changes: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 0:
        changes["end"] = draw(st.sampled_from([NOW + DAY, NOW - 2 * DAY, NOW + 500 * DAY]))
    if draw(st.integers(0, 3)) == 0:
        ca = not ca
    if draw(st.integers(0, 3)) == 0:
        length = draw(st.sampled_from([None, 0, 1]))
        changes["constraints"] = (x509.BasicConstraints(True, length), draw(st.booleans())) if ca else None
    if draw(st.integers(0, 3)) == 0:
        changes["purpose"] = (x509.ExtendedKeyUsage([draw(st.sampled_from(PURPOSES))]), False)
    if draw(st.integers(0, 4)) == 0:
        changes["signer"] = draw(st.sampled_from(KEYS))
    for extension in ("subject_key", "authority_key", "usage", "san"):
        if draw(st.integers(0, 5)) == 0:
            changes[extension] = None
    if draw(st.integers(0, 4)) == 0:
        names = draw(st.lists(st.sampled_from(NAMES), max_size=3))
        general = [x509.DNSName(name) for name in names if name.isprintable()]
        changes["san"] = (x509.SubjectAlternativeName(general), draw(st.booleans()))
    if draw(st.integers(0, 6)) == 0:
        limits = x509.NameConstraints(
            [x509.DNSName(draw(st.sampled_from(["internal", "example.com"])))], None
        )
        changes["limits"] = (limits, draw(st.booleans()))
    if draw(st.integers(0, 8)) == 0:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), draw(st.binary(max_size=9)))
        changes["unknown"] = (unknown, draw(st.booleans()))
    common = draw(st.sampled_from(["Root", "R11", "leaf", "", "\x1b]0;owned\x07", "\u202eneddih"]))
    attribute = x509.NameAttribute(NameOID.COMMON_NAME, common, _validate=False)
    changes["serial"] = draw(st.integers(1, 2**64))
    subject = x509.Name([attribute] if common else [])
    return peer(subject, issuer, ca=ca, key=draw(st.sampled_from(KEYS)), **changes)


@st.composite
def damaged(draw: st.DrawFn, der: bytes) -> bytes:
    """The bytes as they are, mostly; or with one changed, some missing, some more."""
    how = draw(st.integers(0, 29))
    place = draw(st.integers(0, 999)) * len(der) // 1000
    if how == 0:
        return der[:place] + bytes([draw(st.integers(0, 255))]) + der[place + 1 :]
    if how == 1:
        return der[: place + 1]
    return der + draw(st.binary(min_size=1, max_size=4)) if how == 2 else der


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    root = draw(unusual_parties(None, ca=True))
    line = [root]
    for _ in range(draw(st.integers(0, 3))):
        line.insert(0, draw(unusual_parties(line[0], ca=True)))
    line.insert(0, draw(unusual_parties(line[0], ca=False)))
    stranger = Party("Root", ca=True, key=KEYS[0])
    sent = [draw(damaged(party.der)) for party in line[: draw(st.integers(1, len(line)))]]
    if draw(st.integers(0, 4)) == 0:
        sent = draw(st.permutations([*sent, stranger.der]))
    candidates = [root, stranger, *line[:2]]
    trusted = draw(st.lists(st.sampled_from(candidates), max_size=3))
    crls = [
        der(party.crl(*draw(st.sampled_from([[], line[:1]])))) for party in line[1:] if draw(st.booleans())
    ]
    return {
        "chain": sent,
        "trusted": [party.der for party in trusted],
        "name": draw(st.sampled_from([None, "db.internal", "a.b.example.com", "10.0.0.8"])),
        "purpose": draw(st.sampled_from(["server", "client"])),
        "flags": draw(st.sampled_from(FLAGS)),
        "crls": tuple(crls),
        "at": draw(st.sampled_from([None] * 12 + MOMENTS)),
    }


relaxed = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@relaxed
@given(question=questions())
def test_the_report_says_what_the_engine_decided(
    monkeypatch: pytest.MonkeyPatch, question: dict[str, Any]
) -> None:
    holds(ask(monkeypatch, **question))


@relaxed
@given(chain=st.lists(NO_CERTIFICATE, min_size=1, max_size=12))
def test_bytes_that_are_no_certificates_are_refused_with_a_report(
    monkeypatch: pytest.MonkeyPatch, chain: list[bytes]
) -> None:
    asked = ask(monkeypatch, chain, [Party("Root", ca=True, key=KEYS[0]).der])
    assert not asked.report.trusted
    holds(asked)
