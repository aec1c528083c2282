"""What Prometheus is shown: handshakes and certificates, counted under labels that no peer chooses."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.operate.made_up import HOSTILE, access, handshake, hostile_handshakes, renewal, tell
from tests.operate.processes import ROOT, program
from tests.operate.rotating import Memory, followed, own
from tests.operate.ways import WAYS, Heard, ask, mutual, serving
from tests.support.connections import SECONDS, client_context, in_thread, server_context, tls_pair
from veritls import _engine

prometheus_client = library("prometheus_client")
library("prometheus_client.parser")

from veritls.events import prometheus  # noqa: E402
from veritls.events._exporting import LONGEST, MOST_SOURCES  # noqa: E402

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Series:
    """The samples of a scrape, without the times at which series were made."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in prometheus_client.parser.text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def shown(registry: Any) -> Series:
    return read(prometheus_client.generate_latest(registry).decode())


def of(series: Series, name: str, **labels: str) -> float:
    """The sum of the series of that name that have these labels."""
    return sum(
        value for (each, had), value in series.items() if each == name and labels.items() <= dict(had).items()
    )


@pytest.fixture
def registry() -> Iterator[Any]:
    """A registry of its own, with an export for as long as the test lasts."""
    registry = prometheus_client.CollectorRegistry()
    with prometheus.export(registry):
        yield registry


@pytest.mark.parametrize("way", WAYS)
def test_handshakes_are_counted_by_side_outcome_kind_version_and_resumed(
    files: Files, way: str, registry: Any
) -> None:
    heard = Heard()
    server, client = mutual(files)
    stranger = client_context(files.ca)
    stranger.load_cert_chain(files.stranger)
    server.on_handshake(heard)
    with serving(way, server) as port:
        assert ask("sockets", port, client) == b"x"
        with contextlib.suppress(OSError):
            assert ask("sockets", port, stranger) == b""
        heard.wait(2)
    series, version = shown(registry), "TLSv1.3"
    count = "veritls_handshakes_total"
    agreed = {"outcome": "completed", "kind": "", "version": version, "resumed": "false"}
    assert of(series, count, side="server", **agreed) == 1
    assert of(series, count, side="client", **agreed) == 2
    refused = {"outcome": "refused", "kind": "unknown_issuer", "version": version, "resumed": ""}
    assert of(series, count, side="server", **refused) == 1
    assert of(series, count) == 4
    seconds = "veritls_handshake_duration_seconds"
    assert of(series, f"{seconds}_count", side="server", outcome="completed", resumed="false") == 1
    assert of(series, f"{seconds}_bucket", side="server", outcome="refused", le="+Inf") == 1
    assert 0 < of(series, f"{seconds}_sum", side="server") < SECONDS


def test_a_resumed_handshake_is_counted_as_resumed(files: Files, registry: Any) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    with tls_pair(server, client) as (ours, theirs):
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
        session = theirs.session
    with tls_pair(server, client, session=session):
        pass
    assert of(shown(registry), "veritls_handshakes_total", side="client", resumed="true") == 1


def test_a_refusal_after_the_handshake_is_not_another_handshake(registry: Any) -> None:
    tell(
        handshake(side="client"),
        handshake(side="client", outcome="refused_late", kind="certificate_expired", sentence="expired"),
    )
    series = shown(registry)
    assert of(series, "veritls_handshakes_total") == 1
    assert of(series, "veritls_handshake_duration_seconds_count") == 1
    assert of(series, "veritls_late_refusals_total", kind="certificate_expired") == 1


def test_refused_requests_are_counted_by_words_of_ours(registry: Any) -> None:
    tell(access(), access(kind="unlisted", scope="websocket", path=HOSTILE, method=HOSTILE))
    tell(access(kind=HOSTILE, scope=HOSTILE))
    series = shown(registry)
    assert of(series, "veritls_requests_refused_total", scope="http", kind="no_peer") == 1
    assert of(series, "veritls_requests_refused_total", scope="websocket", kind="unlisted") == 1
    assert of(series, "veritls_requests_refused_total", scope="other", kind="other") == 1
    assert of(series, "veritls_material_loads_total") == 0 == of(series, "veritls_handshakes_total")


def test_no_label_is_one_that_a_peer_chose_and_their_number_is_bounded(registry: Any) -> None:
    tell(*hostile_handshakes(1000))
    tell(handshake(version="TLSv9", outcome="invented", side="both"))
    tell(handshake(outcome="refused_late", kind=HOSTILE))
    series = shown(registry)
    words = {value for _, labels in series for name, value in labels if name != "le"}
    assert words == {"server", "refused", "other", "TLSv1.3", "", "false"}
    assert of(series, "veritls_handshakes_total", kind="other") == 1000
    assert len([name for name, _ in series if name == "veritls_handshakes_total"]) == 2


def test_the_names_of_sources_are_bounded_too(registry: Any) -> None:
    tell(*(renewal(source=f"{number}{HOSTILE}") for number in range(300)))
    tell(renewal("failed", kind=HOSTILE))
    series = shown(registry)
    sources = {dict(labels)["source"] for name, labels in series if name == "veritls_material_generation"}
    assert len(sources) == MOST_SOURCES + 1
    assert max(map(len, sources)) <= LONGEST
    assert of(series, "veritls_material_loads_total", source="other") == 300 - MOST_SOURCES
    assert of(series, "veritls_material_failures_total", source="other", kind="other") == 1


def test_loads_failures_and_expiry_of_a_source_are_shown(
    registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "followed", lambda: frozenset({"files"}))
    tell(renewal(), renewal(generation=4, expires={"identity": 1.5e9, "crls": 1.6e9}))
    series = shown(registry)
    name = "veritls_material_not_after_timestamp_seconds"
    assert of(series, "veritls_material_loads_total", source="files") == 2
    assert of(series, "veritls_material_generation", source="files") == 4
    assert of(series, name, kind="identity") == 1.5e9
    assert of(series, name, kind="crls") == 1.6e9
    assert math.isnan(of(series, name, kind="trust"))  # its trust is not this source's any more
    assert (name, frozenset({"source": "files", "kind": "intermediates"}.items())) not in series
    assert of(series, "veritls_material_loaded_timestamp_seconds") == 1_800_000_000
    assert of(series, "veritls_material_checked_timestamp_seconds") == 1_800_000_100

    tell(renewal("failed", "os_error"), renewal("stale"), renewal("failed", "missing", failures=3))
    series = shown(registry)
    assert of(series, "veritls_material_failures_total", source="files", kind="os_error") == 1
    assert of(series, "veritls_material_failures_total", source="files") == 2
    assert of(series, "veritls_material_failing", source="files") == 3
    assert of(series, "veritls_material_stale", source="files") == 1

    tell(renewal())
    series = shown(registry)
    assert of(series, "veritls_material_failing") == of(series, "veritls_material_stale") == 0


def test_the_gauges_of_a_source_that_is_followed_no_more_are_not_a_number(registry: Any) -> None:
    def gauge(name: str) -> float:
        return of(shown(registry), f"veritls_material_{name}", source="memory")

    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    with followed(context, Memory("identity", identity=own()[0])) as told:
        told.outcome("loaded")
        assert gauge("generation") == context.generation
        assert gauge("not_after_timestamp_seconds") == context.material_status.expires["identity"]
        assert gauge("failing") == gauge("stale") == 0
    for name in ("generation", "not_after_timestamp_seconds", "failing", "stale", "loaded_timestamp_seconds"):
        assert math.isnan(gauge(name)), name
    assert gauge("loads_total") == 1
    with followed(context, Memory("identity", identity=own()[0])) as told:
        told.outcome("loaded")
        assert gauge("generation") == context.generation


def test_a_second_export_into_a_registry_says_why_not_and_a_closed_one_makes_room(files: Files) -> None:
    registry = prometheus_client.CollectorRegistry()
    export = prometheus.export(registry)
    with pytest.raises(ValueError, match=r"metrics named veritls_\.\.\. already: close what export"):
        prometheus.export(registry)
    tell(handshake())
    assert of(shown(registry), "veritls_handshakes_total") == 1
    with prometheus.export(registry, "other"):
        tell(handshake())
    assert not [name for name, _ in shown(registry) if name.startswith("other")]
    export.close()
    export.close()
    assert export.closed
    assert shown(registry) == {}
    with prometheus.export(registry):
        tell(handshake())
        assert of(shown(registry), "veritls_handshakes_total") == 1


def test_a_registry_that_was_emptied_is_no_matter_to_close() -> None:
    registry = prometheus_client.CollectorRegistry()
    export = prometheus.export(registry)
    registry.unregister(export)
    export.close()


@pytest.mark.parametrize("namespace", ["", "with space", "1", "a-b", "ä", "a\n", HOSTILE])
def test_a_namespace_that_begins_no_name_is_refused(namespace: str) -> None:
    registry = prometheus_client.CollectorRegistry()
    before = _engine.listeners.get()
    with pytest.raises(ValueError, match="namespace"):
        prometheus.export(registry, namespace)
    assert shown(registry) == {}
    assert _engine.listeners.get() == before


def test_what_cannot_be_counted_hurts_no_connection(
    files: Files, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: reported.append(args.exc_value))
    monkeypatch.setattr(prometheus.Export, "_count_handshake", lambda *_: 1 / 0)
    with serving("sockets", server_context(files.server)) as port:
        assert ask("sockets", port, client_context(files.ca)) == b"x"
    assert {type(error) for error in reported} == {ZeroDivisionError}
    assert shown(registry) == {}


def test_a_handshake_amid_a_scrape_in_the_same_thread_is_not_waited_for(registry: Any) -> None:
    """As of a signal handler, while prometheus-client's locks are held."""

    class Interrupted(prometheus_client.Counter):  # type: ignore[misc, name-defined]
        def collect(self) -> Any:
            tell(handshake())
            return super().collect()

    (export,) = registry._collector_to_names
    export._metrics.insert(0, Interrupted("interrupted", "x", registry=None))
    scraped = in_thread(shown, registry)
    assert of(scraped.result(SECONDS), "veritls_handshakes_total") == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_forked_while_a_thread_holds_the_registry_can_scrape(registry: Any) -> None:
    holds, forks = threading.Event(), threading.Event()

    def hold() -> None:
        with registry._lock:
            holds.set()
            forks.wait(SECONDS)

    holding = in_thread(hold)
    assert holds.wait(SECONDS)
    threading.Timer(0.05, forks.set).start()
    child = os.fork()
    if not child:
        try:
            free = registry._lock.acquire(blocking=False)
        finally:
            os._exit(not free)
    assert os.waitpid(child, 0)[1] == 0
    holding.result(SECONDS)
    assert shown(registry) == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_forked_amid_counting_and_scraping_counts(registry: Any) -> None:
    counting, done = threading.Event(), threading.Event()

    def count() -> None:
        while not done.is_set():
            tell(handshake())
            shown(registry)
            counting.set()

    working = [in_thread(count) for _ in range(2)]
    assert counting.wait(SECONDS)
    try:
        for _ in range(30):
            child = os.fork()
            if not child:
                failed = True
                try:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # pytest-timeout has its own
                    signal.alarm(SECONDS)
                    before = of(shown(registry), "veritls_handshakes_total")
                    tell(handshake())
                    failed = of(shown(registry), "veritls_handshakes_total") != before + 1
                finally:
                    os._exit(failed)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        for each in working:
            each.result(SECONDS)


SERVER = """
import ssl, socket, sys
import prometheus_client, veritls
from veritls.events import prometheus

prometheus.export()
scraped, _ = prometheus_client.start_http_server(0, "127.0.0.1")
context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
context.load_verify_locations(sys.argv[2])
context.verify_mode = ssl.CERT_REQUIRED
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], scraped.server_port, flush=True)
    while True:
        raw, _ = listener.accept()
        raw.settimeout(60)
        try:
            with context.wrap_socket(raw, server_side=True) as tls:
                tls.sendall(tls.recv(1))
        except OSError:
            pass
"""


def scrape(port: int) -> Series:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as answer:
        return read(answer.read().decode())


def test_a_scrape_of_a_server_finds_whom_it_served_and_whom_it_refused(files: Files) -> None:
    _, client = mutual(files)
    with program("-c", SERVER, str(files.server), str(files.ca)) as server:
        port, metrics = server.numbers()
        for own in (client, client, client_context(files.ca)):
            with contextlib.suppress(OSError):
                ask("sockets", port, own)
        ask("sockets", port, client)  # it answers one after the other: it is done with those before
        series = scrape(metrics)
    count = "veritls_handshakes_total"
    assert of(series, count, side="server", outcome="completed", version="TLSv1.3") == 3
    kind = "peer_did_not_return_a_certificate"
    assert of(series, count, side="server", outcome="refused", kind=kind) == 1
    assert of(series, "veritls_handshake_duration_seconds_count", side="server") == 4


WORKERS = """
import os, ssl, socket, sys, threading
import prometheus_client, veritls
from prometheus_client import multiprocess
from tests.operate.made_up import access, renewal, tell
from veritls.events import prometheus

def work():
    while True:
        raw, _ = listener.accept()
        raw.settimeout(60)
        try:
            with context.wrap_socket(raw, server_side=True) as tls:
                if tls.recv(1) == b"r":
                    tell(renewal(generation=9, expires={"identity": 1.5e9}))
                tls.sendall(str(os.getpid()).encode())
        except OSError:
            pass

export = prometheus.export()
try:
    prometheus.export(prometheus_client.CollectorRegistry())
    sys.exit("values in files have no registry: that counts twice")
except ValueError:
    pass
tell(renewal())
context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 0))
workers = []
for _ in range(3):
    workers.append(os.fork())
    if not workers[-1]:
        work()
registry = prometheus_client.CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
scraped, _ = prometheus_client.start_http_server(0, "127.0.0.1", registry)
print(listener.getsockname()[1], scraped.server_port, *workers, flush=True)
while True:
    died, _ = os.wait()
    multiprocess.mark_process_dead(died)
    print(died, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_forked_workers_are_added_up_and_one_that_dies_stays_counted(files: Files, tmp_path: Path) -> None:
    def send(byte: bytes) -> int:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw,
            client.wrap_socket(raw, server_hostname="localhost") as tls,
        ):
            tls.sendall(byte)
            return int(tls.recv(100))

    client = client_context(files.ca)
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with program("-c", WORKERS, str(files.server), env=environment) as server:
        port, metrics, *workers = server.numbers()
        told = {"source": "files", "kind": "identity"}
        name = "veritls_material_not_after_timestamp_seconds"
        served = [send(b"x") for _ in range(12)]
        series = scrape(metrics)
        assert of(series, "veritls_handshakes_total", side="server", outcome="completed") == 12
        assert of(series, "veritls_handshake_duration_seconds_count") == 12
        # Those that were forked were told nothing themselves: theirs is not 0.
        assert {value for (each, _), value in series.items() if each == name} == {1.9e9, 2.0e9}
        assert of(series, "veritls_material_loads_total") == 1

        teller = send(b"r")
        assert of(scrape(metrics), name, **told) == 1.5e9
        assert of(scrape(metrics), "veritls_material_generation", source="files") == 9

        assert {*served, teller} <= set(workers)
        os.kill(teller, signal.SIGKILL)
        assert server.numbers() == [teller]
        for _ in range(3):
            assert send(b"x") in set(workers) - {teller}
        series = scrape(metrics)
        assert of(series, "veritls_handshakes_total", side="server", outcome="completed") == 16
        assert of(series, name, **told) == 1.9e9


WITHOUT_FILES = """
import os, shutil, sys
import veritls
from tests.support.connections import client_context, server_context
from tests.support.memory import handshake, memory_pair
from veritls.events import prometheus

prometheus.export()
shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"])
child = os.fork()
handshake(*memory_pair(server_context(sys.argv[1]), client_context(sys.argv[2])))
os.write(1, b"1\\n")  # both processes write there
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_folder_of_values_that_is_gone_hurts_no_connection(files: Files, tmp_path: Path) -> None:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "values")}
    (tmp_path / "values").mkdir()
    with program("-c", WITHOUT_FILES, str(files.server), str(files.ca), env=environment) as both:
        assert both.numbers() == both.numbers() == [1]
        both.logged("FileNotFoundError")


def test_the_page_lists_the_metrics_and_their_labels(registry: Any) -> None:
    (export,) = registry._collector_to_names
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.+) \|$", (ROOT / "docs/operating.md").read_text("utf-8"), re.M
    )
    made = {
        (metric._name + "_total" * (metric._type == "counter"), metric._type, ", ".join(metric._labelnames))
        for metric in export._metrics
    }
    assert {(name, kind, labels.replace("`", "")) for name, kind, labels in rows} == made
