"""Where the data lies that is not part of this repository."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shared(variable: str, *parts: str) -> Path:
    """What the variable names, else the path in the folder `shared` beside the checkout, there or not."""
    if named := os.environ.get(variable):
        return Path(named)
    # A git worktree lies one folder deeper than the checkout itself.
    beside = [above.joinpath("shared", *parts) for above in (ROOT.parent, ROOT.parent.parent)]
    return next(filter(Path.exists, beside), beside[0])
