"""Each test says which program it is about: docs/compatibility.md counts them so."""

from __future__ import annotations

import pytest

from tests.peers.peer import Peer


@pytest.fixture(autouse=True)
def row(peer: Peer, request: pytest.FixtureRequest) -> None:
    request.node.user_properties.append(("library", peer.name))
