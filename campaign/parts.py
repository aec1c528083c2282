"""The table of the campaign's parts, in the page's order: the place to add one."""

from __future__ import annotations

from campaign import connections, every_byte, faults, floods, handshakes, integrity
from campaign.part import Part

PARTS: tuple[Part, ...] = (
    every_byte.PART,
    floods.PART,
    connections.PART,
    handshakes.PART,
    integrity.PART,
    faults.PART,
)


def find(name: str) -> Part:
    return next(part for part in PARTS if part.name == name)
