"""Who takes part, and on which transport veritls's end is."""

from __future__ import annotations

import pytest

from tests.hostile_peers import ends, parties
from tests.hostile_peers.parties import Parties

pytest.register_assert_rewrite("tests.hostile_peers.cases")


@pytest.fixture(scope="package")
def who() -> Parties:
    return parties.make()


@pytest.fixture(params=ends.TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)
