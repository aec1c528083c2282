"""What an audit concludes from what peers got."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from tests.audit.support import INVALID
from veritls.cli.auditing.contexts import Shown
from veritls.cli.auditing.judging import Audit, judge, may_refuse_later
from veritls.cli.auditing.outcomes import Outcome, What
from veritls.cli.auditing.peers import VERSIONS, Demands

REQUIRED = Demands("server", ssl.CERT_REQUIRED)
UNASKED: Any = "unasked"
"""Accepted, without having been asked for a certificate."""
KEYS = ["valid", "none", *INVALID]


def got(demands: Demands = REQUIRED, otherwise: Any = "refused", **by_key: Any) -> Audit:
    """The result where each peer got that, in both versions or by version; "none" is `nothing`."""
    made = {key: None if key == "none" else Shown(key.encode(), b"") for key in KEYS}
    spoken = {number: version for version, number in VERSIONS.items()}

    def try_all(tried: list[Any]) -> list[Outcome]:
        return [outcome(shown.chain.decode() if shown else "none", spoken[number]) for shown, number in tried]

    def outcome(key: str, version: str) -> Outcome:
        name = {"none": "nothing"}.get(key, key.replace("-", "_"))
        what = by_key.get(name, otherwise)
        if isinstance(what, dict):
            what = what[version]
        if isinstance(what, list):
            what = what.pop(0)
        if isinstance(what, int):
            return Outcome("accepted", f"HTTP {what}", True, http=what)
        if what == UNASKED:
            return Outcome("accepted", what, False)
        return Outcome(what, what, what == "accepted" or None)

    return judge("target", demands, made, try_all)


def test_all_is_good_where_the_valid_peer_is_accepted_and_all_others_are_refused() -> None:
    audit = got(valid="accepted")
    assert audit.status == 0
    assert audit.sentences() == [("good", "nothing fails open: each peer that was tried got what it must")]


@pytest.mark.parametrize("key", ["nothing", *(each.replace("-", "_") for each in INVALID)])
@pytest.mark.parametrize("version", VERSIONS)
def test_one_peer_that_is_let_in_under_one_version_is_a_failure(key: str, version: str) -> None:
    by: Any = {key: {each: "accepted" if each == version else "refused" for each in VERSIONS}}
    audit = got(valid="accepted", **by)
    assert audit.status == 1
    assert audit.sentences()[0][0] == "open"


@pytest.mark.parametrize("valid", ["refused", "closed", "unknown"])
def test_refusals_prove_nothing_where_the_valid_peer_is_not_accepted(valid: What) -> None:
    audit = got(valid=valid)
    assert audit.status == 2
    assert all(kind != "good" for kind, _ in audit.sentences())


def test_a_version_in_which_the_valid_peer_is_refused_proves_nothing_even_if_the_other_does() -> None:
    audit = got(valid={"TLSv1.3": "accepted", "TLSv1.2": "refused"})
    assert audit.status == 2
    assert "in TLS 1.2" in audit.sentences()[0][1]


def test_one_peer_that_could_not_be_tried_spoils_the_result() -> None:
    assert got(valid="accepted", expired="unknown").status == 2


def test_a_close_without_an_alert_is_a_refusal_only_beside_a_valid_peer_that_is_accepted() -> None:
    audit = got(valid="accepted", otherwise="closed")
    assert audit.status == 0
    audit = got(valid="closed", otherwise="closed")
    assert (audit.status, len(audit.having("unknown"))) == (2, len(KEYS))


def test_a_version_that_nobody_speaks_is_not_offered_and_no_version_at_all_is_no_result() -> None:
    spoken: Any = {"TLSv1.3": "refused", "TLSv1.2": "no version"}
    audit = got(valid=spoken | {"TLSv1.3": "accepted"}, otherwise=spoken)
    assert (audit.status, audit.versions) == (0, ["TLSv1.3"])
    audit = got(otherwise="no version")
    assert (audit.status, audit.versions) == (2, [])


def test_a_server_that_asks_in_one_version_must_verify_in_both() -> None:
    unstated = Demands("server", None)
    asked: Any = {"TLSv1.3": UNASKED, "TLSv1.2": "refused"}
    valid: Any = {"TLSv1.3": UNASKED, "TLSv1.2": "accepted"}
    audit = got(unstated, valid=valid, nothing="accepted", otherwise=asked)
    assert (audit.status, audit.open_to_all) == (1, False)
    audit = got(unstated, otherwise=UNASKED)
    assert (audit.status, audit.open_to_all) == (0, True)


def test_valid_peers_without_a_certificate_are_not_refused_under_optional() -> None:
    optional = Demands("server", ssl.CERT_OPTIONAL)
    audit = got(optional, valid="accepted", nothing="refused")
    assert audit.status == 0
    assert ("doubt", "refuses whom it should accept: no certificate") in audit.sentences()


def test_a_server_that_no_longer_accepts_the_valid_peer_after_the_others_has_proved_nothing() -> None:
    first: Any = {version: ["accepted", "closed"] for version in VERSIONS}
    audit = got(valid=first, otherwise="closed")
    assert audit.status == 2
    assert "after the others: closed" in audit.sentences()[-1][1]
    first = {version: [200, 503] for version in VERSIONS}
    assert got(valid=first, otherwise=403).status == 2


def test_a_peer_that_was_closed_upon_is_let_in_if_it_is_when_it_comes_alone() -> None:
    twice: Any = {version: ["closed", "accepted"] for version in VERSIONS}
    audit = got(valid="accepted", expired=twice)
    assert (audit.status, len(audit.having("fails open"))) == (1, 1)


class TestAnswersByHTTP:
    @pytest.mark.parametrize("status", [400, 401, 403, 495, 496])
    def test_a_status_that_refuses_is_a_refusal_where_the_valid_peer_got_another(self, status: int) -> None:
        audit = got(valid=200, otherwise=status)
        assert audit.status == 0
        assert {cell.outcome.in_words() for cell in audit.rows[1].cells.values()} == {f"HTTP {status}"}
        assert got(valid=404, otherwise=status).status == 0

    @pytest.mark.parametrize("status", [400, 403])
    def test_it_proves_nothing_where_the_valid_peer_got_it_too(self, status: int) -> None:
        audit = got(valid=status, otherwise=status)
        assert audit.status == 2
        assert len(audit.having("proves nothing")) == len(KEYS) - 1
        assert f"(HTTP {status})" in audit.sentences()[0][1]

    def test_whoever_gets_what_the_valid_peer_gets_is_let_in(self) -> None:
        for status in (200, 302, 404, 500):
            assert got(valid=status, otherwise=403, expired=status).status == 1
        assert got(valid=403, otherwise=403, expired=200).status == 1

    @pytest.mark.parametrize("status", [301, 404, 429, 500, 503])
    def test_another_status_is_not_known_to_be_a_refusal(self, status: int) -> None:
        audit = got(valid=200, otherwise=403, expired=status)
        assert (audit.status, len(audit.having("unknown"))) == (2, 1)

    def test_a_server_that_speaks_http_and_was_not_asked_may_refuse_whom_it_asked_for_a_certificate(
        self,
    ) -> None:
        audit = may_refuse_later(got(otherwise="accepted", valid="accepted"))
        assert (audit.status, audit.having("fails open")) == (2, [])
        assert "--http /" in audit.sentences()[0][1]
        assert may_refuse_later(got(otherwise=UNASKED)).status == 1
