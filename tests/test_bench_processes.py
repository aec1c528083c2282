"""bench/ starts whole processes: what is no figure, whose time and memory it is. No figure is compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.certificates import RSA2048, Certificates
from bench.harness import Failed, Pairs, take_turns
from bench.measurements import libraries
from bench.measurements.plan import Plan
from bench.user_programs import BARE, LAUNCHER, Program, importing, requesting


@pytest.fixture(scope="module")
def pairs() -> Iterator[Pairs]:
    running = Pairs()
    yield running
    running.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("bench"))


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
