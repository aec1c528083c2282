"""Servers that ask for a certificate and take any: what a veritls client shows them, they know."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from tests.conftest import Files
from tests.peers.caddy import Caddy
from tests.peers.cases import OPTIONAL, REQUIRED, VERSIONS, Case, Certificate
from tests.peers.ends import as_client, extra
from tests.peers.haproxy import HAProxy
from tests.peers.peer import Peer
from tests.peers.test_peers import shown_der, unit


class AskingCaddy(Caddy):
    demands = MappingProxyType({OPTIONAL: "request", REQUIRED: "require"})


class AskingHAProxy(HAProxy):
    anything = "crt-ignore-err all ca-ignore-err all"
    demands = MappingProxyType({OPTIONAL: f"optional {anything}", REQUIRED: f"required {anything}"})


EVERY = [
    (peer, Case(version, mode, client))
    for peer in (AskingCaddy(), AskingHAProxy())
    for version in VERSIONS
    for mode in peer.demands
    for client in ("valid", "stranger", "expired", "none")
]


def of(*clients: Certificate, required: bool = False) -> pytest.MarkDecorator:
    chosen = [
        pair for pair in EVERY if pair[1].client in clients and not (required and pair[1].mode is OPTIONAL)
    ]
    return pytest.mark.parametrize(
        ("peer", "case"), [pytest.param(*pair, id=f"{pair[0].name}-{pair[1]}") for pair in chosen]
    )


@of("valid", "stranger", "expired")
def test_shows_whatever_certificate_it_has(peer: Peer, case: Case, files: Files) -> None:
    client = as_client(peer, case, files, REQUIRED, refused=False)
    assert client.error is None and client.peer.established, (client.error, client.peer.detail)
    assert extra(peer, "reply") in client.received
    assert unit(shown_der(files, case)) in client.peer.detail, client.peer.detail


@of("none", required=True)
def test_learns_that_it_needs_a_certificate(peer: Peer, case: Case, files: Files) -> None:
    client = as_client(peer, case, files, REQUIRED, refused=True)
    assert client.error is not None and not client.peer.established
