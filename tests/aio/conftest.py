"""Every test runs on both loops."""

from __future__ import annotations

import pytest

import veritls.aio
from tests.aio.ends import LoopFactory
from tests.ecosystem.parties import library


@pytest.fixture(params=["selector", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    if request.param == "selector":
        return veritls.aio.EventLoop
    library("uvloop")
    found: LoopFactory = veritls.aio.UvloopEventLoop
    return found
