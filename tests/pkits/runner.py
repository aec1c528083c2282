"""Asks `verify_chain` about one case, with VERIFY_CRL_CHECK_CHAIN and default inputs."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

import veritls
from tests.pkits.corpus import Case

AT = datetime(2020, 6, 1, tzinfo=UTC)
"""Every path is meant for April 2011 or later, before 2030."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case. `why`: the refusal; empty where the chain is accepted."""

    case: Case
    why: str

    @property
    def accepted(self) -> bool:
        return not self.why

    @property
    def agrees(self) -> bool:
        return self.accepted == self.case.valid


def _context(case: Case) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    context.load_verify_locations(cadata=case.anchor)
    for crl in case.crls:
        # One that cannot be used (delta, indirect, damaged) is left out: then a status is unknown.
        with contextlib.suppress(ssl.SSLError):
            context.load_crls(bytearray(crl))
    return context


def run(case: Case) -> Outcome:
    """The outcome of one case."""
    try:
        _context(case).verify_chain(case.chain, at=AT, purpose="client")
    except ssl.SSLCertVerificationError as refused:
        return Outcome(case, refused.verify_message or str(refused))
    except ssl.SSLError as refused:
        return Outcome(case, str(refused))
    return Outcome(case, "")
