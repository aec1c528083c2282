"""Ways to break bytes: what damage on a disk, on a wire or by an attacker may look like."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

Break = Callable[[bytes], bytes]

_LENGTHS = [0x00, 0x01, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xFF]


def _at(data: bytes, where: float) -> int:
    return int(where * len(data))


def _flip(where: float, bit: int) -> Break:
    def apply(data: bytes) -> bytes:
        at = _at(data, where)
        return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :] if data else data

    return apply


def _put(where: float, new: bytes, drop: int) -> Break:
    """Replaces `drop` bytes by `new`."""

    def apply(data: bytes) -> bytes:
        at = _at(data, where)
        return data[:at] + new + data[at + drop :]

    return apply


def _cut(where: float) -> Break:
    return lambda data: data[: _at(data, where)]


def _repeat(where: float, length: int) -> Break:
    def apply(data: bytes) -> bytes:
        at = _at(data, where)
        return data[: at + length] + data[at:]

    return apply


def _splice(where: float, other: bytes, there: float) -> Break:
    return lambda data: data[: _at(data, where)] + other[_at(other, there) :]


def breaks(*others: bytes) -> st.SearchStrategy[Break]:
    """One break. `others`: what to splice in."""
    place = st.floats(0, 1, exclude_max=True)
    found = [
        st.builds(_flip, place, st.integers(0, 7)),
        st.builds(_put, place, st.binary(max_size=8), st.integers(0, 8)),
        st.builds(_put, place, st.sampled_from(_LENGTHS).map(lambda each: bytes([each])), st.just(1)),
        st.builds(_cut, place),
        st.builds(_repeat, place, st.integers(1, 64)),
    ]
    if others:
        found.append(st.builds(_splice, place, st.sampled_from(others), place))
    return st.one_of(found)


def broken(*samples: bytes, most: int = 3) -> st.SearchStrategy[bytes]:
    """One of the samples, with one break or a few."""

    def apply(sample: bytes, each: list[Break]) -> bytes:
        for change in each:
            sample = change(sample)
        return sample

    several = st.lists(breaks(*samples), min_size=1, max_size=most)
    return st.builds(apply, st.sampled_from(samples), several)
