"""Whether a connection went as the policy says, by what both ends saw."""

import ssl
from collections.abc import Iterator

from veritls.cli.cases import Case, GoesOn, Refused, Side
from veritls.cli.certificates import Credentials
from veritls.cli.exchange import CLIENT_DATA, SERVER_DATA, Outcome

_VERSIONS = {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}
_SEEN = {"nothing": "none seen", "unchecked": "unchecked", "checked": "validated"}


def _seen(outcome: Outcome, side: Side) -> str:
    end = outcome.end(side)
    if end.der is None and end.certificate is None:
        return "nothing"
    if end.der and end.certificate == {}:
        return "unchecked"
    return "checked" if end.der and end.certificate else "contradictory"


def describe_policy(case: Case) -> str:
    """What must happen, in words."""
    match case.policy:
        case GoesOn():
            return "goes on"
        case Refused(by=by):
            return "refused" if by == case.side else f"{by} refuses"


def describe_outcome(case: Case, outcome: Outcome) -> str:
    """What happened, in words. Does not look at what was expected."""
    server, client = outcome.server, outcome.client
    if (
        server.received == CLIENT_DATA
        and client.received == SERVER_DATA
        and not (server.error or client.error)
    ):
        seen = _seen(outcome, case.side)
        return f"went on, {_SEEN.get(seen, seen)}"
    if server.received or client.received:
        return "failed after data had passed"
    for side in (case.side, case.peer_side):
        if _refusal(outcome.end(side).error):
            return "refused" if side == case.side else f"{side} refused"
    return "failed, neither side refused"


def _refusal(error: Exception | None) -> bool:
    return isinstance(error, ssl.SSLError) and not _is_alert(error)


def _is_alert(error: Exception | None) -> bool:
    return isinstance(error, ssl.SSLError) and "_ALERT_" in (error.reason or "")


def faults(case: Case, outcome: Outcome, version: ssl.TLSVersion, credentials: Credentials) -> Iterator[str]:
    """Every difference between the connection and the policy; none where it went as it must."""
    match case.policy:
        case GoesOn(seen=seen):
            yield from _faults_of_success(case, outcome, version, credentials, seen)
        case Refused(by=by, why=why):
            yield from _faults_of_refusal(outcome, by, why)


def _faults_of_success(
    case: Case, outcome: Outcome, version: ssl.TLSVersion, credentials: Credentials, seen: str
) -> Iterator[str]:
    sides: tuple[tuple[Side, bytes], ...] = (("server", CLIENT_DATA), ("client", SERVER_DATA))
    for side, words in sides:
        end = outcome.end(side)
        if end.error is not None:
            yield f"the {side} failed"
        if end.received != words:
            yield f"no data reached the {side}"
        if end.version != _VERSIONS[version]:
            yield f"the {side} spoke {end.version or 'no TLS'}"
    actual = _seen(outcome, case.side)
    if actual != seen:
        yield f"the {case.side} saw {actual}, should see {seen}"
    sent = credentials.by_label[case.credential].der if case.credential else None
    if seen != "nothing" and sent and outcome.end(case.side).der != sent:
        yield f"the {case.side} saw another certificate"


def _faults_of_refusal(outcome: Outcome, by: Side, why: int | str) -> Iterator[str]:
    other: Side = "client" if by == "server" else "server"
    if outcome.server.received or outcome.client.received:
        yield "application data passed"
    error = outcome.end(by).error
    if error is None:
        yield f"the {by} did not refuse"
    elif isinstance(why, int):
        if not isinstance(error, ssl.SSLCertVerificationError) or error.verify_code != why:
            yield f"the {by} gave a wrong reason"
    elif not isinstance(error, ssl.SSLError) or error.reason != why:
        yield f"the {by} gave a wrong reason"
    if not _is_alert(outcome.end(other).error):
        yield f"the {other} was not told by an alert"
