"""A process that grows is told from one that does not, and each kind of handshake from another."""

from __future__ import annotations

import random

import pytest

from campaign import flat, mixture
from campaign.processes import Child, Sample, Silent

CHANCE = random.Random(1)


def run_of(
    memory: float = 0, descriptors: float = 0, blocks: float = 0, threads: float = 0
) -> list[flat.Point]:
    """A hundred samples, a thousand handshakes apart, that grow by so much, and noise."""
    return [
        (
            1000.0 * number,
            Sample(
                int(50_000_000 + memory * number * 1000) + CHANCE.randrange(100_000),
                10 + int(descriptors * number),
                int(100_000 + blocks * number * 1000) + CHANCE.randrange(200),
                3 + int(threads * number),
            ),
        )
        for number in range(100)
    ]


def test_what_stays_the_same_is_flat() -> None:
    assert list(flat.growths("a server", run_of())) == []


@pytest.mark.parametrize("grows", [{"memory": 200}, {"descriptors": 0.1}, {"blocks": 0.1}, {"threads": 0.1}])
def test_what_grows_is_named(grows: dict[str, float]) -> None:
    (said,) = flat.growths("a server", run_of(**grows))
    assert next(iter(grows)) in said


def test_the_slope_is_that_of_one_handshake() -> None:
    assert flat.slope(run_of(memory=200), "memory") == pytest.approx(200, rel=0.05)


def test_the_kinds_fit_the_byte_that_names_them() -> None:
    assert len(mixture.BY_NAME) == len(mixture.KINDS) < 256


def _says_and_ends(pipe: object) -> None:
    pipe.send("hello")  # type: ignore[attr-defined]


def _fails(pipe: object) -> None:
    raise KeyError("no such thing")


def test_a_process_that_ends_or_fails_is_told_from_one_that_answers() -> None:
    with Child(_says_and_ends) as child:
        assert child.hear() == "hello"
        with pytest.raises(Silent):
            child.hear()
    with Child(_fails) as child, pytest.raises(RuntimeError, match="KeyError"):
        child.hear()
