"""SPIFFESource reads a Workload API: what it gives, when it returns, what it refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operate.workload_api import Domain, WorkloadAPI, response
from tests.support.connections import SECONDS
from veritls.sources import Identity, Material, Source, SPIFFESource

HOME, AWAY = Domain("home.test"), Domain("away.test")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[WorkloadAPI]:
    with WorkloadAPI(tmp_path / "api.sock") as server:
        yield server


@pytest.fixture
def source(api: WorkloadAPI) -> Iterator[SPIFFESource]:
    with_timeout = SPIFFESource(api.endpoint, timeout=SECONDS)
    yield with_timeout
    with_timeout.close()


def identity(material: Material) -> bytes:
    """The certificates of the one identity, DER."""
    assert isinstance(material.identity, Identity)
    assert isinstance(material.identity.cert, bytes)
    return material.identity.cert


def test_it_is_a_source_that_provides_identity_and_trust(source: SPIFFESource) -> None:
    assert isinstance(source, Source)
    assert source.provides == {"identity", "trust"}


def test_it_loads_the_first_identity_and_the_bundle_of_each_trust_domain(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    first, second = HOME.svid("/first"), HOME.svid("/second")
    api.send(response(first, second, away_test=AWAY.ca.der))
    material = source.load()
    assert identity(material) == first.x509_svid
    assert material.trust == {"home.test": HOME.ca.der, "away.test": AWAY.ca.der}
    assert material.crls is None
    assert material.intermediates is None


def test_wait_returns_when_an_update_arrived_and_load_has_all_of_it(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.send(response(HOME.svid("/first"), away_test=AWAY.ca.der))
    source.load()
    rotated = HOME.svid("/first")
    api.send(response(rotated))
    source.wait(threading.Event(), SECONDS)
    material = source.load()
    assert identity(material) == rotated.x509_svid
    assert material.trust == {"home.test": HOME.ca.der}
    assert api.calls == 1
