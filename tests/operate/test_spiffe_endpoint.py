"""Where a Workload API is, what needs the package for it, and when gRPC starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.operate.workload_api import Domain, WorkloadAPI, response
from tests.support.connections import SECONDS
from veritls.sources import SPIFFESource
from veritls.sources.spiffe import VARIABLE

HOME = Domain("home.test")

WRONG = {
    "": "no SPIFFE Workload API",
    "/run/agent.sock": "is not unix: and the absolute path of a socket",
    "run/agent.sock": "is not unix: and the absolute path of a socket",
    "http://127.0.0.1/": "is not unix: and the absolute path of a socket",
    "UNIX_/run/agent.sock": "is not unix: and the absolute path of a socket",
    "tcp://127.0.0.1:8081": "over TCP, keys would travel in the clear",
    "tcp:127.0.0.1:8081": "over TCP, keys would travel in the clear",
    "TCP://127.0.0.1:8081": "over TCP, keys would travel in the clear",
    "unix:": "the path of the socket must be absolute",
    "unix:agent.sock": "the path of the socket must be absolute",
    "unix:./agent.sock": "the path of the socket must be absolute",
    "unix:///": "names no socket",
    "unix://run/agent.sock": "only a path may stand after unix:",
    "unix://user@/run/agent.sock": "only a path may stand after unix:",
    "unix:///run/agent.sock?x": "only a path may stand after unix:",
    "unix:///run/agent.sock#x": "only a path may stand after unix:",
    "unix:///run/%00": "all of them printable",
    "unix:///run/%0A": "all of them printable",
    "unix:///" + "a" * 108: "at most 107 bytes",
    "unix:///run/a,b": "gRPC takes a comma for the end of the path",
    "unix-abstract:agent": "is not unix: and the absolute path of a socket",
    "unix://[": "is not a URI",
}


@pytest.mark.parametrize("endpoint", WRONG)
def test_an_endpoint_of_a_wrong_form_is_a_value_error(monkeypatch: Any, endpoint: str) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ValueError) as raised:
        SPIFFESource(endpoint)
    assert WRONG[endpoint] in str(raised.value)
    monkeypatch.setenv(VARIABLE, endpoint)
    with pytest.raises(ValueError) as raised:
        SPIFFESource()
    assert WRONG[endpoint] in str(raised.value)
    assert VARIABLE in str(raised.value)


def test_no_endpoint_is_a_value_error_that_names_the_variable(monkeypatch: Any) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ValueError, match=VARIABLE):
        SPIFFESource()


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}", "UNIX://{}"])
def test_the_variable_says_where_it_is(monkeypatch: Any, tmp_path: Path, form: str) -> None:
    with WorkloadAPI(tmp_path / "api.sock") as api:
        api.send(response(HOME.svid("/a")))
        monkeypatch.setenv(VARIABLE, form.format(api.path))
        source = SPIFFESource(timeout=SECONDS)
        assert source.load().trust == {"home.test": HOME.ca.der}
        assert str(api.path) in source.name
        source.close()


def test_an_endpoint_that_is_given_goes_before_the_variable(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "tcp://127.0.0.1:1")
    with WorkloadAPI(tmp_path / "api.sock") as api:
        api.send(response(HOME.svid("/a")))
        source = SPIFFESource(api.endpoint, timeout=SECONDS)
        assert source.load()
        source.close()


@pytest.mark.parametrize("name", ["with space", "100%", "%41", "ä", "a:b@c;d"])
def test_a_path_may_have_any_printable_characters(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    link = tmp_path / "api.sock"
    with WorkloadAPI(link) as api:
        api.send(response(HOME.svid("/a")))
        os.link(link, folder / "s")
        source = SPIFFESource((folder / "s").as_uri().replace("file:", "unix:"), timeout=SECONDS)
        assert source.load()
        source.close()


@pytest.mark.parametrize("pick", ["home.test/a", "spiffe://home.test", "spiffe://home.test/*", ""])
def test_a_pick_that_is_no_spiffe_id_of_a_workload_is_a_value_error(pick: str) -> None:
    with pytest.raises(ValueError, match="is not the SPIFFE ID of a workload"):
        SPIFFESource("unix:///nowhere", pick=pick)


def test_arguments_of_wrong_types_and_values_are_refused() -> None:
    wrong: Any = 1
    with pytest.raises(TypeError, match="pick must be a SPIFFE ID or a callable, not int"):
        SPIFFESource("unix:///nowhere", pick=wrong)
    for timeout in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="timeout must be more than 0 seconds"):
            SPIFFESource("unix:///nowhere", timeout=timeout)


def fresh(program: str, *arguments: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=6 * SECONDS,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_of_grpc_is_imported_before_a_load() -> None:
    program = """
import sys, threading
import veritls.sources
assert "cryptography" not in sys.modules and "veritls.sources.spiffe" not in sys.modules
from veritls.sources import SPIFFESource
source = SPIFFESource("unix:///nowhere")
source.wait(threading.Event(), 0)
source.close()
print(sorted({"grpc", "spiffe", "google.protobuf"} & set(sys.modules)), threading.active_count())
"""
    assert fresh(program) == "[] 1\n"


def test_the_environment_is_left_as_it_was(tmp_path: Path) -> None:
    program = """
import os, sys
from veritls.sources import SPIFFESource
before = dict(os.environ)
try:
    SPIFFESource("unix://" + sys.argv[1], timeout=60).load()
except ConnectionError:
    print("grpc" in sys.modules, os.environ == before)
"""
    assert fresh(program, str(tmp_path / "nowhere")) == "True True\n"


def test_without_the_package_the_source_says_what_to_install() -> None:
    program = """
import sys
sys.modules["spiffe"] = None
from veritls.sources import SPIFFESource
try:
    SPIFFESource("unix:///nowhere")
except ImportError as error:
    print(error, error.name)
"""
    expected = "SPIFFESource needs the package spiffe: pip install 'veritls[spiffe]' spiffe\n"
    assert fresh(program) == expected
