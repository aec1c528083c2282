"""The peers of each test, and its row in docs/compatibility.md."""

from __future__ import annotations

import pytest

from tests.peers.peer import Peer


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "against(role, cases): with each peer of the class, in each case")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for mark in metafunc.definition.iter_markers("against"):
        role, cases = mark.args
        every = [(peer, case) for peer in metafunc.cls.peers if role in peer.roles for case in cases]
        metafunc.parametrize(
            ("peer", "case"), [pytest.param(*pair, id=f"{pair[0].name}-{pair[1]}") for pair in every]
        )


@pytest.fixture(autouse=True)
def row(peer: Peer, request: pytest.FixtureRequest) -> None:
    """What docs/compatibility.md counts the test for."""
    request.node.user_properties.append(("library", peer.name))
