"""The table of the campaign's parts, in the page's order: the place to add one."""

from __future__ import annotations

from campaign import faults, floods
from campaign.part import Part

PARTS: tuple[Part, ...] = (floods.PART, faults.PART)


def find(name: str) -> Part:
    return next(part for part in PARTS if part.name == name)
