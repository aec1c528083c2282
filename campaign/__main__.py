"""``python -m campaign NAME …``."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = {"mutants": "campaign.mutants.__main__"}


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in NAMES:
        print(f"usage: python -m campaign ({' | '.join(NAMES)}) …", file=sys.stderr)
        return 2
    code: int = import_module(NAMES[argv[0]]).main(argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
