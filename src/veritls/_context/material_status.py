"""What a context holds that can expire: its status, and how near the end is."""

from __future__ import annotations

from collections.abc import Iterator

from veritls import _engine
from veritls._context.material import KINDS
from veritls._context.settings import Settings
from veritls._loading.certificates import described, name_text
from veritls._report.rendering import plain
from veritls._value import Field, Value
from veritls.events.material import Kind, MaterialItem, MaterialStatus

MOST_ITEMS = 100
"""Items of one kind that a status lists."""
_DAY = 86_400.0
_FIRST, _LAST = 14 * _DAY, _DAY
_THIRD, _TENTH = 1 / 3, 1 / 10


class Lasting(Value):
    """An item, how long it is valid in all, and the certificate or CRL itself (DER)."""

    item: MaterialItem
    lifetime: float
    der: bytes = Field(secret=True)  # type: ignore[assignment]

    def level(self, now: float) -> int:
        """How near its end is: 0 far, 1 and 2 near, 3 it is over.

        Near is the last third of its life, at most 14 days; then the last tenth, at most a day. A CRL is
        renewed late in its life: of it only the last tenth is near.
        """
        until = self.item.not_after
        if until is None:
            return 0
        left = until - now
        if left < 0:
            return 3
        if left <= min(_LAST, self.lifetime * _TENTH):
            return 2
        return 1 if left <= min(_FIRST, self.lifetime * _THIRD) and self.item.kind != "crls" else 0


def _certificate(kind: Kind, der: bytes, source: str) -> Lasting:
    contents = _engine.contents(der)
    since, until = contents["not_before"], contents["not_after"]
    item = MaterialItem(kind, plain(described(der)[0]), source, float(until))
    return Lasting(item, float(until - since), der)


def _all(settings: Settings, source: str) -> Iterator[Lasting]:
    for identity in settings.own.preferred():
        yield _certificate("identity", identity.chain[0], source)
    for entry in settings.trust.entries(partial_chain=settings.peer.partial_chain):
        if entry.kind != "crl":
            yield _certificate(
                "trust" if entry.kind == "anchor" else "intermediates", entry.der, entry.source
            )
    for crl, where in settings.trust.crls:
        since, until = crl.period
        item = MaterialItem("crls", plain(name_text(crl.issuer)), where, float(until))
        yield Lasting(item, float(until - since), crl.der)


def lasting(settings: Settings) -> tuple[Lasting, ...]:
    """Everything in `settings` that can expire. Made once, and kept with them."""
    kept: tuple[Lasting, ...] | None = vars(settings).get("_lasting")
    if kept is None:
        follower = settings.followed
        source = follower.name if follower is not None and "identity" in follower.provides else ""
        kept = vars(settings).setdefault("_lasting", tuple(_all(settings, source)))
    return kept


def status(settings: Settings) -> MaterialStatus:
    """What the context with these settings holds now."""
    items = [each.item for each in lasting(settings)]
    listed: list[MaterialItem] = []
    expires: dict[Kind, float] = {}
    for kind in KINDS:
        those = [item for item in items if item.kind == kind]
        listed += those[:MOST_ITEMS]
        ends = [item.not_after for item in those if item.not_after is not None]
        if ends:
            expires[kind] = min(ends)
    follower = settings.followed
    state = follower.state if follower is not None else None
    return MaterialStatus(
        generation=settings.generation,
        source=follower.name if follower is not None else None,
        since=state.since if state is not None else None,
        checked=state.checked if state is not None else None,
        failures=state.failures if state is not None else 0,
        sentence=state.sentence if state is not None else None,
        items=tuple(listed),
        left_out=len(items) - len(listed),
        expires=expires,
    )
