"""bench/ runs: every measurement, at a glance, with `ssl` and veritls alone. No figure is compared."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import machine, plots, report
from bench.__main__ import measure
from bench.certificates import RSA2048, Certificates
from bench.contestants import BLOCKING
from bench.harness import Entrant, Failed, Pairs, take_turns
from bench.loops import LOOPS
from bench.measurements import ALL, libraries
from bench.measurements.handshakes import MUTUAL, RESUMED
from bench.measurements.plan import Measurement, Plan
from bench.programs import BARE, LAUNCHER, Program, importing, requesting
from bench.recipe import is_aes256
from bench.results import Ratio

_ROOT = Path(__file__).parent.parent
_WANTED = frozenset({"ssl", "veritls", "ssl, asyncio", "veritls, asyncio"})
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
        if os.environ.get("CI") != "1" and any("is not installed" in why for why in case["absent"].values()):
            continue
        assert case["absent"] == {}
        assert len(case["entrants"]) >= 2
        for entrant in case["entrants"].values():
            assert len(entrant["values"]) == 1
            assert all(math.isfinite(value) and value > 0 for value in entrant["values"])


def test_the_page_and_the_readmes_table_are_made_of_what_was_measured(results: dict[str, Any]) -> None:
    page = report.page(results)
    for record in results.values():
        assert f"## {record['title']}" in page
    assert "| handshakes/s, resumed |" in report.readme_table(results)
    assert "reached" in report.promises_text(results)


def test_the_table_goes_between_the_two_lines_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    assert report.write_between(path, "new")
    assert path.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    path.write_text("no such lines\n")
    assert not report.write_between(path, "new")
    assert path.read_text() == "no such lines\n"


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


def _start(pairs: Pairs, program: str, **more: Any) -> dict[str, Any]:
    job = {"program": program, "count": 1, "measure": "process", "what": "wall"} | more
    return Program("one", LAUNCHER, job).turn(pairs, 0.001)


def test_a_program_that_fails_is_no_figure(pairs: Pairs) -> None:
    with pytest.raises(Failed, match="ModuleNotFoundError: No module named 'no_such_module'"):
        _start(pairs, importing("no_such_module"))


def test_a_program_that_refuses_the_servers_certificate_is_no_figure(
    pairs: Pairs, certificates: Certificates
) -> None:
    recipe, other = certificates.recipe(), certificates.recipe(RSA2048)
    job = {"recipe": recipe.fields(), "requests": 1}
    for module in ("ssl", "veritls"):
        with pytest.raises(Failed, match="CERTIFICATE_VERIFY_FAILED"):
            _start(pairs, requesting(module, system=True), arguments=[other.ca], **job)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "https_proxy", "PYTHONDEVMODE"])
def test_programs_start_without_the_variables_that_change_what_they_do(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    running = Pairs()
    try:
        _start(running, f"import os\nassert {variable!r} not in os.environ")
    finally:
        running.close()


def test_the_peak_of_a_program_is_its_own_and_not_its_parents(pairs: Pairs) -> None:
    small = _start(pairs, BARE, what="peak")["value"]
    large = _start(pairs, "x = bytearray(b'1' * 2**26)", what="peak")["value"]
    assert small + 64 <= large
    with Path("/proc/self/status").open() as status:
        held = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))
    assert small < held


def test_a_program_that_says_how_long_it_took_is_asked_for_its_first_time_and_the_others(
    pairs: Pairs,
) -> None:
    program = "print(1, 2)\nprint(3, 4)\nprint(5, 6)\nprint(9, 9)"
    assert _start(pairs, program, measure="first")["value"] == 1000
    turn = _start(pairs, program, measure="again", what="wall")
    assert (turn["value"], turn["cpu"]) == (5000, 6)


def test_a_library_that_is_not_installed_is_left_out_by_name(
    pairs: Pairs, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == "httpx" else object())
    plan = Plan(certificates, 1, 0.001, quick=True, contestants=frozenset({"veritls"}))
    of_httpx = [case for case in libraries.LIBRARY_USES.cases(plan) if case.tags["library"] == "httpx"]
    assert [case.absent for case in of_httpx] == 3 * [{"veritls": "httpx is not installed"}]
    take_turns(pairs, of_httpx, 1, 0.001, lambda _: None)
    assert all(not case.turns for case in of_httpx)
