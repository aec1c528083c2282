"""bench/ runs: every measurement, at a glance, with `ssl` and veritls alone. No figure is compared."""

from __future__ import annotations

import math
import os
import resource
import select
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench import machine, plots, quoted, report
from bench.__main__ import measure
from bench.certificates import Certificates
from bench.contestants import BLOCKING
from bench.harness import Entrant, Failed, Pairs
from bench.loops import LOOPS
from bench.measurements import ALL
from bench.measurements.cold_start import CA_FILE
from bench.measurements.contexts import AGAIN
from bench.measurements.handshakes import MUTUAL, RESUMED
from bench.measurements.idle_thousands import IDLE_THOUSANDS
from bench.measurements.memory import beyond_the_limit
from bench.measurements.plan import Measurement, Plan
from bench.measurements.servers_bill import NEW, SERVERS_BILL
from bench.measurements.tails import LOOP, QUIET, THREADS, UVLOOP
from bench.promises import PROMISES
from bench.recipe import is_aes256
from bench.results import Ratio
from bench.servers import NGINX, SERVERS, UVICORN_SSL, UVICORN_VERITLS, processor_clock
from bench.work.tails import Times, percentile

# All measurements are taken once, and Go builds its server.
pytestmark = pytest.mark.timeout(300)

_ROOT = Path(__file__).parent.parent
_LOOPS = {"ssl, asyncio", "veritls, asyncio", "veritls.aio.EventLoop"}
_WANTED = frozenset({"ssl", "veritls"} | _LOOPS | SERVERS.keys())
_NAMES = [measurement.name for measurement in ALL]


@pytest.fixture(scope="module")
def pairs() -> Iterator[Pairs]:
    running = Pairs()
    yield running
    running.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def results(pairs: Pairs, certificates: Certificates) -> dict[str, Any]:
    plan = Plan(certificates, rounds=1, seconds=0.002, quick=True, contestants=_WANTED)
    return {each.name: measure(each, plan, pairs, quiet=True) for each in ALL}


@pytest.mark.parametrize("name", _NAMES)
def test_every_measurement_gives_figures_for_ssl_and_veritls(results: dict[str, Any], name: str) -> None:
    record = results[name]
    assert record["cases"]
    for case in record["cases"]:
        for label, why in case["absent"].items():
            lacking = not os.environ.get("CI") and "is not installed" in why
            assert lacking, f"{label}: {why}"
        if case["absent"]:
            # A machine of a developer's may lack some; under CI that is a failure, by the assertion above.
            pytest.skip(f"not all rivals are installed: {case['absent']}")
        assert len(case["entrants"]) >= 2
        for entrant in case["entrants"].values():
            assert len(entrant["values"]) == 1
            assert all(math.isfinite(value) and value > 0 for value in entrant["values"])


def test_the_page_is_made_of_what_was_measured(results: dict[str, Any]) -> None:
    page = report.page(results)
    for record in results.values():
        assert f"## {record['title']}" in page
    assert "| memory after all ended, over the first |" in page
    assert "| p99.9, ms |" in page
    assert "reached" in report.promises_text(results)


@pytest.mark.parametrize("name", ["", "tails"])
def test_the_table_goes_between_the_two_lines_and_nothing_else_changes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "README.md"
    begin, end = quoted.between(name)
    path.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    assert quoted.write_between(path, "new", name)
    assert path.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"
    path.write_text("no such lines\n")
    assert not quoted.write_between(path, "new", name)
    assert path.read_text() == "no such lines\n"


def _measured(*labels: str, x: int | None = None, **tags: Any) -> dict[str, Any]:
    """The record of a measurement with one case, of which every label has the same figure."""
    entrants = {label: {"values": [2.0]} for label in labels}
    case = {"label": "one", "tags": tags, "x": x, "baseline": labels[0], "entrants": entrants}
    return {"cases": [case]}


def test_the_readme_quotes_four_figures_that_people_feel() -> None:
    usual: dict[str, Any] = {"version": "TLSv1.3", "kind": MUTUAL, "what": NEW}
    records = {
        "handshakes": _measured("ssl", "veritls", kind=RESUMED, key="P-256", version="TLSv1.3"),
        "idle-thousands": _measured("ssl", "veritls", way=UVLOOP),
        "servers-bill": _measured(NGINX, UVICORN_SSL, UVICORN_VERITLS, **usual),
        "tails": _measured("ssl", "veritls", way=LOOP, load=QUIET),
        "libraries": _measured("ssl", "veritls", library="httpx", when=AGAIN),
        "cold-start": _measured("ssl", "veritls", kind=CA_FILE),
    }
    same = "1.00 (1.00 to 1.00) |"
    assert quoted.readme_table(records).splitlines() == [
        "|  | `ssl` | veritls | ratio (spread) |",
        "| --- | --- | --- | --- |",
        f"| make an `httpx.Client()`, ask once, close it | 2.0 ms | 2.0 ms | {same}",
        f"| the slowest hundredth of answers, 200 busy connections on asyncio | 2.0 ms | 2.0 ms | {same}",
        f"| serve a new mutual connection (uvicorn, uvloop): processor | 2.0 us | 2.0 us | {same}",
        f"| hold an idle connection, one of 10,000 on uvloop | 2.0 KiB | 2.0 KiB | {same}",
    ]


@pytest.mark.parametrize("name", _NAMES)
def test_what_was_not_measured_is_not_quoted(results: dict[str, Any], name: str) -> None:
    others = {each: record for each, record in results.items() if each != name}
    assert len(quoted.readme_table(others)) <= len(quoted.readme_table(results))
    assert quoted.blocks(others).keys() == quoted.blocks(results).keys()
    assert f"## {results[name]['title']}" not in report.page(others)


def test_the_page_of_performance_has_a_place_for_each_of_its_tables() -> None:
    page = (_ROOT / quoted.PERFORMANCE).read_text("utf-8")
    for name in quoted.blocks({}):
        assert all(page.count(line) == 1 for line in quoted.between(name)), name
    assert all(line in (_ROOT / quoted.README).read_text("utf-8") for line in quoted.between())


def test_a_ratio_is_taken_within_each_round() -> None:
    assert Ratio.of([2.0, 30.0, 8.0], [1.0, 10.0, 2.0]) == Ratio(3.0, 2.0, 4.0)
    assert Ratio.of([], [1.0]) is None


def test_a_handshake_that_is_not_the_work_is_no_figure(pairs: Pairs, certificates: Certificates) -> None:
    recipe = certificates.recipe(mutual=True).fields() | {"shows_certificate": False}
    refused = Entrant("veritls", "veritls", {"do": "handshakes", "kind": MUTUAL, "recipe": recipe})
    with pytest.raises(Failed, match="did not return a certificate"):
        refused.turn(pairs, 0.001)
    plain = Entrant("TCP", "TCP", {"do": "handshakes", "kind": RESUMED, "resume": True})
    plain.job["recipe"] = certificates.recipe().fields()
    with pytest.raises(Failed, match="does not resume"):
        plain.turn(pairs, 0.001)


def test_one_contestants_failure_is_shown_and_the_others_go_on(
    pairs: Pairs, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cases(plan: Plan) -> list[Any]:
        from bench.harness import Case

        job = {"do": "handshakes", "recipe": plan.certificates.recipe().fields()}
        return [Case("one", [Entrant(name, name, job) for name in ("no-such-contestant", "ssl")])]

    record = measure(
        Measurement("one", "One", "handshakes/s", cases), Plan(certificates, 1, 0.001), pairs, quiet=True
    )
    (case,) = record["cases"]
    assert list(case["entrants"]) == ["ssl"]
    assert "no-such-contestant" in case["absent"]["no-such-contestant"]


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        ("TLS_AES_256_GCM_SHA384", True),
        ("ECDHE-RSA-AES256-GCM-SHA384", True),
        ("TLS_AES_128_GCM_SHA256", False),
        ("TLS_CHACHA20_POLY1305_SHA256", False),
    ],
)
def test_only_aes_256_counts_where_it_is_wanted(suite: str, expected: bool) -> None:
    assert is_aes256(suite) == expected


def test_no_contestant_has_two_meanings() -> None:
    assert not BLOCKING.keys() & LOOPS.keys()


@pytest.mark.parametrize("crate", ["rustls", "aws-lc-rs", "aws-lc-sys"])
def test_the_program_without_python_has_the_engines_rustls(crate: str) -> None:
    theirs = machine.engine_version(crate, _ROOT / "bench" / "rustls" / "Cargo.lock")
    assert theirs == machine.engine_version(crate) != "unknown"


def test_every_measurement_has_a_picture() -> None:
    assert set(plots.PICTURES) == set(_NAMES)


@pytest.fixture
def uvicorn() -> None:
    for name in ("uvicorn", "httptools", "uvloop"):
        if not os.environ.get("CI"):
            pytest.importorskip(name)


def _billed(certificates: Certificates, name: str, **more: Any) -> Entrant:
    plan = Plan(certificates, 1, 0.001, quick=True)
    case = next(case for case in SERVERS_BILL.cases(plan) if case.tags["kind"] == MUTUAL)
    entrant = next(entrant for entrant in case.entrants if entrant.label == name)
    entrant.job["recipe"] = entrant.job["recipe"] | more
    return entrant


def test_a_server_that_is_not_installed_is_left_out_by_its_name(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with closing(Pairs()) as pairs, pytest.raises(Failed, match="is not installed"):
        _billed(certificates, NGINX).turn(pairs, 0.001)


@pytest.mark.usefixtures("uvicorn")
def test_a_server_that_lets_in_clients_without_a_certificate_is_no_figure(
    pairs: Pairs, certificates: Certificates
) -> None:
    careless = _billed(certificates, UVICORN_VERITLS, client=None)
    with pytest.raises(Failed, match="lets in clients without a certificate"):
        careless.turn(pairs, 0.001)


@pytest.mark.usefixtures("uvicorn")
def test_a_server_ends_with_the_pair_that_uses_it(certificates: Certificates) -> None:
    others = _children(os.getpid())
    with closing(Pairs()) as pairs:
        _billed(certificates, UVICORN_VERITLS).turn(pairs, 0.001)
        workers = set(_children(os.getpid())).difference(others)
        servers = [child for worker in workers for child in _children(worker)]
        assert servers
        ends = [os.pidfd_open(server) for server in servers]
    for end in ends:
        assert select.select([end], [], [], 30)[0]
        os.close(end)


def _children(process: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found


def test_what_a_server_still_holds_after_its_patience_is_told(
    pairs: Pairs, certificates: Certificates
) -> None:
    plan = Plan(certificates, 1, 0.001, quick=True, contestants=frozenset({"veritls"}))
    (case,) = IDLE_THOUSANDS.cases(plan)
    (entrant,) = case.entrants
    entrant.job |= {"connections": 5, "share": 0.0, "patience": 0.0}
    assert entrant.turn(pairs, 0.001)["given_back"] > 0


def test_more_connections_than_a_process_may_open_are_left_out_by_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert beyond_the_limit(1000, ("ssl",)) == {}
    assert beyond_the_limit(10_000, ("ssl",)) == {"ssl": "a process may open only 4096 files here"}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    assert beyond_the_limit(10_000, ("ssl",)) == {}


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 500), (0.99, 990), (0.999, 999), (0.9991, 1000), (1.0, 1000), (0.0, 1)]
)
def test_a_percentile_is_a_time_that_was_measured(share: float, expected: int) -> None:
    assert percentile(range(1, 1001), share) == expected


def test_every_round_trip_after_the_warm_up_counts_those_under_way_at_the_end_too() -> None:
    times = Times({"warm": 2, "count": 3})
    began = [times.begin() for _ in range(4)]
    goes_on = [times.end(each) for each in began]
    assert goes_on == [True] * 4
    last = [times.begin() for _ in range(4)]
    assert [times.end(each) for each in last] == [False] * 4
    assert times.over()
    assert times.report()["amount"] == 6


def test_the_tails_promises_are_about_both_percentiles_of_both_loads(results: dict[str, Any]) -> None:
    found = {promise.words.split(",")[0]: list(promise.found(results)) for promise in PROMISES}
    for way in (LOOP, THREADS):
        assert [each.label for each in found[way]] == [
            "quiet, p99",
            "quiet, p99.9",
            "loaded, p99",
            "loaded, p99.9",
        ]


def test_a_process_has_a_clock_of_its_own_that_others_can_read() -> None:
    before = time.process_time()
    assert before <= processor_clock(os.getpid()) <= time.process_time()
