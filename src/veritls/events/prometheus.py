"""Metrics for Prometheus, of all handshakes of the process and of the certificates that renew themselves.

    from veritls.events import prometheus

    prometheus.export()

puts them into prometheus-client's registry; docs/operating.md lists them. This module needs that package:
`pip install 'veritls[metrics]'`.

Theory of operation
===================

**Labels.** None is text that a peer chose: a name or a subject is in the log and in events, not here. Each is
a word of a list of this library, and "" where there is none; any other word is counted as "other". `source`
is the name of a source, which the program chose; those after the first 100 are counted as "other".

**Processes.** With PROMETHEUS_MULTIPROC_DIR, prometheus-client keeps each process's values in files, and a
scrape adds them up. A gauge is then what the process that was told last says: a worker that was forked has
been told nothing yet, and one that died is told nothing any more.

**Locks.** One lock is held while an event is counted and while the metrics are collected, and across a fork:
prometheus-client's own locks, of which a forked child could inherit a held one, are free then. A handshake
that a signal handler makes amid either is not counted.
"""

from __future__ import annotations

import math
import os
import threading
from _thread import get_ident
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, get_args

from veritls._connection.kinds import KINDS
from veritls._context.cipher_suites import VERSIONS
from veritls._report.rendering import plain
from veritls.events import Event, HandshakeEvent, MaterialEvent, Outcome, subscribe
from veritls.events.material import Kind

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, values
except ImportError as error:
    _needs = "veritls.events.prometheus needs prometheus-client: pip install 'veritls[metrics]'"
    raise ImportError(_needs, name=error.name) from error

__all__ = ["BUCKETS", "Export", "export"]

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: the upper ends of the histogram's buckets. A local handshake takes less than a millisecond."""

MOST_SOURCES = 100
LONGEST = 200
"""Characters of a source's name."""

_SIDES = frozenset(("client", "server"))
_OUTCOMES = frozenset(get_args(Outcome))
_VERSIONS = frozenset(VERSIONS.values())
_RESUMED = {True: "true", False: "false", None: ""}
_MATERIAL_KINDS: tuple[Kind, ...] = get_args(Kind)

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

_in_files: set[str] = set()
"""The namespaces of exports whose values are in prometheus-client's files, which know no registry."""


def _word(value: str | None, known: frozenset[str]) -> str:
    return "" if value is None else value if value in known else "other"


class Export:
    """What `export` returns, to take the metrics back; a context manager. `closed`: whether they were."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        common: dict[str, Any] = {"namespace": namespace, "registry": None}
        recent = {**common, "multiprocess_mode": "livemostrecent"}
        self._handshakes = Counter(
            "handshakes",
            "TLS handshakes that have ended.",
            ["side", "outcome", "kind", "version", "resumed"],
            **common,
        )
        self._durations = Histogram(
            "handshake_duration_seconds",
            "From the first step of a TLS handshake to its end.",
            ["side", "outcome", "resumed"],
            buckets=BUCKETS,
            **common,
        )
        self._late = Counter(
            "late_refusals",
            "TLS 1.3 clients that the server refused after their handshake was completed, and counted so.",
            ["kind"],
            **common,
        )
        self._loads = Counter(
            "material_loads", "How often a context took over new certificates.", ["source"], **common
        )
        self._failures = Counter(
            "material_failures",
            "How often a source could not be read, or its content could not be used.",
            ["source", "kind"],
            **common,
        )
        self._not_after = Gauge(
            "material_not_after_timestamp_seconds",
            "When the first certificate or CRL of this kind expires, in seconds since 1970.",
            ["source", "kind"],
            **recent,
        )
        self._checked = Gauge(
            "material_checked_timestamp_seconds",
            "When the source was last read with success, as of the last event; in seconds since 1970.",
            ["source"],
            **recent,
        )
        self._since = Gauge(
            "material_loaded_timestamp_seconds",
            "When the set in use was taken over, in seconds since 1970.",
            ["source"],
            **recent,
        )
        self._generation = Gauge(
            "material_generation",
            "The changes of certificates, trust anchors and CRLs of the context that was told of last.",
            ["source"],
            **recent,
        )
        self._failing = Gauge(
            "material_failing",
            "How often in a row the source could not be used; 0 where the last time was good.",
            ["source"],
            **recent,
        )
        self._stale = Gauge(
            "material_stale",
            "1 where new handshakes are refused, as the set in use is older than max_stale.",
            ["source"],
            **recent,
        )
        self._ended: dict[tuple[str, ...], tuple[Any, Any]] = {}
        self._sources: set[str] = set()
        self._expiring: set[tuple[str, str]] = set()
        self._owner: int | None = None
        self._registry = registry
        self._namespace = namespace
        self.closed = False

    def _metrics(self) -> tuple[Any, ...]:
        return (
            self._handshakes,
            self._durations,
            self._late,
            self._loads,
            self._failures,
            self._not_after,
            self._checked,
            self._since,
            self._generation,
            self._failing,
            self._stale,
        )

    def describe(self) -> Iterable[Any]:
        """For the registry: the names, without values."""
        return [family for metric in self._metrics() for family in metric.describe()]

    def collect(self) -> Iterable[Any]:
        """For the registry: the values."""
        with _lock:
            before, self._owner = self._owner, get_ident()
            try:
                return [family for metric in self._metrics() for family in metric.collect()]
            finally:
                self._owner = before

    def _hear(self, event: Event) -> None:
        with _lock:
            if self._owner == get_ident():
                return
            self._owner = get_ident()
            try:
                if isinstance(event, HandshakeEvent):
                    self._count_handshake(event)
                else:
                    self._count_material(event)
            finally:
                self._owner = None

    def _count_handshake(self, event: HandshakeEvent) -> None:
        kind = _word(event.kind, KINDS)
        if event.outcome == "refused_late":
            self._late.labels(kind).inc()
            return
        side, outcome = _word(event.side, _SIDES), _word(event.outcome, _OUTCOMES)
        labels = side, outcome, kind, _word(event.version, _VERSIONS), _RESUMED[event.resumed]
        found = self._ended.get(labels)
        if found is None:
            found = self._handshakes.labels(*labels), self._durations.labels(side, outcome, labels[4])
            self._ended[labels] = found
        count, durations = found
        count.inc()
        if event.duration is not None:
            durations.observe(event.duration)

    def _source(self, name: str) -> str:
        name = plain(name, LONGEST)
        if name in self._sources or len(self._sources) < MOST_SOURCES:
            self._sources.add(name)
            return name
        return "other"

    def _count_material(self, event: MaterialEvent) -> None:
        source, status = self._source(event.source), event.status
        if event.outcome == "loaded":
            self._loads.labels(source).inc()
        elif event.outcome == "failed":
            self._failures.labels(source, _word(event.kind, KINDS)).inc()
        self._generation.labels(source).set(event.generation)
        self._failing.labels(source).set(status.failures)
        self._stale.labels(source).set(event.outcome == "stale")
        self._since.labels(source).set(math.nan if status.since is None else status.since)
        self._checked.labels(source).set(math.nan if status.checked is None else status.checked)
        for kind in _MATERIAL_KINDS:
            expires = status.expires.get(kind)
            if expires is not None or (source, kind) in self._expiring:
                self._expiring.add((source, kind))
                self._not_after.labels(source, kind).set(math.nan if expires is None else expires)

    def _begin(self) -> Self:
        in_files: bool = values.ValueClass._multiprocess
        if in_files:
            if self._namespace in _in_files:
                raise ValueError(_twice(self._namespace))
            _in_files.add(self._namespace)
        try:
            self._registry.register(self)
        except ValueError as error:
            if in_files:
                _in_files.discard(self._namespace)
            raise ValueError(_twice(self._namespace)) from error
        self._subscription = subscribe(self._hear)
        return self

    def close(self) -> None:
        """Ends the counting, and takes the metrics out of the registry. A second call does nothing."""
        with _lock:
            if self.closed:
                return
            self.closed = True
        self._subscription.close()
        with suppress(KeyError):  # the program emptied its registry
            self._registry.unregister(self)
        _in_files.discard(self._namespace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _twice(namespace: str) -> str:
    return (
        f"there are metrics named {namespace}_... already: close what export() returned before, "
        "or choose another namespace"
    )


def export(registry: CollectorRegistry = REGISTRY, namespace: str = "veritls") -> Export:
    """Has `registry` show the metrics of this process's handshakes and of the sources that contexts follow.

    They count from now on. `namespace`: the first word of their names. Raises ValueError where the registry
    has metrics of these names already, which a second call would count twice; and for a namespace that
    cannot begin the name of a metric.
    """
    return Export(registry, namespace)._begin()
