"""`veritls check`: the report is the handshake's own, and none of it is lost on its way through a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.check_servers import Server, serving
from tests.revocation.answers import serving as server_of
from tests.revocation.responses import MUST_STAPLE, REVOKED, response
from tests.support.certificates import Party

ROOT = Party("Root", ca=True)
LEAF = Party("localhost", ROOT, extra=[MUST_STAPLE])
NAMES = [f"host-{number}.{'x' * 40}.internal" for number in range(6)]


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(ROOT.pem)
    return path


def check(*arguments: object, columns: int = 0) -> tuple[int, str]:
    """The status and what comes out of a pipe."""
    command = [sys.executable, "-m", "veritls", "check", "--name", "localhost", *map(str, arguments)]
    width = {"COLUMNS": str(columns)} if columns else {}
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"} | width
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.stderr == ""
    return done.returncode, done.stdout


def stapled(outcome: tuple[int, str]) -> tuple[str, str]:
    """Whether a server is trusted, and the result of the check of its stapled response."""
    result = json.loads(outcome[1])
    (checked,) = [each["verdict"] for each in result["report"]["checks"] if each["name"] == "stapled OCSP"]
    return result["status"], checked


def test_a_healthy_server_that_must_staple_is_trusted(ca: Path) -> None:
    context = server_of(LEAF)
    context.load_verify_locations(cadata=ROOT.certificate)
    context.set_ocsp_response(response(LEAF))
    with serving(context) as server:
        assert stapled(check(server, "--json", "--ca", ca)) == ("trusted", "passed")
        code, out = check(server, server, "--ca", ca)
    assert code == 0 and "not trusted" not in out


def test_a_server_that_must_staple_and_does_not_or_is_revoked_is_not_trusted(ca: Path) -> None:
    with serving(server_of(LEAF)) as server:
        assert stapled(check(server, "--json", "--ca", ca)) == ("not trusted", "failed")
    context = server_of(LEAF)
    for identity in context._identities():
        identity.staple(response(LEAF, REVOKED), 2**33)
    with serving(context) as server:
        assert stapled(check(server, "--json", "--ca", ca)) == ("not trusted", "failed")


@pytest.mark.parametrize("columns", [0, 40])
def test_what_is_piped_is_neither_cut_nor_folded(columns: int, ca: Path) -> None:
    leaf = Party("localhost", ROOT, names=NAMES)

    def lines(*servers: Server) -> list[str]:
        return check(*servers, "--ca", ca, columns=columns)[1].splitlines()

    with serving(server_of(leaf)) as first, serving(server_of(leaf)) as second:
        shown, table = lines(first), lines(first, second)
    assert any(all(name in line for name in NAMES) for line in shown), shown
    assert shown[0].endswith(" and 4 more")
    rows = [line.rstrip() for line in table if "127.0.0.1" in line]
    assert [row.endswith(" and 4 more") for row in rows] == [True, True], table
    assert [row.split()[0] for row in rows] == [str(first), str(second)]
