"""What a context holds that can expire, and what is told of it: loads, failures, an expiry ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["identity", "trust", "intermediates", "crls"]
"""Own certificates with their keys; trust anchors; certificates that only help to build paths; CRLs."""


@dataclass(frozen=True)
class MaterialItem:
    """One certificate or CRL of a context.

    `kind`: see `Kind`. `name`: the subject of a certificate, the issuer of a CRL (RFC 4514), printable and
    shortened. `source`: where it is from; "" for an own certificate that is not from the source which the
    context follows. `not_after`: when it expires, in seconds since 1970; None for a CRL without nextUpdate.
    """

    kind: Kind
    name: str
    source: str
    not_after: float | None


@dataclass(frozen=True)
class MaterialStatus:
    """What a context holds, since when, from where, and what expires when. It holds no keys.

    `generation`: `SSLContext.generation`. `source`: the name of the source that the context follows, None
    where it follows none. `since`: when the set in use was taken over from it; `checked`: when the source
    was last read with success; both in seconds since 1970, None without a source. `failures`: how often in a
    row it could not be read since; `sentence`: why, the last time, or None.

    `items`: the first 100 of each kind; `left_out`: how many others there are. `expires`: of each kind that
    is there, when the first of all its certificates or CRLs expires, in seconds since 1970.
    """

    generation: int
    source: str | None
    since: float | None
    checked: float | None
    failures: int
    sentence: str | None
    items: tuple[MaterialItem, ...]
    left_out: int
    expires: Mapping[Kind, float] = field(hash=False)


MaterialOutcome: TypeAlias = Literal["loaded", "failed", "expiring", "stale"]
"""What happened to the material of a context.

`loaded`: a context took over a new set; or, after a failure, its source could be used again and had nothing
new, and `generation` is what it was. `failed`: the source could not be read, or what it gave could not be
used; the context keeps what it has. `expiring`: something in use expires soon, or has expired. `stale`: the
set in use is older than `max_stale`, and new handshakes are refused.
"""


@dataclass(frozen=True)
class MaterialEvent:
    """What happened to the certificates, keys and CRLs of one context.

    `outcome`: see `MaterialOutcome`. `kind`: of a failure, one word of a bounded list; of "expiring", the
    `Kind`; else None. `sentence`: why, for people, printable and of at most 500 characters; None where it was
    loaded. `source`: the name of the source. `generation`: of the context's settings now. `status`: what the
    context holds now. `time`: in seconds since 1970.
    """

    outcome: MaterialOutcome
    kind: str | None
    sentence: str | None
    source: str
    generation: int
    status: MaterialStatus
    time: float
