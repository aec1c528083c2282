"""The part of BoGo that is about who is let in: certificates, client authentication, alerts, resumption.

`python -m tests.bogo` runs the whole. Without the tools that make the runner it is skipped; CI has them.
"""

from __future__ import annotations

import os
import re
import tomllib

import pytest

from tests.bogo.build import NoTools, make
from tests.bogo.flags import parse
from tests.bogo.runner import HERE, Results, run
from tests.bogo.shim import DEFAULTS, UNSEEN, USED
from tests.bogo.table import DOCUMENT, Group, Report, load_causes, load_expected

PART = (
    "*ClientAuth*", "*ClientCertificate*", "*Certificate-*", "CertificateVerification*-TLS1[23]-*", "*Alert*",
    "*-Verify-*", "*InvalidSignature*", "BadECDSA-*", "BadFinished*", "CurveTest-*", "*KeyUsage*",
    "*KeyUpdate*", "Resume-*", "*Ticket*", "*PSK*",
    "ExtendedMasterSecret-*", "Shutdown-Shim*", "*Shutdown*", "ALPN*",
    "Partial*", "WrongMessageType-*", "TrailingMessageData-*", "FragmentAcross*", "*ChangeCipherSpec*",
    "HelloRetryRequest*", "Downgrade-*", "Unsolicited*", "*EmptyRecords*", "AppDataBefore*", "Skip*",
)  # fmt: skip

WITHOUT = (
    "*DTLS*",
    "*QUIC*",
    "*TLS1",
    "*TLS1-*",
    "*TLS11",
    "*TLS11-*",
    "*RawPublicKey*",
    "*PAKE*",
    "*PSKOnly*",
)
"""What the shim would say "unimplemented" to, or what needs older versions."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def runner() -> None:
    try:
        make()
    except NoTools as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"BoGo's runner cannot be made: {missing}")


@pytest.mark.usefixtures("runner")
@pytest.mark.parametrize(("transport", "least"), [("socket", 680), ("bio", 680), ("loop", 530)])
def test_what_fails_of_the_part_about_peers_has_its_reason(transport: str, least: int) -> None:
    report = Report(run(";".join(PART), skip=";".join(WITHOUT), transport=transport), whole=False)
    assert not report.problems()
    assert len(report.results.passed) >= least


def test_every_cause_of_unimplemented_names_something_that_the_shim_does_not_do() -> None:
    causes = load_causes()
    assert not causes.keys() & (USED | DEFAULTS | UNSEEN)
    assert not Report(Results(frozenset(), {}, {}), whole=False).problems()


def test_no_test_is_disabled() -> None:
    assert '"DisabledTests": {}' in (HERE / "config.json").read_text()


def test_a_failure_and_a_cause_without_a_reason_are_problems() -> None:
    results = Results(frozenset({"Good", "Listed"}), {"Bad": "no", "Known-1": "no"}, {"Other": "new-flag"})
    groups = [
        Group("differs", "known", (re.compile(r"Known-\d"),)),
        Group("open", "listed", (re.compile("Listed"),)),
    ]
    assert Report(results, groups=groups, causes={}).problems() == [
        "Bad failed without a reason: no",
        "'new-flag' is in no group of not_offered.toml",
        "Listed passes, but has a reason to fail: listed",
        "no failed test is called 'Listed' (listed)",
    ]


def test_the_flags_of_each_connection_are_told_apart() -> None:
    arguments = "-server -port 1 -on-resume-max-version 771 -on-initial-curves 29 -curves 24 -on-shim-async"
    first, resumed, _ = parse(arguments.split())
    assert first.numbers("curves") == [29, 24]
    assert resumed.numbers("curves") == [24]
    assert (first.number("max-version"), resumed.number("max-version")) == (0, 771)
    assert "server" in resumed
    assert "async" in first


def test_each_reason_to_fail_is_given_once() -> None:
    raw = tomllib.loads((HERE / "expected.toml").read_text())
    patterns = [pattern for reasons in raw.values() for several in reasons.values() for pattern in several]
    assert len(patterns) == len(set(patterns))
    assert len(load_expected()) == sum(map(len, raw.values()))


def test_the_page_names_every_reason_and_no_more() -> None:
    shown = DOCUMENT.read_text()
    for group in load_expected():
        assert f"| {group.why} |" in shown
