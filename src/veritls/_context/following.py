"""A context that follows a source: what it takes over, what it tells, and when its set is too old.

Theory of operation
-------------------

A `Follower` is one call of `SSLContext.follow`. The context's settings name it, and say by that what is
followed: the settings that a swap makes are made of settings that name it, in one change, so a set that
arrives after `follow(None)` changes nothing, and a setter of what is followed raises (`check_unfollowed`). It
keeps no keys, and the context only weakly.
"""

from __future__ import annotations

import ssl
import time
import weakref
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from veritls import _engine
from veritls._context import material_log
from veritls._context.keyring import Keyring
from veritls._context.material import KINDS, Prepared, check_dates, kind_of
from veritls._context.material_status import lasting, status
from veritls._context.settings import Settings
from veritls._context.watching import PERIOD, Joining, Loaded, Watcher, clock, name_of
from veritls._explaining.reasons import ssl_error, words_of
from veritls._loading.trust import Batch
from veritls._report.rendering import moment, moment_of, plain, span
from veritls._value import Value, replace
from veritls.events.material import Kind, MaterialEvent, MaterialOutcome
from veritls.sources.source import Source

if TYPE_CHECKING:
    from veritls._context.context import SSLContext
    from veritls._context.trust_store import TrustStore

LONGEST = 500
"""Characters of a sentence."""
_LONGEST_STALE = 10 * 365 * 86_400.0


class State(Value):
    """How a follower fares. Times in seconds since 1970."""

    since: float
    checked: float
    failures: int = 0
    sentence: str | None = None


class Freshness:
    """Until when the set of one follower may be used. `renew` moves that; connections read it."""

    def __init__(self, follower: Follower, limit: float, began: float) -> None:
        self._follower = weakref.ref(follower)
        self.name = follower.name
        self.checked = 0.0
        self.limit = limit
        self._untold: list[None] = []
        self.renew(began)

    def renew(self, began: float) -> None:
        """The source was read with success; the load began at `began`, by `clock`."""
        self.checked = time.time()
        self._until = began + self.limit
        self._untold[:] = [None]

    def refusal(self) -> ssl.SSLError | None:
        """The error for a new handshake; None where the set is not too old."""
        late = clock() - self._until
        if late <= 0:
            return None
        checked = moment(moment_of(int(self.checked)))
        limit = span(timedelta(seconds=self.limit)) if self.limit >= 1 else f"{self.limit:g} seconds"
        words = (
            f"material stale: {self.name} was last read with success at {checked}, "
            f"which is longer ago than max_stale ({limit})"
        )
        try:
            self._untold.pop()
        except IndexError:
            pass
        else:
            follower = self._follower()
            if follower is not None:
                follower.told_of_trouble = True
                follower.tell("stale", "stale", words)
        return ssl_error("MATERIAL_STALE", words)


class _Ended(Exception):
    """The context follows another source now, or none."""


def seconds_of(max_stale: object) -> float | None:
    """`max_stale` in seconds. Raises TypeError and ValueError."""
    if max_stale is None:
        return None
    if isinstance(max_stale, timedelta):
        max_stale = max_stale.total_seconds()
    if isinstance(max_stale, bool) or not isinstance(max_stale, int | float):
        raise TypeError(f"max_stale must be seconds, a timedelta or None, not {type(max_stale).__name__}")
    if not 0 < max_stale <= _LONGEST_STALE:
        raise ValueError(f"max_stale must be more than 0 seconds, and at most ten years, not {max_stale}")
    return float(max_stale)


def _sentence(error: BaseException) -> str:
    """What went wrong, printable and bounded."""
    if isinstance(error, ssl.SSLError) and error.reason and len(error.args) > 1:
        words = words_of(error)
    elif isinstance(error, OSError) and error.strerror:
        name = f": {error.filename!r}" if error.filename else ""
        words = f"{error.strerror}{name}"
    else:
        try:
            text = str(error)
        except Exception:
            text = ""
        words = text if isinstance(error, ValueError | TypeError) and text else type(error).__name__
        if text and words != text:
            words = f"{words}: {text}"
    return plain(words, LONGEST)


class Taken(Value):
    """What came of one load in one context."""

    changed: bool = False
    error: BaseException | None = None


class Follower:
    """One context that follows one source."""

    def __init__(self, context: SSLContext, source: Source, provides: frozenset[Kind]) -> None:
        self.name = name_of(source)
        self.source = source
        self.provides = provides
        self.fresh: Freshness | None = None
        self.state = State(0.0, 0.0)
        self._contents: object = None
        self.told_of_trouble = False
        self._levels: dict[bytes, int] = {}
        self._watcher: Watcher | None = None
        ours = weakref.ref(self)  # else what the context let go of would be a circle, and stay

        def gone(_: object) -> None:
            follower = ours()
            if follower is not None:
                follower.leave()

        self._context = weakref.ref(context, gone)

    def __repr__(self) -> str:
        return f"<Follower of {self.name}>"

    def begin(self, context: SSLContext, max_stale: float | None) -> None:
        """Loads now, and takes over what there is. Raises what is wrong; nothing has changed then."""
        former: Follower | None = None

        def change(settings: Settings) -> Settings:
            nonlocal former
            former = settings.followed
            fresh = () if self.fresh is None else (self.fresh,)
            bound = replace(settings, followed=self, fresh=fresh)
            return self._renewed(bound, new, former=None)

        with Joining(self.source) as watcher:
            self._watcher = watcher
            with watcher.loading:
                loaded = watcher.load(self.provides)
                if loaded.error is not None:
                    raise loaded.error
                assert loaded.prepared is not None
                if max_stale is not None:
                    self.fresh = Freshness(self, max_stale, loaded.began)
                now = time.time()
                self.state = State(now, now)
                new = self._own_copies(context, loaded.prepared)
                context._change(change)
                self._contents = loaded.prepared.contents
                shared = watcher.add(self)
        if shared or self.fresh is not None:
            # What this load found is no news any more, but the others do not have it; and the thread may wait
            # for longer than this one can.
            watcher.wake()
        if former is not None:
            former.leave()
        self.tell("loaded", None, None)
        self.look()

    def leave(self) -> None:
        """The context follows this no more, or is gone. It may run amid anything."""
        if self._watcher is not None:
            self._watcher.wake()

    def alive(self) -> bool:
        """Whether the context is there, and follows this."""
        context = self._context()
        return context is not None and context._settings.followed is self

    def hurry(self) -> float:
        """Seconds after which the source is to be read again, so that its set does not become too old."""
        return PERIOD if self.fresh is None else self.fresh.limit / 3

    def take(self, loaded: Loaded) -> Taken:
        """Takes over what was loaded, all or nothing. Tells nobody yet."""
        context = self._context()
        if context is None:
            return Taken()
        error, changed = loaded.error, False
        if error is None:
            try:
                changed = self._swapped(context, loaded)
            except _Ended:
                return Taken()
            except Exception as why:
                error = why
        if error is not None:
            return self.failed(error)
        now = time.time()
        self.state = State(now if changed else self.state.since, now)
        if self.fresh is not None:
            self.fresh.renew(loaded.began)
        return Taken(changed)

    def failed(self, error: BaseException) -> Taken:
        """What came of a load, or of a wait, that failed."""
        self.state = replace(self.state, failures=self.state.failures + 1, sentence=_sentence(error))
        return Taken(error=error)

    def _swapped(self, context: SSLContext, loaded: Loaded) -> bool:
        assert loaded.prepared is not None
        if loaded.prepared.contents == self._contents:
            return False
        new = self._own_copies(context, loaded.prepared)

        def change(settings: Settings) -> Settings:
            if settings.followed is not self:
                raise _Ended
            return self._renewed(settings, new, former=settings.trust)

        context._change(change)
        self._contents = new.contents
        return True

    def _own_copies(self, context: SSLContext, new: Prepared) -> Prepared:
        """The set with identities that are this context's own: OCSP responses are not shared.

        One that is in use keeps its response; for others a callback of `set_ocsp_response` is asked.
        """
        if new.identity is None:
            return new
        settings = context._settings
        present = {tuple(each.chain): each for each in settings.own.preferred()}
        identities = []
        for each in new.identity:
            kept = present.get(tuple(each.chain))
            identities.append(kept or each.apart())
            if kept is None and settings.renewal is not None:
                settings.renewal.prepare(context, identities[-1])
        return replace(new, identity=tuple(identities))

    def _renewed(self, settings: Settings, new: Prepared, former: TrustStore | None) -> Settings:
        """`settings` with the new set, ready for handshakes. Raises what is wrong with it.

        `former`: what this source gave before; its CRLs are not replaced by older ones.
        """
        own, trust = settings.own, settings.trust
        if new.identity is not None:
            check_dates([each.chain[0] for each in new.identity], [each.chain[0] for each in own.preferred()])
            own = Keyring.of(new.identity, only_one=settings.protocol.method == ssl.PROTOCOL_TLS_CLIENT)
        if new.trust is not None:
            if former is not None and former.bundles is not None:
                raise ValueError(f"{self.name} gave trust by SPIFFE trust domain, and now for all")
            trust = trust.with_trust([Batch(new.trust, (), self.name)])
            partial = settings.peer.partial_chain
            if former is not None and not trust.has_anchors(partial) and former.has_anchors(partial):
                raise ValueError(f"{self.name} gave no trust anchor: none of the certificates is self-signed")
        if new.bundles is not None:
            trust = trust.with_trust([]).with_bundles(new.bundles)
        if new.intermediates is not None:
            trust = trust.with_intermediates(new.intermediates)
        if new.crls is not None:
            trust = trust.with_crls(new.crls)
            if former is not None:
                trust = trust.with_newer_crls(former)
        renewed = replace(settings, own=own, trust=trust, generation=settings.generation + 1)
        _freeze(renewed)
        return renewed

    def after(self, taken: Taken, *, told: bool) -> None:
        """Tells what came of a load; of a failure only where `told`."""
        if taken.error is not None:
            if told:
                self.told_of_trouble = True
                self.tell("failed", kind_of(taken.error), _sentence(taken.error))
        elif taken.changed or self.told_of_trouble:
            self.told_of_trouble = False
            self.tell("loaded", None, None)
        self.look()

    def look(self) -> None:
        """Tells what expires soon, once for each item and level."""
        context = self._context()
        if context is None:
            return
        settings, now = context._settings, time.time()
        if settings.followed is not self:
            return
        levels: dict[bytes, int] = {}
        news: dict[Kind, list[tuple[float, str, int]]] = {}
        for each in lasting(settings):
            level = each.level(now)
            if not level:
                continue
            levels[each.der] = level
            if level > self._levels.get(each.der, 0):
                found = news.setdefault(each.item.kind, [])
                found.append((each.item.not_after or 0.0, each.item.name, level))
        self._levels = levels
        for kind in KINDS:
            if kind in news:
                self.tell("expiring", kind, _expiry(kind, sorted(news[kind]), now))

    def tell(self, outcome: MaterialOutcome, kind: str | None, sentence: str | None) -> None:
        """Tells listeners and the log. Raises nothing."""
        context = self._context()
        if context is None:
            return
        try:
            settings = context._settings
            listeners = settings.material_listeners + _engine.listeners.get()
            held = material_log.admit(self.name, outcome, kind)
            if held is None and not listeners:
                return
            event = MaterialEvent(
                outcome=outcome,
                kind=kind,
                sentence=None if sentence is None else plain(sentence, LONGEST),
                source=self.name,
                generation=settings.generation,
                status=status(settings),
                time=time.time(),
            )
        except Exception as fault:
            _engine.report_unraisable(fault, self)
            return
        if held is not None:
            try:
                material_log.record(event, held)
            except Exception as fault:
                _engine.report_unraisable(fault, material_log.logger)
        for subscription in dict.fromkeys(listeners):
            subscription._tell(event)


def _freeze(settings: Settings) -> None:
    """Makes the engine's forms, so that no handshake waits for them. Raises where there can be none."""
    method, made = settings.protocol.method, 0
    error: Exception | None = None
    for server_side, other in ((True, ssl.PROTOCOL_TLS_CLIENT), (False, ssl.PROTOCOL_TLS_SERVER)):
        if method != other:
            try:
                settings.frozen(server_side)
                made += 1
            except Exception as why:
                error = error or why
    if not made and error is not None:
        raise error


_NOUNS: dict[Kind, str] = {
    "identity": "the certificate",
    "trust": "the trust anchor",
    "intermediates": "the intermediate",
    "crls": "the CRL of",
}


def _expiry(kind: Kind, found: list[tuple[float, str, int]], now: float) -> str:
    until, name, level = found[0]
    when = moment(moment_of(int(until)))
    left = f"expires in {span(timedelta(seconds=until - now))}" if level < 3 else "has expired"
    more = f"; and {len(found) - 1:,} more" if len(found) > 1 else ""
    return f"{_NOUNS[kind]} {name or 'without a name'} {left} ({when}){more}"


def follow(context: SSLContext, source: Source | None, max_stale: float | timedelta | None) -> None:
    """`SSLContext.follow`."""
    limit = seconds_of(max_stale)
    if source is None:
        if limit is not None:
            raise ValueError("max_stale needs a source")
        before = context._change(lambda settings: replace(settings, followed=None, fresh=()))
        if before.followed is not None:
            before.followed.leave()
        return
    for member in ("load()", "wait()"):
        if not callable(getattr(source, member[:-2], None)):
            raise _no_source(source, member)
    Follower(context, source, _provided(source)).begin(context, limit)


def _no_source(source: object, member: str) -> TypeError:
    return TypeError(f"a source has provides, load() and wait(); {type(source).__name__} lacks {member}")


def _provided(source: Any) -> frozenset[Kind]:
    try:
        provides = source.provides
    except AttributeError as error:
        raise _no_source(source, "provides") from error
    if isinstance(provides, str | bytes) or not isinstance(provides, Iterable):
        raise TypeError(f"a source's provides is a set of kinds, not {type(provides).__name__}")
    found = frozenset(provides)
    if not found or not found <= frozenset(KINDS):
        known = ", ".join(KINDS)
        raise ValueError(
            f"a source provides one or several of {known}, not {plain(repr(sorted(map(str, found))))}"
        )
    return found
