"""Policy, reports, events, sources, tickets: what programs that are operated name."""

import threading
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, assert_type

import veritls as ssl
from veritls import events, peers, policy, report
from veritls.errors import SSLCertVerificationError
from veritls.events import opentelemetry, prometheus
from veritls.sources import FileSource, Identity, Kind, Material, Source, SPIFFESource
from veritls.tickets import TicketKeys


def rules() -> policy.Rule:
    assert_type(policy.RULES[True, policy.CERT_NONE], policy.Rule)
    print(policy.CERT_OPTIONAL, policy.CERT_REQUIRED)
    rule = policy.rule(server_side=True, mode=ssl.CERT_REQUIRED)
    assert_type(rule.request, bool)
    print(rule.require, rule.validate, rule.name_matters)
    return rule


def patterns() -> list[peers.Matcher]:
    found: list[peers.Matcher] = [peers.DNSPattern("a.example"), peers.Email("a@b.example"), peers.URI("a:b")]
    return [*found, peers.Network("192.0.2.1"), peers.SPIFFE("spiffe://example.org/*")]


def told(error: SSLCertVerificationError) -> dict[str, Any]:
    found = error.report
    assert_type(found.trusted, bool)
    assert_type(found.kind, str | None)
    assert_type(found.sentence, str)
    assert_type(found.remedies, tuple[str, ...])
    assert_type(found.checks, tuple[report.Check, ...])
    assert_type(found.certificates, tuple[report.Certificate, ...])
    assert_type(found.certificates_left_out, int)
    assert_type(found.path, tuple[bytes, ...])
    assert_type(found.request, report.Request)
    assert_type(found.question, report.Request)
    assert_type(found.refusal, report.Refusal | None)
    assert_type(found.as_json(indent=None), str)
    print(found.explain, str(found))
    return found.as_dict()


def parts(check: report.Check, certificate: report.Certificate, request: report.Request) -> None:
    assert_type(check.name, str)
    assert_type(check.evidence, str)
    role: report.Role = certificate.role
    assert_type(certificate.days_left(datetime.now(UTC)), int | None)
    assert_type(certificate.as_dict(datetime.now(UTC)), dict[str, Any])
    assert_type(certificate.names, tuple[str, ...])
    assert_type(certificate.not_after, datetime | None)
    purpose: report.Purpose = request.purpose
    callback: report.VerifyCallback = print
    print(role, purpose, callback, check.verdict, request.server_hostname, request.at)


def outcome(event: events.Event) -> str:
    if isinstance(event, events.HandshakeEvent):
        word: events.Outcome = event.outcome
        assert_type(event.peer_identity, events.PeerIdentity | None)
        assert_type(event.duration, float | None)
        return word
    if isinstance(event, events.AccessEvent):
        kind: events.AccessKind = event.kind
        assert_type(event.method, str | None)
        return kind
    assert_type(event, events.MaterialEvent)
    became: events.MaterialOutcome = event.outcome
    return became


def listening(context: ssl.SSLContext) -> None:
    def hear(event: events.HandshakeEvent) -> None:
        print(event.sentence, event.generation)

    listener: events.Listener = hear
    assert_type(context.on_handshake(listener), events.Subscription)
    with events.subscribe(outcome) as subscription:
        subscription.close()
    queue = events.Queue(maxsize=100)
    events.subscribe(queue)
    assert_type(queue.get(timeout=1.0), events.MaterialEvent | events.HandshakeEvent | events.AccessEvent)
    assert_type(queue.dropped, int)
    assert_type(context.on_material(lambda event: print(event.sentence)), events.Subscription)


def exporting() -> tuple[prometheus.Export, opentelemetry.Export]:
    print(opentelemetry.CONVENTIONS)
    return prometheus.export(namespace="tls"), opentelemetry.export()


def status(context: ssl.SSLContext) -> float | None:
    found = context.material_status
    assert_type(found, events.MaterialStatus)
    assert_type(found.items, tuple[events.MaterialItem, ...])
    assert_type(found.items[0].not_after, float | None)
    assert_type(found.expires, Mapping[Kind, float])
    return found.since


class Vault:
    """A source of one's own."""

    name = "vault"

    @property
    def provides(self) -> Collection[Kind]:
        return ("identity", "trust")

    def load(self) -> Material:
        return Material(identity=Identity(b"", b"", None), trust="", intermediates=b"", crls=None)

    def wait(self, stop: threading.Event, timeout: float) -> None:
        stop.wait(timeout)


def following(context: ssl.SSLContext) -> None:
    own: Source = Vault()
    context.follow(own, max_stale=3600)
    context.follow(FileSource(cert="own.pem", key="own.key", trust="ca.pem"))
    workload = SPIFFESource("unix:///run/agent.sock")
    context.follow(workload)
    workload.close()
    context.follow(None)


def fleet(context: ssl.SSLContext) -> TicketKeys:
    context.ticket_keys = TicketKeys.from_file("secrets", policy_version="1")
    keys = TicketKeys.from_redis("rediss://localhost", secret=b"x" * 32, rotate_every=3600)
    assert_type(keys, TicketKeys)
    assert_type(keys.policy_version, str | None)
    return keys
