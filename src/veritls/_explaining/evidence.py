"""The evidence that a chain passed a check, in words."""

from __future__ import annotations

from collections.abc import Callable

from veritls import _engine
from veritls._explaining.diagnosis import Case
from veritls._report.rendering import counted, listing, moment, span


def _validity(case: Case) -> str:
    ends = [(parsed.not_after, case.short(parsed)) for parsed in case.path]
    known = [(end, name) for end, name in ends if end is not None]
    if not known:
        return ""
    end, name = min(known)
    return f"{name} is the first to expire, in {span(end - case.request.at)} ({moment(end)})"


def _chain(case: Case) -> str:
    if len(case.path) == 1:
        return "it is in the trust set itself"
    signers = ", signed by ".join(each.label for each in case.path[1:])
    return f"{case.leaf.holder}, signed by {signers} in the trust set"


_EVIDENCE: dict[str, Callable[[Case], str]] = {
    "encoding": lambda case: counted(len(case.path), "certificate"),
    "trust domain": lambda case: _engine.spiffe_id(case.leaf.der) or "",
    "validity": _validity,
    "purpose": lambda case: f"for {case.peer}s",
    "chain": _chain,
    "signature": lambda case: listing(list(dict.fromkeys(each.signature_name for each in case.path[:-1])), 9),
    "revocation": lambda case: (
        "of every certificate" if case.request.revocation == "chain" else "of the leaf"
    ),
    "host name": lambda case: (
        f"the certificate is for {listing(case.leaf.names, more=case.leaf.names_left_out)}"
    ),
}


def of_accepted(check: str, case: Case) -> str:
    """The evidence for a check that passed; empty where there is none."""
    found = _EVIDENCE.get(check)
    return found(case) if found is not None else ""
