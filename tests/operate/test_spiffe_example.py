"""The example of a SPIFFE client and server, started as its first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.ecosystem.parties import library
from tests.support.connections import SECONDS

EXAMPLE = Path(__file__).parents[2] / "examples" / "spiffe_client_and_server.py"

library("spiffe")


def test_it_exchanges_messages_before_and_after_a_rotation_and_refuses_another_domain() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE], capture_output=True, text=True, timeout=6 * SECONDS, check=True
    )
    lines = [line.strip() for line in done.stdout.splitlines()]
    answer = "client: spiffe://example.org/server answers: {}, spiffe://example.org/client"
    assert answer.format("hello") in lines
    rotated = next(place for place, line in enumerate(lines) if line.startswith("server: loaded"))
    assert lines.index(answer.format("hello again")) > rotated
    assert lines.count("server: completed: spiffe://example.org/client") == 2
    assert any(line.startswith("stranger: refused: ") for line in lines)
    assert lines[-1].startswith("server: refused: ")
    assert "other.example" in lines[-1]


def test_it_says_how_it_is_started() -> None:
    text = EXAMPLE.read_text()
    assert "python examples/spiffe_client_and_server.py\n" in text
