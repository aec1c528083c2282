"""Whether what a process holds stays the same over a run: slopes, and what counts as growth."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from campaign.processes import Sample

Point = tuple[float, Sample]
"""How many handshakes had been made, and what the process held then."""
_WARM_UP = 0.2
_BYTES, _BLOCKS = 32.0, 0.01
"""Growth of a handshake that fails, where it is more than the noise of as much as follows in all."""
_NOISE_BYTES, _NOISE_BLOCKS = 4 << 20, 1000


def after_warm_up(points: Sequence[Point]) -> Sequence[Point]:
    return points[max(1, int(len(points) * _WARM_UP)) :]


def slope(points: Sequence[Point], field: str) -> float:
    """Of `field`, for one handshake, by least squares, after the warm-up. 0: too few points."""
    points = after_warm_up(points)
    if len(points) < 3:
        return 0.0
    xs, ys = [x for x, _ in points], [float(getattr(sample, field)) for _, sample in points]
    return statistics.linear_regression(xs, ys).slope


def growths(name: str, points: Sequence[Point]) -> Iterator[str]:
    """What is not flat about the process `name`."""
    points = after_warm_up(points)
    for field in ("descriptors", "threads"):
        seen = [getattr(sample, field) for _, sample in points]
        if seen and seen[-1] > seen[0]:
            yield f"{name}: {field} grew from {seen[0]} to {seen[-1]}"
    if len(points) < 20:
        return
    fifth = len(points) // 5
    middle, last = points[2 * fifth : 3 * fifth], points[-fifth:]
    made = statistics.mean(x for x, _ in last) - statistics.mean(x for x, _ in middle)
    for field, most, noise in (("memory", _BYTES, _NOISE_BYTES), ("blocks", _BLOCKS, _NOISE_BLOCKS)):
        before, after = (
            statistics.mean(getattr(sample, field) for _, sample in each) for each in (middle, last)
        )
        if after - before > max(noise, most * made):
            yield f"{name}: {field} grew by {after - before:,.0f} in {made:,.0f} handshakes"
