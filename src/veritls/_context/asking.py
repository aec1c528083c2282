"""What is asked of a peer's chain besides the engine: the report for a verify callback, and verify_chain."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import UTC, datetime

from veritls import _engine
from veritls._context.peer import PeerPolicy
from veritls._context.server_name import on_the_wire
from veritls._context.settings import Frozen, Settings
from veritls._explaining.explanation import accepted, unverified
from veritls._explaining.reasons import ssl_error
from veritls._loading.chains import der_chain
from veritls._report.request import Purpose, Request
from veritls.peers import pin_text
from veritls.report import VerificationReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from veritls._loading.chains import Chain

_EPOCH = datetime.fromtimestamp(0, UTC)


def _moment(at: datetime | None) -> datetime:
    if at is None:
        at = datetime.now(UTC)
        if at < _EPOCH:
            raise ssl_error("UNUSABLE", "the system's clock cannot be used: it shows a time before 1970")
        return at
    if not isinstance(at, datetime):
        raise TypeError(f"at must be an aware datetime, not {type(at).__name__}")
    if at.utcoffset() is None:
        raise ValueError("at must be an aware datetime: it has no tzinfo")
    if at < _EPOCH:
        raise ValueError("at must not be before 1970")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("at must not be after the year 9999") from None


def request(
    frozen: Frozen,
    chain: Sequence[bytes],
    purpose: Purpose,
    at: datetime,
    server_hostname: str | None,
    check_hostname: bool,
    stapled: bool,
) -> Request:
    """The request to verify a chain under settings; `stapled`: with an OCSP response."""
    peer = frozen.peer
    allowed, pins = peer.allowed_peers, peer.pinned_keys
    return Request(
        chain=tuple(chain),
        purpose=purpose,
        at=at,
        server_hostname=server_hostname,
        check_hostname=check_hostname,
        allowed_peers=tuple(str(each) for several in allowed for each in several) if allowed else None,
        pinned_keys=tuple(sorted(map(pin_text, frozenset().union(*pins)))) if pins else None,
        revocation=peer.revocation,
        strict=peer.strict,
        ocsp=stapled or (peer.require_ocsp and purpose == "server"),
        by_trust_domain=frozen.by_trust_domain,
    )


def _ask(peer: PeerPolicy, report: VerificationReport) -> None:
    """Calls each callback; one that raises, or is asynchronous and so did not run, refuses the peer."""
    for each in peer.callbacks:
        answer = each.callback(report)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError("a verify callback cannot be asynchronous: it would never be awaited")


def verify_callback(frozen: Frozen, purpose: Purpose, name: str | None) -> _engine.VerifyCallback:
    """The function that the engine calls within a handshake.

    It holds no reference to the connection, which the engine would keep alive.
    """
    checked = frozen.demands["check_name"]

    def ask(chain: list[bytes], path: list[bytes] | None, at: int, stapled: bool) -> None:
        moment = datetime.fromtimestamp(at, UTC)
        asked = request(frozen, chain, purpose, moment, name, checked, stapled)
        _ask(frozen.peer, unverified(asked) if path is None else accepted(asked, tuple(path)))

    return ask


def verify_chain(
    settings: Settings,
    chain: Chain,
    purpose: Purpose,
    server_hostname: str | bytes | None,
    at: datetime | None,
    ocsp_response: bytes | None,
) -> VerificationReport:
    """Verifies a chain without a connection; see `SSLContext.verify_chain`."""
    moment = _moment(at)
    name = on_the_wire(server_hostname) if server_hostname is not None else None
    frozen = settings.frozen(purpose == "client", validating=True)
    named, stapled = name is not None, bool(ocsp_response)
    asked = request(frozen, der_chain(chain), purpose, moment, name, named, stapled)
    verified: list[VerificationReport] = []

    def ask(chain: list[bytes], path: list[bytes] | None, at: int, stapled: bool) -> None:
        report = accepted(asked, tuple(path or ()))
        _ask(frozen.peer, report)
        verified.append(report)

    frozen.settings.verify(
        asked.chain, purpose == "server", name, int(moment.timestamp()), ocsp_response, ask
    )
    [report] = verified
    return report
