"""Puts veritls in place of `ssl` for everything that is imported afterwards."""

from __future__ import annotations

import veritls


def substitute() -> None:
    """Does it as `python -m veritls run` does."""
    veritls.inject()
