"""The table: known attacks on resumption, and what stops each here."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography import x509

import veritls
from tests.resumption.meeting import OurClient, TheirClient
from tests.support.certificates import Party, pem
from veritls.tickets import TicketKeys

Victim = Literal["server", "client"]


class World:
    """Two CAs and the parties that they certify."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca, self.other = Party("One CA", ca=True), Party("Another CA", ca=True)
        hosts = x509.DNSName("a.example"), x509.DNSName("b.example")
        self.server = self.ca.issue(*hosts)
        self.client = self.ca.issue(x509.DNSName("one.internal"))
        self.second_client = self.other.issue(x509.DNSName("two.internal"))
        self.keys: Callable[[], TicketKeys | None] = lambda: None
        """What each server's context shares."""

    def file(self, party: Party) -> Path:
        return party.file(self.folder, *party.above)


@dataclass
class Stage:
    """The server and the client of a connection; an attack changes it between two connections."""

    world: World
    server: Any
    client: Any
    name: str = "a.example"


def serving(world: World, *trusted: Party, mode: ssl.VerifyMode = ssl.CERT_REQUIRED) -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.file(world.server))
    for each in trusted:
        context.load_verify_locations(cadata=each.pem.decode())
    context.verify_mode = mode if trusted else ssl.CERT_NONE
    context.ticket_keys = world.keys()
    return context


def attacker(world: World, party: Party | None = None) -> Any:
    context = TheirClient(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=world.ca.pem.decode())
    if party is not None:
        context.load_cert_chain(world.file(party))
    return context


def careless_server(world: World) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.file(world.server))
    return context


def our_client(world: World, *trusted: Party) -> Any:
    context = OurClient(veritls.PROTOCOL_TLS_CLIENT)
    for each in trusted or (world.ca,):
        context.load_verify_locations(cadata=each.pem.decode())
    return context


_OF_A_CLIENT = "A client's sessions stay in its process."


@dataclass(frozen=True)
class Attack:
    """`set_up` makes the first connection possible, `strike` is what happens before the second one.

    `refused`: a full handshake refuses the peer then; otherwise it accepts the peer, on a fresh verification.
    """

    name: str
    known_as: str
    story: str
    here: str
    victim: Victim
    set_up: Callable[[World], Stage]
    strike: Callable[[Stage], None]
    refused: bool = True
    elsewhere: str = "The same: another policy, another key."

    @property
    def across(self) -> str:
        """What happens in another process that shares ticket keys."""
        return self.elsewhere if self.victim == "server" else _OF_A_CLIENT


def _mutual(world: World) -> Stage:
    return Stage(world, serving(world, world.ca), attacker(world, world.client))


def _anonymous(world: World) -> Stage:
    return Stage(world, serving(world), attacker(world))


def _visiting(world: World) -> Stage:
    return Stage(world, careless_server(world), our_client(world))


def _visiting_unverified(world: World) -> Stage:
    stage = _visiting(world)
    stage.client.check_hostname, stage.client.verify_mode = False, ssl.CERT_NONE
    return stage


def _hosts(world: World, first: Any, second: Any, client: Any) -> Stage:
    front = serving(world)
    hosts = {"a.example": first, "b.example": second}
    front.sni_callback = lambda connection, name, _: setattr(connection, "context", hosts[name])
    return Stage(world, front, client)


def _open_and_closed_host(world: World) -> Stage:
    return _hosts(world, serving(world), serving(world, world.ca), attacker(world))


def _two_closed_hosts(world: World) -> Stage:
    client = attacker(world, world.client)
    return _hosts(world, serving(world, world.ca), serving(world, world.other), client)


def _asking(world: World) -> Stage:
    stage = _mutual(world)
    stage.server.set_verify_callback(_let_in)
    return stage


def _asking_once(world: World) -> Stage:
    stage = _mutual(world)
    calls: list[Any] = []

    def first_only(report: Any) -> None:
        calls.append(report)
        if getattr(stage, "revoked", False):
            raise PermissionError("revoked")

    stage.server.set_verify_callback(first_only)
    return stage


def _let_in(report: Any) -> None:
    pass


def _keep_out(report: Any) -> None:
    raise PermissionError("not any more")


def _require(stage: Stage) -> None:
    stage.server.load_verify_locations(cadata=stage.world.ca.pem.decode())
    stage.server.verify_mode = ssl.CERT_REQUIRED


def _other_server(stage: Stage) -> None:
    stage.server = serving(stage.world, stage.world.other)


def _other_name(stage: Stage) -> None:
    stage.name = "b.example"


def _decides_against(stage: Stage) -> None:
    stage.revoked = True  # type: ignore[attr-defined]


def _other_callback(stage: Stage) -> None:
    stage.server.set_verify_callback(_keep_out)


def _server_revokes(stage: Stage) -> None:
    _load_crl(stage.server, pem(stage.world.ca.crl(stage.world.client)), stage)


def _client_revokes(stage: Stage) -> None:
    _load_crl(stage.client, pem(stage.world.ca.crl(stage.world.server)), stage)


def _load_crl(context: Any, crl: bytes, stage: Stage) -> None:
    path = stage.world.folder / "crl.pem"
    path.write_bytes(crl)
    context.load_verify_locations(path)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _server_allows_others(stage: Stage) -> None:
    stage.server.allowed_peers = [veritls.DNSPattern("two.internal")]


def _server_pins_another(stage: Stage) -> None:
    stage.server.pinned_keys = [stage.world.second_client.pin]


def _client_allows_others(stage: Stage) -> None:
    stage.client.allowed_peers = [veritls.DNSPattern("c.example")]


def _client_pins_another(stage: Stage) -> None:
    stage.client.pinned_keys = [stage.world.client.pin]


def _client_asks(stage: Stage) -> None:
    stage.client.set_verify_callback(_keep_out)


def _client_verifies(stage: Stage) -> None:
    stage.client.check_hostname = True
    stage.name = "c.example"


def _client_trusts_others(stage: Stage) -> None:
    stage.client = our_client(stage.world, stage.world.other)


def _client_trusts_more(stage: Stage) -> None:
    stage.client.load_verify_locations(cadata=stage.world.other.pem.decode())


def _client_changes_identity(stage: Stage) -> None:
    stage.client.load_cert_chain(stage.world.file(stage.world.second_client))


def _workload(world: World) -> Stage:
    stage = _mutual(world)
    workload = world.ca.issue(x509.UniformResourceIdentifier("spiffe://a.example/web"))
    stage.client.load_cert_chain(world.file(workload))
    other = {"b.example": world.other.der}
    stage.server.spiffe_bundles = {"a.example": world.ca.der, **other}
    return stage


def _bundle_is_removed(stage: Stage) -> None:
    stage.server.spiffe_bundles = {"b.example": stage.world.other.der}


def _bundles_come(stage: Stage) -> None:
    stage.server.spiffe_bundles = {"b.example": stage.world.ca.der}


def _anchor_is_removed(stage: Stage) -> None:
    stage.server.load_verify_locations(cadata=stage.world.other.pem.decode())
    stage.server.remove_trust(stage.world.ca.der)


def _client_replaces_trust(stage: Stage) -> None:
    stage.client.replace_trust(cadata=stage.world.other.pem.decode())


_LATER_DEMANDS: list[tuple[str, Victim, Callable[[Stage], None]]] = [
    ("other allowed peers", "server", _server_allows_others),
    ("other pinned keys", "server", _server_pins_another),
    ("other allowed peers", "client", _client_allows_others),
    ("other pinned keys", "client", _client_pins_another),
    ("a verify callback", "client", _client_asks),
]

ATTACKS = [
    Attack(
        "a certificate is required now",
        "randombit/botan#5818",
        "With a ticket from before the server required certificates, a client without one was accepted.",
        "The change ended all tickets; the full handshake asks for a certificate.",
        "server",
        _anonymous,
        _require,
    ),
    Attack(
        "the trust anchors are others",
        "project-oak/oak#5167",
        "A client kept its ticket until its CA was not trusted any more, and resumed with it.",
        "A context's ticket keys are its own; the client's path ends in no anchor.",
        "server",
        _mutual,
        _other_server,
    ),
    Attack(
        "the program's verifier now refuses",
        "project-oak/oak#5167",
        "A verifier that by then rejected a client was not called when its session was resumed.",
        "The callback is called at every resumption, before data, and its refusal is an alert.",
        "server",
        _asking_once,
        _decides_against,
        elsewhere="With the same `policy_version` the ticket opens: the callback is called there, too.",
    ),
    Attack(
        "the program's verifier is another",
        "project-oak/oak#5167",
        "The same, with a verifier that was replaced.",
        "The change ended all tickets; the new callback is called.",
        "server",
        _asking,
        _other_callback,
        elsewhere="The same; with another `policy_version`, or none, a full handshake.",
    ),
    Attack(
        "the ticket of an open virtual host at a closed one",
        "CVE-2025-23419 (nginx)",
        "Virtual hosts shared their ticket key: a client with a ticket of one resumed at another "
        "that requires certificates.",
        "Each context behind `sni_callback` has keys of its own; the closed host asks for a certificate.",
        "server",
        _open_and_closed_host,
        _other_name,
        elsewhere="The same, where all hosts share keys: each has a key of its own for its policy.",
    ),
    Attack(
        "the ticket of a virtual host at one with other CAs",
        "CVE-2025-23048 (Apache httpd), CVE-2025-23419 (nginx)",
        "A client trusted by one virtual host was accepted by another that trusts other CAs.",
        "Each context behind `sni_callback` has keys of its own; the second host does not trust the client.",
        "server",
        _two_closed_hosts,
        _other_name,
        elsewhere="The same.",
    ),
    Attack(
        "the CAs for clients of a copied configuration are others",
        "CVE-2025-68121 (Go)",
        "`Config.Clone` copied the ticket keys: with other ClientCAs in the copy, old tickets were good.",
        "Contexts cannot be copied, and no two have the same key.",
        "server",
        _mutual,
        _other_server,
    ),
    Attack(
        "the CAs for servers of a copied configuration are others",
        "CVE-2025-68121 (Go)",
        "A client whose RootCAs were changed resumed a session with a server that it would have refused.",
        "A session is refused with another context than its own: ValueError.",
        "client",
        _visiting,
        _client_trusts_others,
    ),
    Attack(
        "a context that trusts more",
        "CVE-2025-68121 (Go)",
        "The same with a configuration that was changed in place.",
        "A change of the context ends its sessions: a full handshake.",
        "client",
        _visiting,
        _client_trusts_more,
        refused=False,
    ),
    Attack(
        "a client's certificate that was revoked since",
        "golang/go#77217",
        "A client whose certificate was revoked since its ticket was made was accepted with it.",
        "The CRL ended all tickets, and the certificate is on it.",
        "server",
        _mutual,
        _server_revokes,
    ),
    Attack(
        "a server's certificate that was revoked since",
        "golang/go#77217",
        "The same, seen from the client.",
        "The CRL ended all sessions, and the certificate is on it.",
        "client",
        _visiting,
        _client_revokes,
    ),
    Attack(
        "a trust anchor that was removed in place",
        "CVE-2025-68121 (Go)",
        "A client whose CA was taken out of the server's pool kept resuming.",
        "The change ended all tickets, and the client's path ends in no anchor.",
        "server",
        _mutual,
        _anchor_is_removed,
    ),
    Attack(
        "trust that was replaced in place",
        "CVE-2025-68121 (Go)",
        "The same, seen from the client.",
        "The change ended all sessions, and the server's path ends in no anchor.",
        "client",
        _visiting,
        _client_replaces_trust,
    ),
    Attack(
        "a federated SPIFFE bundle that was removed",
        "the same class",
        "A workload of a trust domain that is not federated any more resumes.",
        "The change ended all tickets; its trust domain has no anchors.",
        "server",
        _workload,
        _bundle_is_removed,
    ),
    Attack(
        "anchors that now vouch for one trust domain only",
        "the same class",
        "A client that was trusted by any anchor resumes where anchors go by SPIFFE ID.",
        "The change ended all tickets; the client has no SPIFFE ID.",
        "server",
        _mutual,
        _bundles_come,
    ),
    Attack(
        "another certificate of one's own",
        "CVE-2016-5419 (curl)",
        "A client resumed a session that it had begun with another client certificate.",
        "A change of identity ends the context's sessions: a full handshake.",
        "client",
        _visiting,
        _client_changes_identity,
        refused=False,
    ),
    Attack(
        "another name, for which the certificate is good",
        "virtual host confusion",
        "A session of one host is resumed with another that shares its certificate.",
        "A client's session is offered for the name that it began with and no other.",
        "client",
        _visiting,
        _other_name,
        refused=False,
    ),
    Attack(
        "a client that now verifies",
        "the same class",
        "A session that began unverified is resumed by a client that now verifies.",
        "The change ended the sessions; the certificate is for other names.",
        "client",
        _visiting_unverified,
        _client_verifies,
    ),
    *(
        Attack(
            f"{what} {'of a server' if victim == 'server' else 'of a client'}",
            "the same class",
            "The demand was made after the session.",
            "The change ended all sessions; the full handshake checks.",
            victim,
            _mutual if victim == "server" else _visiting,
            strike,
        )
        for what, victim, strike in _LATER_DEMANDS
    ),
]

RUN_OUT = [
    (
        "a client's certificate that expired since",
        "golang/go#77217",
        "Only the leaf's dates, or none, were checked when a session was resumed.",
        "The path is verified anew, as of now, before the ticket is opened: a full handshake, refused.",
        "The same: whoever opens a ticket verifies the path.",
    ),
    (
        "a client's intermediate that expired since",
        "CVE-2025-68121, golang/go#77217 (Go)",
        "The leaf was still good, the certificate above it was not.",
        "The same: the whole path is verified.",
        "The same.",
    ),
    (
        "a server's certificate that expired since",
        "golang/go#77217",
        "The same, seen from the client.",
        "The path is verified anew before the session is offered: a full handshake, refused.",
        _OF_A_CLIENT,
    ),
    (
        "a CRL that expired since",
        "the same class",
        "The revocation status of the certificate is not known any more.",
        "The same: an unknown status is a refusal.",
        "The same.",
    ),
]
"""What time alone does, with `reverify_on_resumption`, which is on; see test_time.py."""

OLD_AND_STOLEN = [
    (
        "a day, with a resumption every few hours",
        "the same class",
        "Each resumption gave fresh tickets: the peer never proved again that it holds its key.",
        "24 hours (`max_resumption_age`) after the last full handshake there is another.",
        "The same: the time is in the ticket.",
    ),
    (
        "the same, for a client that expired, without `reverify_on_resumption`",
        "the same class",
        "A client with an expired certificate resumed for ever.",
        "It is accepted until those 24 hours are over, and then refused.",
        "The same.",
    ),
    (
        "the clock was set back",
        "the same class",
        "A session from the future never gets old.",
        "A full handshake.",
        "The same; so it is for a process whose clock is behind.",
    ),
    (
        "a ticket was stolen on its way and is offered for another name",
        "the same class",
        "The server opens it, declines it, and takes the thief for its owner.",
        "In the full handshake nothing that the ticket says counts.",
        "The same.",
    ),
]
"""See test_age.py and test_unused.py."""


def as_markdown() -> str:
    """docs/resumption.md."""
    rows = [(each.name, each.known_as, each.story, each.here, each.across) for each in ATTACKS]
    rows += RUN_OUT + OLD_AND_STOLEN
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return _PAGE.format(table=table)


_PAGE = """\
# Resumption is no way around verification

On resumption the peer sends no certificate. So a session counts only under the policy that verified the
peer: trust anchors, `verify_mode`, names, `allowed_peers`, `pinned_keys`, the verify callback, CRLs. A change
of any of these means a full handshake with a fresh verification. It is never an error of its own, and never
a bypass.

- A server's ticket keys belong to one context as it is: they are derived from a secret that was drawn when
  the context was made and from the content of its settings. A change of content makes others; no two contexts
  share one. Workers that were forked after the context was made open each other's tickets.
- Contexts that share a secret (`context.ticket_keys`) share no policy: keys are derived from the settings
  there, too. Each row holds between two processes that share one; the last column says what differs.
- Before a server opens a ticket, it verifies the client's path as of now. If it would refuse the client, it
  does not open the ticket: the client gets a full handshake, and the alert that says why.
- A client offers a session only with the same context, unchanged, for the same name, and if the server's path
  is still good.
- The verify callback is called at every resumption, before any data passes, and its refusal is an alert.
- A resumed connection knows its peer: `getpeercert()`, `get_verified_chain()`.
- `context.max_resumption_age` (24 hours) after the last full handshake, in which the peer proved its key,
  there is another, however often the session was resumed in between.
- `context.reverify_on_resumption = False` lets a session outlive the dates of its certificates, up to that
  age; nothing else.

Each row is tried in TLS 1.2 and 1.3, over sockets and asyncio; each attack on a server by the standard
module's client, which offers any session; the last column over sockets, in two processes that share ticket
keys. (Generated by `python -m tests.resumption`.)

| between the two connections | known as | what happened elsewhere | what happens here | in another process |
| --- | --- | --- | --- | --- |
{table}
"""
