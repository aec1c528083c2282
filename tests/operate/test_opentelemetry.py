"""What OpenTelemetry is told: metrics under attributes that no peer chooses, and the span that is current."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.operate.made_up import HOSTILE, access, handshake, hostile_handshakes, renewal, tell
from tests.operate.rotating import Memory, followed, own
from tests.operate.ways import LOOPS, Heard, ask, mutual, serving, ways
from tests.support.connections import SECONDS, client_context, server_context
from veritls.events import PeerIdentity
from veritls.events._exporting import LONGEST, MOST_SOURCES

trace = library("opentelemetry.trace")
sdk_metrics = library("opentelemetry.sdk.metrics")
sdk_metrics_export = library("opentelemetry.sdk.metrics.export")
sdk_trace = library("opentelemetry.sdk.trace")
in_memory = library("opentelemetry.sdk.trace.export.in_memory_span_exporter")
sdk_trace_export = library("opentelemetry.sdk.trace.export")

from veritls.events import opentelemetry  # noqa: E402


class Collected:
    """A provider of meters whose readings are taken here."""

    def __init__(self) -> None:
        self.reader = sdk_metrics_export.InMemoryMetricReader()
        self.provider = sdk_metrics.MeterProvider([self.reader], shutdown_on_exit=False)

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """(attributes, point) of the metric of that name."""
        data = self.reader.get_metrics_data()
        return [
            (dict(point.attributes), point)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def values(self, name: str) -> dict[frozenset[tuple[str, Any]], Any]:
        return {frozenset(attributes.items()): point.value for attributes, point in self.points(name)}


@pytest.fixture
def collected() -> Iterator[Collected]:
    collected = Collected()
    with opentelemetry.export(collected.provider):
        yield collected
    collected.provider.shutdown()


class Traced:
    """A tracer whose ended spans are kept."""

    def __init__(self) -> None:
        self.kept = in_memory.InMemorySpanExporter()
        self.provider = sdk_trace.TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(sdk_trace_export.SimpleSpanProcessor(self.kept))
        self.tracer = self.provider.get_tracer("tests")

    def attributes(self) -> dict[str, Any]:
        (span,) = self.kept.get_finished_spans()
        return dict(span.attributes)


@pytest.fixture
def traced() -> Traced:
    return Traced()


@ways
def test_handshakes_are_counted_and_timed(files: Files, way: str, collected: Collected) -> None:
    heard = Heard()
    server, client = mutual(files)
    server.on_handshake(heard)
    with serving(way, server) as port:
        assert ask("sockets", port, client) == b"x"
        with contextlib.suppress(OSError):
            assert ask("sockets", port, client_context(files.ca)) == b""
        heard.wait(2)
    counts = {
        tuple(attributes.get(f"veritls.{name}") for name in ("side", "outcome")): (attributes, point.value)
        for attributes, point in collected.points("veritls.handshakes")
    }
    agreed = {"tls.protocol.version": "1.3", "tls.resumed": False}
    ours = {"veritls.side": "server", "veritls.outcome": "completed"}
    assert counts["server", "completed"] == (ours | agreed, 1)
    refused, count = counts["server", "refused"]
    assert (refused["error.type"], count) == ("peer_did_not_return_a_certificate", 1)
    assert counts["client", "completed"][1] == 2
    durations = collected.points("veritls.handshake.duration")
    assert sum(point.count for attributes, point in durations if attributes["veritls.side"] == "server") == 2
    assert all(0 < point.sum < SECONDS for _, point in durations)


def test_a_refusal_after_the_handshake_is_not_another_handshake(collected: Collected) -> None:
    tell(
        handshake(side="client"), handshake(side="client", outcome="refused_late", kind="certificate_expired")
    )
    assert list(collected.values("veritls.handshakes").values()) == [1]
    late = collected.values("veritls.late_refusals")
    assert late == {frozenset({("error.type", "certificate_expired")}): 1}


def test_refused_requests_are_counted_by_words_of_ours(collected: Collected) -> None:
    tell(access(), access(kind="x" * 1000, scope="x" * 1000))
    found = collected.values("veritls.requests_refused")
    assert found == {
        frozenset({("veritls.scope", "http"), ("error.type", "no_peer")}): 1,
        frozenset({("veritls.scope", "other"), ("error.type", "other")}): 1,
    }


def test_no_metric_has_an_attribute_that_a_peer_chose(collected: Collected) -> None:
    tell(*hostile_handshakes(1000), handshake(version="TLSv9", outcome="invented", side="both"))
    found = {
        value
        for name in ("veritls.handshakes", "veritls.handshake.duration")
        for attributes, _ in collected.points(name)
        for value in attributes.values()
    }
    assert found == {"server", "refused", "other", "1.3", False}
    assert sorted(collected.values("veritls.handshakes").values()) == [1, 1000]


def test_loads_failures_and_expiry_of_a_source_are_told(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opentelemetry, "followed", lambda: frozenset({"files"}))
    tell(renewal(), renewal("stale"), renewal("failed", HOSTILE, failures=3))
    source = ("veritls.source", "files")
    assert collected.values("veritls.material.loads") == {frozenset({source}): 1}
    failed = frozenset({source, ("error.type", "other")})
    assert collected.values("veritls.material.failures") == {failed: 1}
    assert collected.values("veritls.material.failing") == {frozenset({source}): 3}
    assert collected.values("veritls.material.stale") == {frozenset({source}): 1}
    assert collected.values("veritls.material.generation") == {frozenset({source}): 3}
    expiry = collected.values("veritls.material.not_after")
    assert expiry[frozenset({source, ("veritls.kind", "trust")})] == 2_000_000_000
    tell(*(renewal(source=f"{number}{HOSTILE}") for number in range(300)))
    assert len(collected.values("veritls.material.loads")) == MOST_SOURCES + 1


def test_the_gauges_of_a_source_that_is_followed_no_more_are_gone(collected: Collected) -> None:
    def expiry(name: str) -> Any:
        found = collected.values("veritls.material.not_after")
        return found[frozenset({("veritls.source", name), ("veritls.kind", "identity")})]

    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    first, second = Memory("identity", identity=own()[0]), Memory("identity", identity=own()[0])
    first.name = "first"
    with followed(context, first):
        assert expiry("first") == context.material_status.expires["identity"]
    assert not collected.points("veritls.material.not_after")
    with followed(context, second):
        assert expiry("memory") == context.material_status.expires["identity"]
        assert len(collected.points("veritls.material.not_after")) == 1


def test_a_current_span_gets_the_attributes_of_the_conventions(
    files: Files, traced: Traced, collected: Collected
) -> None:
    server, client = mutual(files)
    with serving("sockets", server) as port, traced.tracer.start_as_current_span("asking"):
        assert ask("sockets", port, client) == b"x"
    found = traced.attributes()
    assert found.pop("tls.server.subject").startswith("OU=")
    assert found == {
        "tls.established": True,
        "tls.protocol.name": "tls",
        "tls.protocol.version": "1.3",
        "tls.cipher": "TLS_AES_128_GCM_SHA256",
        "tls.curve": "X25519MLKEM768",
        "tls.resumed": False,
        "server.address": "localhost",
    }


@pytest.mark.parametrize("way", LOOPS)
def test_on_a_loop_it_is_the_span_of_the_task_that_connects(
    files: Files, way: str, traced: Traced, collected: Collected
) -> None:
    async def connect() -> None:
        with traced.tracer.start_as_current_span("asking"):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
            writer.close()

    client = client_context(files.ca)
    with serving("sockets", server_context(files.server)) as port:
        loop = LOOPS[way]()
        loop.run_until_complete(asyncio.wait_for(connect(), SECONDS))
        loop.close()
    assert traced.attributes()["tls.established"] is True


def test_a_span_says_why_a_handshake_was_refused(files: Files, traced: Traced, collected: Collected) -> None:
    with (
        serving("sockets", server_context(files.stranger)) as port,
        pytest.raises(OSError),
        traced.tracer.start_as_current_span("asking", record_exception=False),
    ):
        ask("sockets", port, client_context(files.ca))
    (span,) = traced.kept.get_finished_spans()
    assert span.attributes["tls.established"] is False
    (event,) = span.events
    assert event.name == "veritls.handshake"
    assert event.attributes["error.type"] == "unknown_issuer"
    assert event.attributes["veritls.outcome"] == "refused"
    assert "trustme" in event.attributes["veritls.sentence"]


def test_what_a_peer_chose_stands_on_a_span_escaped_and_shortened(
    traced: Traced, collected: Collected
) -> None:
    with traced.tracer.start_as_current_span("serving"):
        tell(handshake(server_name=HOSTILE, peer_identity=PeerIdentity(HOSTILE, ())))
    found = traced.attributes()
    for name in ("server.address", "tls.client.subject"):
        assert found[name].isprintable() and len(found[name]) <= 2 * LONGEST
        assert found[name].startswith('x"}\\n1 2')


def test_a_span_that_is_not_recorded_gets_nothing(
    monkeypatch: pytest.MonkeyPatch, collected: Collected
) -> None:
    monkeypatch.setattr(opentelemetry, "_describe", lambda *_: pytest.fail("it was described"))
    tell(handshake())
    span = trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=False))
    with trace.use_span(span):
        tell(handshake())
    assert list(collected.values("veritls.handshakes").values()) == [2]


def test_a_second_export_to_a_provider_says_why_not(collected: Collected) -> None:
    with pytest.raises(ValueError, match="has the metrics already"):
        opentelemetry.export(collected.provider)
    with opentelemetry.export() as export, pytest.raises(ValueError, match="has the metrics already"):
        opentelemetry.export()
    export.close()
    with opentelemetry.export():
        pass


def test_what_is_closed_counts_no_more() -> None:
    collected = Collected()
    with opentelemetry.export(collected.provider):
        tell(handshake())
    tell(handshake())
    assert list(collected.values("veritls.handshakes").values()) == [1]


def test_the_names_are_those_of_the_conventions() -> None:
    """The names of `opentelemetry-semantic-conventions`, of the version that is followed."""
    schemas = library("opentelemetry.semconv.schemas").Schemas
    names = library("opentelemetry.semconv._incubating.attributes.tls_attributes")
    stable = library("opentelemetry.semconv.attributes.server_attributes")
    known = {value for name, value in vars(names).items() if name.startswith("TLS_")}
    event = handshake(peer_identity=PeerIdentity("CN=x", ()))
    for side in ("server", "client"):
        told = set(opentelemetry._span_attributes(handshake(side=side, peer_identity=event.peer_identity)))
        assert f"tls.{'client' if side == 'server' else 'server'}.subject" in told
        assert told - known == {stable.SERVER_ADDRESS}
    assert f"https://opentelemetry.io/schemas/{opentelemetry.CONVENTIONS}" in {each.value for each in schemas}


def test_suites_have_the_names_of_the_registry() -> None:
    from veritls._context.cipher_suites import SUITES

    for suite in SUITES.values():
        assert opentelemetry._IANA_NAMES.get(suite.name, suite.name).startswith("TLS_")
    told = opentelemetry._span_attributes(handshake(suite="ECDHE-RSA-AES128-GCM-SHA256"))
    assert told["tls.cipher"] == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
