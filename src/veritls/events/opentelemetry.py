"""Metrics and span attributes for OpenTelemetry, of all handshakes and of certificates that renew themselves.

    from veritls.events import opentelemetry

    opentelemetry.export()

This module needs opentelemetry-api: `pip install 'veritls[otel]'`; who collects, and where to, is the
program's. docs/operating.md lists the metrics.

A span that is current where a handshake ends, and is recorded, gets the attributes that the semantic
conventions have for TLS, in version `CONVENTIONS`, where they have the status "development". What a peer
chose, its subject and the name that it asked for, stands only there, escaped and shortened. A span is current
in the thread of the call that did the handshake; on an event loop in the task that connects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from veritls._report.rendering import plain
from veritls.events import AccessEvent, HandshakeEvent, MaterialEvent
from veritls.events._exporting import (
    ACCESS_KINDS,
    BUCKETS,
    FAILURES,
    KINDS,
    LONGEST,
    OUTCOMES,
    SCOPES,
    SIDES,
    VERSION_WORDS,
    Exporting,
    followed,
    word,
)

try:
    from opentelemetry import metrics, trace
except ImportError as error:
    _needs = "veritls.events.opentelemetry needs opentelemetry-api: pip install 'veritls[otel]'"
    raise ImportError(_needs, name=error.name) from error

__all__ = ["CONVENTIONS", "Export", "export"]

CONVENTIONS = "1.44.0"
"""The version of the semantic conventions."""

_IANA_NAMES = {
    f"ECDHE-{authentication}-{cipher}": f"TLS_ECDHE_{authentication}_WITH_{name}"
    for authentication in ("ECDSA", "RSA")
    for cipher, name in (
        ("AES128-GCM-SHA256", "AES_128_GCM_SHA256"),
        ("AES256-GCM-SHA384", "AES_256_GCM_SHA384"),
        ("CHACHA20-POLY1305", "CHACHA20_POLY1305_SHA256"),
    )
}
"""What the conventions call the suites that OpenSSL, and so an event, names otherwise."""

_GAUGES = (
    (
        "not_after",
        "s",
        "When the first certificate or CRL of this kind expires, in seconds since 1970.",
    ),
    ("loaded", "s", "When the set in use was taken over, in seconds since 1970."),
    ("checked", "s", "When the source was last read with success, as of its last event, since 1970."),
    (
        "failing",
        "{failure}",
        "How often in a row the source could not be used; 0 where the last time was good.",
    ),
    ("stale", "1", "1 where new handshakes are refused, as the set in use is older than max_stale."),
    ("generation", "{change}", "How often the context's certificates, anchors or CRLs changed."),
)
"""Name, unit, description."""

_Row: TypeAlias = dict[str, Mapping[str | None, float | None]]
"""The gauges of one source: name -> the value of each kind, or of None."""

_exports: list[Export] = []


def _of(source: str, kind: str | None) -> dict[str, str]:
    return {"veritls.source": source} | ({} if kind is None else {"veritls.kind": kind})


def _span_attributes(event: HandshakeEvent) -> dict[str, Any]:
    found: dict[str, Any] = {"tls.established": event.outcome == "completed"}
    if event.version is not None:
        found["tls.protocol.name"] = "tls"
        found["tls.protocol.version"] = event.version.removeprefix("TLSv")
    if event.suite is not None:
        found["tls.cipher"] = _IANA_NAMES.get(event.suite, event.suite)
    if event.group is not None:
        found["tls.curve"] = event.group
    if event.resumed is not None:
        found["tls.resumed"] = event.resumed
    if event.server_name is not None:
        found["server.address"] = plain(event.server_name, LONGEST)
    if event.peer_identity is not None:
        peer = "client" if event.side == "server" else "server"
        found[f"tls.{peer}.subject"] = plain(event.peer_identity.subject, LONGEST)
    return found


def _describe(span: trace.Span, event: HandshakeEvent) -> None:
    span.set_attributes(_span_attributes(event))
    if event.outcome != "completed":
        why: dict[str, str] = {"veritls.side": event.side, "veritls.outcome": event.outcome}
        if event.kind is not None:
            why["error.type"] = event.kind
        if event.sentence is not None:
            why["veritls.sentence"] = event.sentence
        span.add_event("veritls.handshake", why)


class Export(Exporting):
    """What `export` returns, to end it by `close`; a context manager. `closed`: whether it was ended."""

    def __init__(self, meter_provider: metrics.MeterProvider) -> None:
        super().__init__()
        self._provider = meter_provider
        self._rows: Mapping[str, _Row] = {}
        schema = f"https://opentelemetry.io/schemas/{CONVENTIONS}"
        meter = meter_provider.get_meter("veritls", schema_url=schema)
        self._durations = meter.create_histogram(
            "veritls.handshake.duration",
            unit="s",
            description="From the first step of a TLS handshake to its end.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._handshakes = meter.create_counter(
            "veritls.handshakes", unit="{handshake}", description="TLS handshakes that have ended."
        )
        self._late = meter.create_counter(
            "veritls.late_refusals",
            unit="{refusal}",
            description="Refusals by a TLS 1.3 server after the client's handshake, counted as completed.",
        )
        self._refused = meter.create_counter(
            "veritls.requests_refused",
            unit="{request}",
            description="Requests that were refused because of who their peer is.",
        )
        self._loads = meter.create_counter(
            "veritls.material.loads",
            unit="{load}",
            description="How often a context took over a new set, or could use its source again.",
        )
        self._failures = meter.create_counter(
            "veritls.material.failures",
            unit="{failure}",
            description="How often a source could not be read, or its content could not be used.",
        )
        for name, unit, description in _GAUGES:
            meter.create_observable_gauge(
                f"veritls.material.{name}", [partial(self._observe, name)], unit=unit, description=description
            )

    def _count_handshake(self, event: HandshakeEvent) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            _describe(span, event)
        kind = word(event.kind, KINDS)
        if event.outcome == "refused_late":
            self._late.add(1, {"error.type": kind})
            return
        labels: dict[str, str | bool] = {
            "veritls.side": word(event.side, SIDES),
            "veritls.outcome": word(event.outcome, OUTCOMES),
        }
        if event.resumed is not None:
            labels["tls.resumed"] = event.resumed
        if event.duration is not None:
            self._durations.record(event.duration, dict(labels))
        if kind:
            labels["error.type"] = kind
        if event.version is not None:
            labels["tls.protocol.version"] = word(event.version, VERSION_WORDS).removeprefix("TLSv")
        self._handshakes.add(1, labels)

    def _count_access(self, event: AccessEvent) -> None:
        labels = {"veritls.scope": word(event.scope, SCOPES), "error.type": word(event.kind, ACCESS_KINDS)}
        self._refused.add(1, labels)

    def _count_material(self, event: MaterialEvent, source: str) -> None:
        status, labels = event.status, {"veritls.source": source}
        if event.outcome == "loaded":
            self._loads.add(1, labels)
        elif event.outcome == "failed":
            self._failures.add(1, {**labels, "error.type": word(event.kind, FAILURES)})
        row: _Row = {
            "generation": {None: event.generation},
            "failing": {None: status.failures},
            "loaded": {None: status.since},
            "checked": {None: status.checked},
            "not_after": dict(status.expires.items()),
            "stale": self._rows.get(source, {}).get("stale", {None: 0}),
        }
        if event.outcome in ("loaded", "stale"):
            row["stale"] = {None: int(event.outcome == "stale")}
        self._rows = {**self._rows, source: row}

    def _forget(self, source: str) -> None:
        self._rows = {name: row for name, row in self._rows.items() if name != source}

    def _observe(self, gauge: str, options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        """Called by who collects, with locks of its own: it takes none of ours."""
        present = frozenset() if self.closed else followed()
        for source, row in self._rows.items():
            for kind, value in row[gauge].items():
                if value is not None and source in present:
                    yield metrics.Observation(value, _of(source, kind))

    def _end(self) -> None:
        _exports.remove(self)


def export(meter_provider: metrics.MeterProvider | None = None) -> Export:
    """Gives the metrics of this process's handshakes, and of the sources that contexts follow, to
    `meter_provider`, by default the global one; and describes handshakes on spans.

    They count from now on. Raises ValueError where the provider has them already: a second call would count
    twice.
    """
    provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
    if any(each._provider is provider for each in _exports):
        raise ValueError("this meter provider has the metrics already: close what export() returned before")
    made = Export(provider)
    _exports.append(made)
    return made._subscribe()
