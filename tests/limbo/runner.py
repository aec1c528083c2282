"""Asks `verify_chain` about one case, with VERIFY_X509_STRICT or without."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass

import veritls
from tests.limbo.corpus import Case, mail_names
from veritls._report.parsed_certificate import ParsedCertificate
from veritls.report import Purpose

_PURPOSES: dict[str, Purpose] = {"server": "server", "client": "client"}
_EXTENDED = {"server": {"serverAuth"}, "client": {"clientAuth"}}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case. `why`: the refusal. `accepted` None: the case asks what nothing here can."""

    case: Case
    accepted: bool | None
    why: str
    seconds: float

    @property
    def agrees(self) -> bool:
        return self.accepted == self.case.succeeds


def _context(case: Case, strict: bool) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    # The corpus calls every certificate of its trust set an anchor, self-issued or not.
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if strict:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=case.anchors)
    if case.crls:
        context.load_verify_locations(cadata=case.crls)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    return context


def _unasked(case: Case) -> str:
    """What the case asks for and the interface has no argument for, in words."""
    if case.signature_algorithms:
        return "a list of signature algorithms"
    if case.extended_key_usage - _EXTENDED[case.purpose]:
        return "an extended key usage other than the purpose's"
    return "a key usage" if case.key_usage - {"digitalSignature"} else ""


def _depth(path: tuple[bytes, ...]) -> int:
    """Intermediates between the peer's certificate and the anchor; self-issued ones do not count."""
    return sum(not ParsedCertificate(der, "peer").self_issued for der in path[1:-1])


def _refusal(case: Case, strict: bool) -> str:
    """Why the chain is refused; empty where it is trusted."""
    names = [value for kind, value in case.names if kind in ("DNS", "IP")]
    try:
        report = _context(case, strict).verify_chain(
            case.chain,
            server_hostname=names[0] if case.purpose == "server" and names else None,
            at=case.at,
            purpose=_PURPOSES[case.purpose],
        )
    except ssl.SSLCertVerificationError as refused:
        return refused.verify_message
    except (ssl.SSLError, ValueError) as refused:
        return str(refused)
    wanted = {value for kind, value in case.names if kind == "RFC822"}
    if wanted - mail_names(case.chain[0]):
        return "the certificate lacks one of the names"
    if case.depth is not None and _depth(report.path) > case.depth:
        return "more intermediates than the case allows"
    return ""


def run(case: Case, *, strict: bool) -> Outcome:
    """The outcome of one case."""
    if unasked := _unasked(case):
        return Outcome(case, None, f"asks for {unasked}", 0.0)
    before = time.perf_counter()
    why = _refusal(case, strict)
    return Outcome(case, not why, why, time.perf_counter() - before)
