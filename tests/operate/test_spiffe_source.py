"""SPIFFESource reads a Workload API: what it gives, when it returns, what it refuses."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.operate.workload_api import Domain, WorkloadAPI, response
from tests.support.connections import SECONDS, in_thread
from tests.support.waiting import until
from veritls.sources import Identity, Material, Source, SPIFFESource
from veritls.sources.spiffe import SVID

HOME, AWAY = Domain("home.test"), Domain("away.test")
THREAD = "veritls-spiffe"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[WorkloadAPI]:
    with WorkloadAPI(tmp_path / "api.sock") as server:
        yield server


@pytest.fixture
def source(api: WorkloadAPI) -> Iterator[SPIFFESource]:
    source = SPIFFESource(api.endpoint, timeout=SECONDS)
    yield source
    source.close()


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


def test_of_several_updates_it_loads_the_newest(api: WorkloadAPI, source: SPIFFESource) -> None:
    api.send(response(HOME.svid("/first")))
    source.load()
    updates = [HOME.svid("/first") for _ in range(50)]
    for each in updates:
        api.send(response(each))
    until(lambda: identity(source.load()) == updates[-1].x509_svid, "the last update never comes")
    assert api.calls == 1


def test_what_is_loaded_again_without_an_update_is_the_same(api: WorkloadAPI, source: SPIFFESource) -> None:
    api.send(response(HOME.svid("/first")))
    assert source.load() is source.load()


def test_wait_returns_after_its_timeout_where_nothing_comes(api: WorkloadAPI, source: SPIFFESource) -> None:
    source.wait(threading.Event(), 0.01)
    api.send(response(HOME.svid("/first")))
    source.load()
    source.wait(threading.Event(), 0.01)
    assert api.calls == 1


def test_stop_ends_wait_and_leaves_the_stream(api: WorkloadAPI, source: SPIFFESource) -> None:
    stop = threading.Event()
    for _ in range(2):  # without a stream and with one
        stop.clear()
        waiting = in_thread(source.wait, stop, 3600)
        stop.set()
        waiting.result(SECONDS)
        api.send(response(HOME.svid("/first")))
        source.load()
    assert (api.calls, api.open) == (1, 1)


def test_close_ends_the_stream_and_load_opens_another(api: WorkloadAPI, source: SPIFFESource) -> None:
    api.send(response(HOME.svid("/first")))
    first = identity(source.load())
    source.close()
    source.close()
    api.wait(open=0)
    assert identity(source.load()) == first
    assert (api.calls, api.open) == (2, 1)


def test_no_thread_is_left_when_it_is_closed(api: WorkloadAPI, source: SPIFFESource) -> None:
    api.send(response(HOME.svid("/first")))
    source.load()
    assert THREAD in [thread.name for thread in threading.enumerate()]
    source.close()
    until(lambda: THREAD not in [thread.name for thread in threading.enumerate()], "the thread never ends")


def test_a_source_that_is_let_go_of_ends_its_stream(api: WorkloadAPI) -> None:
    api.send(response(HOME.svid("/first")))
    source = SPIFFESource(api.endpoint, timeout=SECONDS)
    source.load()
    del source
    gc.collect()
    api.wait(open=0)


# Which of several identities


def offered() -> Any:
    return response(HOME.svid("/first", hint="internal"), HOME.svid("/second", hint="external"))


def test_a_spiffe_id_picks_the_identity(api: WorkloadAPI) -> None:
    message = offered()
    api.send(message)
    source = SPIFFESource(api.endpoint, pick="spiffe://home.test/second", timeout=SECONDS)
    assert identity(source.load()) == message.svids[1].x509_svid
    api.send(response(HOME.svid("/first")))
    source.wait(threading.Event(), SECONDS)
    with pytest.raises(ValueError, match=r"spiffe://home\.test/second is not among its 1 SVID"):
        source.load()
    source.close()


def test_a_callable_picks_by_hint_or_id(api: WorkloadAPI) -> None:
    message = offered()
    api.send(message)
    seen: list[tuple[str, str]] = []

    def external(svids: Sequence[SVID]) -> SVID:
        seen.extend((each.spiffe_id, each.hint) for each in svids)
        return next(each for each in svids if each.hint == "external")

    source = SPIFFESource(api.endpoint, pick=external, timeout=SECONDS)
    assert identity(source.load()) == message.svids[1].x509_svid
    assert seen == [("spiffe://home.test/first", "internal"), ("spiffe://home.test/second", "external")]
    source.close()


@pytest.mark.parametrize(
    ("pick", "sentence"),
    [
        (lambda svids: next(each for each in svids if each.hint == "none"), "pick raised StopIteration()"),
        (lambda svids: None, "pick returned None, none of the identities"),
        (lambda svids: svids[0].spiffe_id, "pick returned 'spiffe://home.test/first', none of"),
    ],
)
def test_a_callable_that_picks_none_is_an_error(api: WorkloadAPI, pick: Any, sentence: str) -> None:
    api.send(offered())
    source = SPIFFESource(api.endpoint, pick=pick, timeout=SECONDS)
    with pytest.raises(ValueError) as raised:
        source.load()
    assert sentence in str(raised.value)
    source.close()


def test_no_repr_shows_a_key(api: WorkloadAPI, source: SPIFFESource) -> None:
    message = offered()
    api.send(message)
    shown: list[str] = []

    def first(svids: Sequence[SVID]) -> SVID:
        shown.append(repr(svids))
        return svids[0]

    picking = SPIFFESource(api.endpoint, pick=first, timeout=SECONDS)
    material = picking.load()
    picking.close()
    shown += [repr(material), repr(picking), picking.name]
    assert max(map(len, shown)) < 200
    assert not any("\\x" in each for each in shown)


# CRLs


def test_crls_are_followed_where_they_are_asked_for(api: WorkloadAPI) -> None:
    lists = [HOME.ca.crl(*range(1, many)) for many in (2, 100)]
    api.send(response(HOME.svid("/first"), crls=[each.public_bytes(Encoding.DER) for each in lists]))
    source = SPIFFESource(api.endpoint, crls=True, timeout=SECONDS)
    assert source.provides == {"identity", "trust", "crls"}
    assert source.load().crls == b"".join(each.public_bytes(Encoding.PEM) for each in lists).decode()
    api.send(response(HOME.svid("/first")))
    source.wait(threading.Event(), SECONDS)
    with pytest.raises(ValueError, match="there is no CRL"):
        source.load()
    source.close()


def test_crls_are_left_alone_where_nobody_asked(api: WorkloadAPI, source: SPIFFESource) -> None:
    api.send(response(HOME.svid("/first"), crls=[b"nonsense"]))
    assert source.load().crls is None


# What becomes of a Workload API


def test_a_workload_api_that_has_no_identity_for_it_is_a_permission_error(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.refuse("PERMISSION_DENIED", "no identity issued\x1b[31m" + "." * 5_000)
    with pytest.raises(PermissionError) as raised:
        source.load()
    assert "has no identity for this process (PERMISSION_DENIED: no identity issued\\x1b[31m." in str(
        raised.value
    )
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNIMPLEMENTED", "UNAVAILABLE", "INTERNAL", "UNKNOWN"])
def test_a_workload_api_that_refuses_is_a_connection_error(
    api: WorkloadAPI, source: SPIFFESource, code: str
) -> None:
    api.refuse(code, "why")
    with pytest.raises(ConnectionError, match=rf"\({code}: why\)"):
        source.load()


def test_a_workload_api_that_is_not_there_is_a_connection_error(tmp_path: Path) -> None:
    source = SPIFFESource(f"unix://{tmp_path}/gone", timeout=SECONDS)
    with pytest.raises(ConnectionError, match="cannot be reached"):
        source.load()


def test_a_socket_on_which_nobody_speaks_grpc_is_a_connection_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.settimeout(SECONDS)

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(100))

        answering = in_thread(answer)
        source = SPIFFESource(f"unix://{tmp_path}/s", timeout=SECONDS)
        with pytest.raises(ConnectionError):
            source.load()
        answering.result(SECONDS)


def test_a_workload_api_that_hangs_is_a_timeout_and_holds_no_stream(api: WorkloadAPI) -> None:
    api.hang()
    source = SPIFFESource(api.endpoint, timeout=0.05)
    with pytest.raises(TimeoutError, match=r"sent nothing within 0\.05 s"):
        source.load()
    api.wait(open=0)


def test_a_socket_that_nobody_accepts_from_is_a_timeout(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        source = SPIFFESource(f"unix://{tmp_path}/s", timeout=0.05)
        with pytest.raises(TimeoutError):
            source.load()


def test_a_stream_that_ends_before_an_update_is_a_connection_error(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.hang()
    loading = in_thread(source.load)
    api.wait(calls=1)
    api.end()
    with pytest.raises(ConnectionError, match="ended its stream"):
        loading.result(SECONDS)


def test_wait_returns_when_the_stream_ends_and_load_opens_another(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.send(response(HOME.svid("/first")))
    source.load()
    api.end()
    rotated = HOME.svid("/first")
    api.send(response(rotated))
    source.wait(threading.Event(), SECONDS)
    until(lambda: identity(source.load()) == rotated.x509_svid, "the update never comes")
    api.wait(calls=2, open=1)


class Recording(threading.Event):
    """Keeps for how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited.append(timeout)
        return False


def test_a_workload_api_that_ends_each_stream_is_not_asked_without_a_pause(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.send(response(HOME.svid("/first")))
    stop = Recording()
    for calls in range(1, 4):
        source.load()
        assert api.calls == calls
        api.end()
        api.wait(open=0)
        source.wait(stop, SECONDS)
        assert len(stop.waited) == calls
    assert all(0 < each <= 1 for each in stop.waited)


def test_the_pause_is_no_longer_than_wait_may_take(api: WorkloadAPI, source: SPIFFESource) -> None:
    api.send(response(HOME.svid("/first")))
    stop = Recording()
    source.load()
    api.end()
    api.wait(open=0)
    source.wait(stop, 0.01)
    assert all(each <= 0.01 for each in stop.waited)


def test_a_workload_api_that_is_gone_and_comes_back_is_read_again(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.send(response(HOME.svid("/first")))
    source.load()
    api.stop()
    source.wait(threading.Event(), SECONDS)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            source.load()
        source.wait(threading.Event(), 0.01)
    rotated = HOME.svid("/first")
    api.send(response(rotated))
    api.start()
    assert identity(source.load()) == rotated.x509_svid


def test_an_update_that_is_refused_stays_refused_until_the_next(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.send(response(HOME.svid("/first")))
    source.load()
    api.send(response())
    source.wait(threading.Event(), SECONDS)
    for _ in range(2):
        with pytest.raises(ValueError, match="there is no identity"):
            source.load()
    last = HOME.svid("/first")
    api.send(response(last))
    source.wait(threading.Event(), SECONDS)
    assert identity(source.load()) == last.x509_svid
    assert api.calls == 1


def test_an_identity_that_is_taken_back_is_a_permission_error(api: WorkloadAPI, source: SPIFFESource) -> None:
    api.send(response(HOME.svid("/first")))
    source.load()
    api.refuse("PERMISSION_DENIED")
    source.wait(threading.Event(), SECONDS)
    with pytest.raises(PermissionError):
        source.load()
    api.send(response(HOME.svid("/first")))
    assert source.load()


def test_a_new_stream_is_a_new_connection_whatever_another_source_holds(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    other = SPIFFESource(api.endpoint, timeout=SECONDS)
    api.send(response(HOME.svid("/first")))
    source.load()
    other.load()
    api.path.rename(api.path.with_name("replaced"))
    new = HOME.svid("/first")
    with WorkloadAPI(api.path) as following:
        following.send(response(new))
        source.close()
        assert identity(source.load()) == new.x509_svid
        other.close()
