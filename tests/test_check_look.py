"""`veritls check` on a terminal of 80 columns."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.check_servers import Server, serving
from tests.revocation.answers import serving as server_of
from tests.support.certificates import DAY, NOW, Party
from tests.support.terminals import lines, on_a_terminal

ROOT = Party("Example Root", ca=True)
MIDDLE = Party("A CA in the middle with a long name", ROOT, ca=True)
NAMES = [f"host-{number}.internal.example.org" for number in range(6)]


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("look") / "ca.pem"
    path.write_bytes(ROOT.pem)
    return path


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """One that is trusted, one that expired, one without its intermediate, one for other names."""
    chains = [
        [Party("db", ROOT)],
        [Party("expired", ROOT, end=NOW - 3 * DAY)],
        [Party("alone", MIDDLE)],
        [Party("others", MIDDLE, names=NAMES), MIDDLE],
    ]
    with ExitStack() as stack:
        yield [stack.enter_context(serving(server_of(*chain))) for chain in chains]


def shown(ca: Path, *servers: Server, columns: int = 80, options: tuple[str, ...] = ()) -> list[str]:
    arguments = ["--ca", str(ca), "--name", "localhost", *options, *map(str, servers)]
    return lines(on_a_terminal([sys.executable, "-m", "veritls", "check", *arguments], columns))


def test_a_report_fits_80_columns_and_a_fingerprint_is_in_one_line(servers: list[Server], ca: Path) -> None:
    for server in servers:
        found = shown(ca, server)
        assert max(map(len, found)) <= 80
        prints = [line.partition("SHA-256 ")[2] for line in found if "SHA-256 " in line]
        assert prints and all(len(each) == 64 for each in prints)


def test_on_a_narrow_terminal_each_server_is_a_sentence(servers: list[Server], ca: Path) -> None:
    found = shown(ca, *servers, columns=40)
    assert max(map(len, found)) <= 40
    text = " ".join(" ".join(found).split())
    assert f"{servers[0]} trusted: the server's certificate for localhost is trusted" in text
    assert text.endswith("4 servers: 3 not trusted, 1 trusted")


def test_a_check_that_failed_does_not_repeat_the_sentence_above(servers: list[Server], ca: Path) -> None:
    text = " ".join(" ".join(shown(ca, servers[1])).split())
    assert text.count("expired 3 days ago") == 1
    assert text.count("not checked") == 1


@pytest.mark.parametrize("columns", [60, 80, 119, 120, 200])
def test_the_table_of_many_fits_the_terminal(columns: int, servers: list[Server], ca: Path) -> None:
    found = shown(ca, *servers, columns=columns)
    assert max(map(len, found)) <= columns
    rows = [line for line in found if "127.0.0.1:" in line]
    assert [row.split()[0] for row in rows] == [str(server) for server in servers]
    assert "trusted" in rows[0] and all("not trusted" in row for row in rows[1:])
    assert ("TLSv1.3" in rows[1]) == (columns >= 120)
    assert found[-2] == "4 servers: 3 not trusted, 1 trusted"


def test_only_those_that_fail_are_in_the_table_and_all_are_counted(servers: list[Server], ca: Path) -> None:
    found = shown(ca, *servers, options=("--only-failing",))
    assert [line.split()[0] for line in found if "127.0.0.1:" in line] == [str(each) for each in servers[1:]]
    assert found[-2] == "4 servers: 3 not trusted, 1 trusted"
