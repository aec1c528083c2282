"""Metrics for Prometheus, of all handshakes of the process and of the certificates that renew themselves.

    from veritls.events import prometheus

    prometheus.export()

puts them into prometheus-client's registry; docs/operating.md lists them. This module needs that package:
`pip install 'veritls[metrics]'`.

With PROMETHEUS_MULTIPROC_DIR, prometheus-client keeps each process's values in files, and a scrape adds them
up. A gauge shows then what the process says that was told last: one that was forked has been told nothing
yet, though it has the values of its parent's gauges as 0, and one that died is told nothing any more.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from veritls._report.rendering import plain
from veritls.events import AccessEvent, HandshakeEvent, MaterialEvent
from veritls.events._exporting import (
    ACCESS_KINDS,
    BUCKETS,
    FAILURES,
    KINDS,
    MATERIAL_KINDS,
    OUTCOMES,
    SCOPES,
    SIDES,
    VERSION_WORDS,
    Exporting,
    followed,
    word,
)

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, values
except ImportError as error:
    _needs = "veritls.events.prometheus needs prometheus-client: pip install 'veritls[metrics]'"
    raise ImportError(_needs, name=error.name) from error

__all__ = ["Export", "export"]

_NAMESPACES = re.compile("[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""prometheus-client quotes any other, which only scrapes in its newest formats understand."""
_LONGEST_WAIT = 1.0
"""Seconds that a fork waits for a registry: its own thread might hold it."""
_RESUMED = {True: "true", False: "false", None: ""}

_in_files: set[str] = set()
"""The namespaces of exports whose values are in prometheus-client's files, which know no registry."""

_registries: list[CollectorRegistry] = []
"""Those of the exports that are not closed."""
_held: list[Any] = []


def _before_fork() -> None:
    """A scrape takes its registry's lock for a moment: a child that inherited it held could never scrape."""
    locks = {id(registry): getattr(registry, "_lock", None) for registry in list(_registries)}
    _held.extend(lock for lock in locks.values() if lock is not None and lock.acquire(timeout=_LONGEST_WAIT))


def _after_fork() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


class Export(Exporting):
    """What `export` returns, to take the metrics back by `close`; a context manager.

    `closed`: whether they were.
    """

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        super().__init__()
        self._registry, self._namespace = registry, namespace
        self._metrics: list[Any] = []

        def add(kind: Any, name: str, words: str, *labels: str, **options: Any) -> Any:
            metric = kind(name, words, labels, namespace=namespace, registry=None, **options)
            self._metrics.append(metric)
            return metric

        def gauge(name: str, words: str, *labels: str) -> Any:
            return add(Gauge, name, words, *labels, multiprocess_mode="livemostrecent")

        self._handshakes = add(
            Counter,
            "handshakes",
            "TLS handshakes that have ended.",
            *("side", "outcome", "kind", "version", "resumed"),
        )
        self._durations = add(
            Histogram,
            "handshake_duration_seconds",
            "From the first step of a TLS handshake to its end.",
            *("side", "outcome", "resumed"),
            buckets=BUCKETS,
        )
        self._late = add(
            Counter,
            "late_refusals",
            "Refusals by a TLS 1.3 server after the client's handshake, which was counted as completed.",
            "kind",
        )
        self._refused = add(
            Counter,
            "requests_refused",
            "Requests that were refused because of who their peer is.",
            *("scope", "kind"),
        )
        self._loads = add(
            Counter,
            "material_loads",
            "How often a context took over a new set, or could use its source again.",
            "source",
        )
        self._failures = add(
            Counter,
            "material_failures",
            "How often a source could not be read, or its content could not be used.",
            *("source", "kind"),
        )
        self._not_after = gauge(
            "material_not_after_timestamp_seconds",
            "When the first certificate or CRL of this kind expires, in seconds since 1970.",
            *("source", "kind"),
        )
        self._loaded = gauge(
            "material_loaded_timestamp_seconds",
            "When the set in use was taken over, in seconds since 1970.",
            "source",
        )
        self._checked = gauge(
            "material_checked_timestamp_seconds",
            "When the source was last read with success, as of its last event, in seconds since 1970.",
            "source",
        )
        self._failing = gauge(
            "material_failing",
            "How often in a row the source could not be used; 0 where the last time was good.",
            "source",
        )
        self._stale = gauge(
            "material_stale",
            "1 where new handshakes are refused, because the set in use is older than max_stale.",
            "source",
        )
        self._generation = gauge(
            "material_generation", "How often the context's certificates, anchors or CRLs changed.", "source"
        )
        self._ended: dict[tuple[str, ...], tuple[Any, Any]] = {}
        self._expiring: set[tuple[str, str]] = set()

    def describe(self) -> Iterable[Any]:
        """For the registry: the names, without values."""
        return [family for metric in self._metrics for family in metric.describe()]

    def collect(self) -> Iterable[Any]:
        """For the registry: the values."""
        with self._alone():
            self._forget_ended(followed())
            return [family for metric in self._metrics for family in metric.collect()]

    def _count_handshake(self, event: HandshakeEvent) -> None:
        kind = word(event.kind, KINDS)
        if event.outcome == "refused_late":
            self._late.labels(kind).inc()
            return
        side, outcome, resumed = (
            word(event.side, SIDES),
            word(event.outcome, OUTCOMES),
            _RESUMED[event.resumed],
        )
        labels = side, outcome, kind, word(event.version, VERSION_WORDS), resumed
        found = self._ended.get(labels)
        if found is None:
            found = self._handshakes.labels(*labels), self._durations.labels(side, outcome, resumed)
            self._ended[labels] = found
        count, durations = found
        count.inc()
        if event.duration is not None:
            durations.observe(event.duration)

    def _count_access(self, event: AccessEvent) -> None:
        self._refused.labels(word(event.scope, SCOPES), word(event.kind, ACCESS_KINDS)).inc()

    def _count_material(self, event: MaterialEvent, source: str) -> None:
        status = event.status
        if event.outcome == "loaded":
            self._loads.labels(source).inc()
        elif event.outcome == "failed":
            self._failures.labels(source, word(event.kind, FAILURES)).inc()
        self._generation.labels(source).set(event.generation)
        self._failing.labels(source).set(status.failures)
        if event.outcome in ("loaded", "stale"):
            self._stale.labels(source).set(event.outcome == "stale")
        self._loaded.labels(source).set(math.nan if status.since is None else status.since)
        self._checked.labels(source).set(math.nan if status.checked is None else status.checked)
        for kind in MATERIAL_KINDS:
            expires = status.expires.get(kind)
            if expires is not None or (source, kind) in self._expiring:
                self._expiring.add((source, kind))
                self._not_after.labels(source, kind).set(math.nan if expires is None else expires)

    def _forget(self, source: str) -> None:
        for gauge in (self._generation, self._failing, self._stale, self._loaded, self._checked):
            gauge.labels(source).set(math.nan)
        for each, kind in self._expiring:
            if each == source:
                self._not_after.labels(source, kind).set(math.nan)

    def _begin(self) -> None:
        in_files: bool = values.ValueClass._multiprocess
        twice = (
            f"there are metrics named {self._namespace}_... already: close what export() returned before, "
            "or choose another namespace"
        )
        if in_files and self._namespace in _in_files:
            raise ValueError(twice)
        try:
            self._registry.register(self)
        except ValueError as error:
            raise ValueError(twice) from error
        _registries.append(self._registry)
        if in_files:
            _in_files.add(self._namespace)
        self._subscribe()

    def _end(self) -> None:
        with suppress(KeyError):  # the program emptied its registry
            self._registry.unregister(self)
        _registries.remove(self._registry)
        _in_files.discard(self._namespace)


def export(registry: CollectorRegistry = REGISTRY, namespace: str = "veritls") -> Export:
    """Has `registry` show the metrics of this process's handshakes and of the sources that contexts follow.

    They count from now on. `namespace`: the first word of their names. Raises ValueError where the registry
    has metrics of these names already, which a second call would count twice; and for a namespace that
    cannot begin the name of a metric.
    """
    if not _NAMESPACES.fullmatch(namespace):
        raise ValueError(
            f"a namespace is a letter, and letters, digits and _ after it, not {plain(namespace)!r}"
        )
    made = Export(registry, namespace)
    made._begin()
    return made
